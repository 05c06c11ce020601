"""The files of a report: whole, the JSON last, and no picture of other scores."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import ClassVar

import pytest
from rich.console import Console

from xformer.errors import InputError
from xformer.evaluation import report_file
from xformer.evaluation.report_file import Report, UnsavedError, say_if_unwritable, write_report
from xformer.plotting.charts import Axis, Figure, LineChart, Series
from xformer.plotting.shapes import Look
from xformer.progress import Progress

FIGURE = Figure([LineChart("a line", Axis("x"), [Series("y", [(0, 0), (1, 1)], Look("s0", 0))])])


@dataclass(frozen=True)
class Scores(Report):
    """A report of one number."""

    what: ClassVar[str] = "scores"
    command: ClassVar[str] = "xformer score"
    layout: ClassVar[int] = 3

    top1: float


def written(path: Path, pictures: dict[Path, Figure | None]) -> str:
    """Write a report; what is said."""
    said = StringIO()
    with Progress(Console(file=said, width=200)) as progress:
        write_report(Scores(0.5), path, pictures, progress, table="| 0.5 |\n")
    return said.getvalue()


def test_a_report_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "scores.json"
    written(path, {})
    assert json.loads(path.read_text(encoding="utf-8")) == {"top1": 0.5, "format": 3}
    assert Scores.load(path) == Scores.load_if_there(path) == Scores(0.5)
    assert path.with_suffix(".md").read_text(encoding="utf-8") == "| 0.5 |\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected scores: "),
        ("[1]", "expected format 3, got no object; `xformer score` makes one"),
        ('{"top1": 0.5}', "expected format 3, got format None"),
        ('{"top1": 0.5, "format": 2}', "expected format 3, got format 2"),
        ('{"top2": 0.5, "format": 3}', "top2"),
    ],
)
def test_what_is_no_such_report_is_named(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=rf"scores\.json: .*{message}"):
        Scores.load(path)
    assert Scores.load_if_there(path) is None
    assert Scores.load_if_there(tmp_path / "missing.json") is None


def test_no_picture_of_other_scores_stays(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    first, second = tmp_path / "first.png", tmp_path / "second.png"
    for picture in (first, second):
        picture.write_text("of other scores")
    assert not written(tmp_path / "scores.json", {first: FIGURE, second: None})
    assert first.read_bytes().startswith(b"\x89PNG")
    assert not second.exists()


def test_without_matplotlib_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    picture = tmp_path / "scores.png"
    picture.write_text("of other scores")
    assert "no pictures: matplotlib is not installed" in written(tmp_path / "scores.json", {picture: FIGURE})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scores.json", "scores.md"]
    assert not written(tmp_path / "scores.json", {picture: None}), "nothing was to be drawn"


def test_the_json_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is what tells the next evaluation that there is nothing left to do."""
    path = tmp_path / "scores.json"

    def killed(figure: Figure) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(report_file, "png", killed)
    with pytest.raises(KeyboardInterrupt):
        written(path, {tmp_path / "scores.png": FIGURE})
    assert Scores.load_if_there(path) is None


def test_scores_that_cannot_be_written_are_not_lost(
    tmp_path: Path, full_disk: Callable[..., AbstractContextManager[None]]
) -> None:
    path, said = tmp_path / "scores.json", StringIO()
    with full_disk(), Progress(Console(file=said, width=200)) as progress:
        say_if_unwritable(path, progress)
        with pytest.raises(UnsavedError, match=r"scores\.json: cannot be written \(.*\): ") as error:
            write_report(Scores(0.5), path, {}, progress)
    assert error.value.report == Scores(0.5)
    assert "scores.json: cannot be written" in said.getvalue()
    assert not list(tmp_path.iterdir())
