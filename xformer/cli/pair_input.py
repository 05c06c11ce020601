"""Pairs of texts that a command is given: two fields of rows, or lines with a tab between the two texts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from xformer.cli.text_input import InputFormat, TextInput, format_of
from xformer.errors import InputError

if TYPE_CHECKING:
    from xformer.data.reporting import ProgressCallback


@dataclass(frozen=True)
class PairInput:
    """Pairs of texts in the order of their files; iterate over it to read them.

    N rows, or N lines, are N pairs. Either text may be empty.

    Attributes:
        first: where the first texts come from.
        field_pair: the field of a row that has the second text; None: `text_pair`.
    """

    first: TextInput
    field_pair: str | None = None

    @classmethod
    def of(
        cls,
        paths: tuple[Path, ...],
        field: str | None = None,
        field_pair: str | None = None,
        format: InputFormat | None = None,
    ) -> PairInput:
        """Check all that can be known before the first line is read.

        Raises:
            InputError: as `TextInput`, or both fields are one.
        """
        first = TextInput(paths, field, format)
        if (field or "text") == (field_pair or "text_pair"):
            raise InputError(f"--field, --field-pair: expected two different fields, got {field or 'text'!r}")
        return cls(first, field_pair)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Yield the pairs.

        Raises:
            InputError: a file is damaged or not UTF-8, a row lacks a field, or a line has no tab, or several;
                the message names file and line.
        """
        fields = self.first.field or "text", self.field_pair or "text_pair"
        for path in self.first.sources:
            if format_of(path, self.first.format) == "lines":
                yield from self._lines(path)
            else:
                for _, (one, other) in self.first.rows(path, fields):
                    yield one, other

    def count(self, progress: ProgressCallback | None = None) -> int | None:
        """Read everything once, as `TextInput.count`; None where it can be read only once."""
        from xformer.data.reporting import reported

        return sum(1 for _ in reported(self, "check", None, progress)) if self.first.repeatable else None

    def _lines(self, path: Path) -> Iterator[tuple[str, str]]:
        for number, (name, line) in enumerate(self.first.lines(path), 1):
            texts = line.split("\t")
            if len(texts) != 2:
                tabs = f"got {len(texts) - 1} tabs: {line[:60]!r}"
                raise InputError(f"{name}:{number}: expected two texts with a tab between, {tabs}")
            yield texts[0], texts[1]
