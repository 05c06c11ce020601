"""`xformer data shard`, alone and as a job array."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def source(xformer: Run, moses: dict[str, Path], tmp_path: Path) -> tuple[Path, Path]:
    """A corpus and a vocabulary."""
    corpus, model = tmp_path / "corpus", tmp_path / "mine.model"
    options = ("--out", corpus, "--licence", "CC0-1.0", "--dev", 2, "--test", 2)
    assert xformer("data", "import", "moses", moses["de"], moses["en"], *options)[0] == 0
    assert xformer("tokenizer", "train", corpus, model, "--vocabulary-size", 300)[0] == 0
    return corpus, model


def test_a_job_array_writes_what_one_call_writes(
    xformer: Run, source: tuple[Path, Path], tmp_path: Path
) -> None:
    shard = ("data", "shard", *source, "--max-length", 16, "--bytes-per-shard", 500, "--out")
    status, out, err = xformer(*shard, tmp_path / "alone")
    assert (status, out) == (0, "")
    assert "tokens" in err
    for worker in (2, 0, 1):
        status, _, err = xformer(*shard, tmp_path / "many", "--worker", worker, "--of", 3)
        assert status == 0
        assert f"worker {worker} of 3: " in err
    assert not (tmp_path / "many").exists()
    assert xformer(*shard, tmp_path / "many", "--join")[0] == 0
    files = {path.name: path.read_bytes() for path in (tmp_path / "alone").iterdir()}
    assert len([name for name in files if name.startswith("tokens-")]) > 3
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "many").iterdir()}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--worker", 3, "--of", 3), "expected a worker from 0 to of - 1, got 3 of 3"),
        (("--of", 3), "--of: expected also --worker, from 0 to 2"),
        (("--worker", 0, "--join"), "--worker, --join: expected one of the two"),
        (("--join",), "shard-00000: missing"),
        (("--max-length", 0), "max_length: expected 1 to"),
    ],
)
def test_what_cannot_be_done_is_said(
    xformer: Run, source: tuple[Path, Path], tmp_path: Path, options: tuple[object, ...], said: str
) -> None:
    status, _, err = xformer("data", "shard", *source, "--out", tmp_path / "out", *options)
    assert status == 2
    assert said in err
    assert "Traceback" not in err


def test_a_vocabulary_that_is_none_is_named(xformer: Run, source: tuple[Path, Path], tmp_path: Path) -> None:
    bad = tmp_path / "bad.model"
    bad.write_bytes(b"no model")
    status, _, err = xformer("data", "shard", source[0], bad, "--out", tmp_path / "out")
    assert status == 2
    assert "bad.model" in err
