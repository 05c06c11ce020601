"""The lines of a side, and the files that name them. Covers `labels`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from xformer.embedding.mining.labels import read_gold, read_sample
from xformer.embedding.mining.side import Side
from xformer.errors import InputError


def encode(texts: Iterable[str]) -> Iterator[tuple[list[str], np.ndarray]]:
    for text in texts:
        yield [text], np.full((1, 2), len(text), dtype=np.float32)


@pytest.fixture
def side(tmp_path: Path) -> Side:
    return Side("a.de", ["eins", "", "zwei", " eins ", "\u2028", "drei"], encode, 2, tmp_path / "side")


def test_equal_lines_are_one_text_and_empty_ones_none(side: Side) -> None:
    assert (side.lines, len(side), len(side.vectors)) == (6, 3, 3)
    assert [side.text(row) for row in range(3)] == ["eins", "zwei", "drei"]
    assert [side.label(row) for row in range(3)] == ["1", "3", "6"]
    assert [side.row(str(line)) for line in range(1, 7)] == [0, None, 1, 0, None, 2]
    np.testing.assert_array_equal(side.vectors.vectors[:, 0], [4, 4, 4])


@pytest.mark.parametrize("label", ["0", "7", "-1", "one", "", "²"])
def test_a_line_that_is_not_there(side: Side, label: str) -> None:
    with pytest.raises(ValueError, match=r"expected a number from 1 to 6 of a line of a\.de"):
        side.row(label)


def test_ids(tmp_path: Path) -> None:
    side = Side("a", ["x\tone", "y\t", "z\ttwo\tthree"], encode, 2, tmp_path / "ids", with_ids=True)
    assert [side.row(name) for name in "xyz"] == [0, None, 1]
    assert (side.label(1), side.text(1)) == ("z", "two\tthree")
    with pytest.raises(ValueError, match="expected an id of a line"):
        side.row("1")
    for lines, expected in (
        (["one"], "a:1: expected `id"),
        (["x\tone", "x\ttwo"], "a:2: the id 'x' is that"),
    ):
        with pytest.raises(InputError, match=expected):
            Side("a", lines, encode, 2, tmp_path / expected[:3], with_ids=True)


def test_nothing_to_mine(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"b\.en: expected lines with text"):
        Side("b.en", ["", "  "], encode, 2, tmp_path / "none")


def test_gold_and_samples(side: Side, tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text("1\t3\n4\t6\n2\t1\n\n", encoding="utf-8")
    assert read_gold(path, side, side) == {(0, 1), (0, 2)}  # line 4 is line 1 again, line 2 is empty
    path.write_text("1\t3\n6\t-\n3\t\n", encoding="utf-8")
    assert read_sample(path, side, side) == {0: {1}, 2: set(), 1: set()}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1\n", ":1: expected `line of A"),
        ("1\t2\t3\n", ":1: expected `line of A"),
        ("1\t3\n9\t1\n", ":2: expected a number from 1 to 6"),
        ("1\t-\n", ":1: expected two lines"),
        ("", "expected pairs of lines, got none"),
    ],
)
def test_broken_gold_names_the_line(side: Side, tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=f"^{path}.*{expected}"):
        read_gold(path, side, side)


def test_a_sample_without_translations(side: Side, tmp_path: Path) -> None:
    path = tmp_path / "sample.tsv"
    path.write_text("1\t-\n", encoding="utf-8")
    with pytest.raises(InputError, match="some lines have a translation"):
        read_sample(path, side, side)
