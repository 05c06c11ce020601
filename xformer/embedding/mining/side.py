"""One of the two texts that are mined: its different lines, with their vectors in files.

Lines that are equal are encoded once and stand for the first of them: copies of one line would otherwise be
each other's rivals, with margins of 1. Empty lines are left out.

Shapes: L lines, E different texts, D vector width.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from xformer.embedding.search.coded import Coded
from xformer.embedding.search.codes import Vectors
from xformer.embedding.search.part import Part, write_part
from xformer.errors import InputError

_EMPTY = -1

Encode = Callable[[Iterable[str]], Iterator[tuple[Sequence[str], Vectors]]]
"""Texts, as they come, to some of them and their vectors (b, D), in order."""


class Side:
    """The texts of a file.

    Attributes:
        name: of the file, for messages.
    """

    def __init__(
        self,
        name: str,
        lines: Iterable[str],
        encode: Encode,
        dim: int,
        folder: Path,
        *,
        with_ids: bool = False,
    ) -> None:
        """Read, encode, and write the vectors and texts.

        Args:
            name: of the file.
            lines: L, read once.
            encode: makes vectors.
            dim: D.
            folder: where to write; the caller removes it.
            with_ids: whether a line is `id⇥text`, as in the BUCC shared task.

        Raises:
            InputError: a line lacks an id, two have the same one, or no line has text.
        """
        self.name = name
        self._row_of_line, self._first_line = array("q"), array("q")
        self._line_of_id: dict[str, int] | None = {} if with_ids else None
        self._ids: list[str] = []
        folder.mkdir()
        entry = write_part(folder, 0, encode(self._different(lines)))
        if not entry.texts:
            raise InputError(f"{name}: expected lines with text, got none")
        self._part = Part(folder, entry, dim)

    def __len__(self) -> int:
        return len(self._first_line)

    @property
    def lines(self) -> int:
        """L."""
        return len(self._row_of_line)

    @property
    def vectors(self) -> Coded:
        """The vectors of the E texts."""
        return self._part.vectors

    def text(self, row: int) -> str:
        """A text as its first line has it."""
        return self._part.text(row)

    def label(self, row: int) -> str:
        """The number of a text's first line, from 1, or its id."""
        line = self._first_line[row]
        return str(line + 1) if self._line_of_id is None else self._ids[line]

    def row(self, label: str) -> int | None:
        """The row of the text in a line, by the line's number or id; None for an empty line.

        Raises:
            ValueError: there is no such line.
        """
        if self._line_of_id is not None:
            line = self._line_of_id.get(label, -1)
        else:
            line = int(label) - 1 if label.isascii() and label.isdigit() else -1
        if not 0 <= line < self.lines:
            what = f"a number from 1 to {self.lines}" if self._line_of_id is None else "an id"
            raise ValueError(f"expected {what} of a line of {self.name}, got {label!r}")
        row = self._row_of_line[line]
        return None if row == _EMPTY else row

    def _different(self, lines: Iterable[str]) -> Iterator[str]:
        seen: dict[bytes, int] = {}
        for number, line in enumerate(lines):
            text = self._without_id(number, line) if self._line_of_id is not None else line
            words = text.strip()
            if not words:
                self._row_of_line.append(_EMPTY)
                continue
            row = seen.setdefault(hashlib.blake2b(words.encode(), digest_size=16).digest(), len(seen))
            self._row_of_line.append(row)
            if row == len(self._first_line):
                self._first_line.append(number)
                yield text

    def _without_id(self, number: int, line: str) -> str:
        assert self._line_of_id is not None
        name, tab, text = line.partition("\t")
        if not tab or not name:
            raise InputError(f"{self.name}:{number + 1}: expected `id⇥text`, got {line[:80]!r}")
        if self._line_of_id.setdefault(name, number) != number:
            first = self._line_of_id[name] + 1
            raise InputError(f"{self.name}:{number + 1}: the id {name!r} is that of line {first}, too")
        self._ids.append(name)
        return text
