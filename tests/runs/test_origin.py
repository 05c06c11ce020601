"""What a run says about the run that it was made out of."""

from __future__ import annotations

from pathlib import Path

import pytest

from xformer.errors import InputError
from xformer.runs.directory import RunDirectory
from xformer.runs.origin import Origin

ORIGIN = Origin(
    "xformer tokenizer trim",
    "runs/big",
    1200,
    "aa",
    "bb",
    65_536,
    9_000,
    ("corpora/mine",),
    ("de", "fr"),
    {"x": 1},
)


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    assert Origin.load(run) is None
    ORIGIN.save(run)
    assert Origin.load(run) == ORIGIN


def test_it_is_said_in_words() -> None:
    said = ORIGIN.said()
    assert "`xformer tokenizer trim` out of the run `runs/big`, step 1,200: 9,000 pieces" in said
    assert "which were 65,536, for de, fr" in said
    assert "- x: 1" in said


@pytest.mark.parametrize("text", ["[]", "{", '{"run": 3}'])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    run = RunDirectory(tmp_path)
    run.origin.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"origin\.json: expected what made this run"):
        Origin.load(run)
