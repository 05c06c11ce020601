"""Files that say which lines are translations: true pairs, and labelled samples."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from xformer.data.readers.lines import read_lines
from xformer.embedding.mining.side import Side
from xformer.errors import InputError

_NOTHING = ("", "-")


def read_gold(path: Path, a: Side, b: Side) -> set[tuple[int, int]]:
    """The true pairs of two texts, as rows: a line is `line of a⇥line of b`, or their ids.

    Raises:
        InputError: a line is no such pair, or names a line that is not there; or there is no pair.
    """
    found = set()
    for place, left, right in _fields(path):
        if right in _NOTHING:
            raise InputError(f"{place}: expected two lines of a pair, got {left!r} alone")
        pair = _rows(place, left, right, a, b)
        if pair is not None:
            found.add(pair)
    if not found:
        raise InputError(f"{path}: expected pairs of lines, got none")
    return found


def read_sample(path: Path, a: Side, b: Side) -> dict[int, set[int]]:
    """A labelled sample: which rows of `b` are translations of some rows of `a`.

    A line is `line of a⇥line of b`; or `line of a⇥-` where there is no translation.

    Raises:
        InputError: as `read_gold`; or no line has a translation.
    """
    found: dict[int, set[int]] = {}
    for place, left, right in _fields(path):
        if right in _NOTHING:
            row = _row(place, left, a)
            if row is not None:
                found.setdefault(row, set())
        elif (pair := _rows(place, left, right, a, b)) is not None:
            found.setdefault(pair[0], set()).add(pair[1])
    if not any(found.values()):
        raise InputError(f"{path}: expected a sample in which some lines have a translation, got none")
    return found


def _fields(path: Path) -> Iterator[tuple[str, str, str]]:
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        fields = [field.strip() for field in line.split("\t")]
        if len(fields) != 2:
            raise InputError(f"{path}:{number}: expected `line of A⇥line of B`, got {line[:80]!r}")
        yield f"{path}:{number}", fields[0], fields[1]


def _rows(place: str, left: str, right: str, a: Side, b: Side) -> tuple[int, int] | None:
    """The rows of a pair; None if one of its lines is empty."""
    first, second = _row(place, left, a), _row(place, right, b)
    return None if first is None or second is None else (first, second)


def _row(place: str, label: str, side: Side) -> int | None:
    try:
        return side.row(label)
    except ValueError as error:
        raise InputError(f"{place}: {error}") from error
