"""The command line, called in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from xformer.cli import main

Run = Callable[..., tuple[int, str, str]]

NUMBERS = {
    "en": "one two three four five six seven eight nine ten",
    "de": "eins zwei drei vier fünf sechs sieben acht neun zehn",
}


_SETTINGS = """
[model]
vocab_size = 300
d_model = 16
n_layers = 1
n_heads = 2
d_ff = 16
[tokenizer]
vocabulary_size = 300
threads = 1
[objectives]
masked_lm_tokens = 64
translation_lm_tokens = 64
alignment_tokens = 64
embedding_warmup_tokens = 64
embedding_warmup_share = 0.0
[training]
precision = "fp32"
log_every = 0
"""


@pytest.fixture
def xformer(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command; its exit status, standard output and standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exit:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        status = exit.value.code
        assert isinstance(status, int)
        return status, captured.out, captured.err

    return run


@pytest.fixture
def moses(tmp_path: Path) -> dict[str, Path]:
    """A hundred line-aligned sentences in two languages."""
    paths = {}
    for language, numbers in NUMBERS.items():
        words = numbers.split()
        paths[language] = tmp_path / f"train.{language}"
        lines = [f"{a} {b} {a}\n" for a in words for b in words]
        paths[language].write_text("".join(lines), encoding="utf-8")
    return paths


@pytest.fixture
def settings() -> str:
    """Settings of a run of seconds, in TOML."""
    return _SETTINGS
