"""The texts that a command is given: lines of files or of standard input, or one field of their rows."""

from __future__ import annotations

import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from xformer.errors import InputError

if TYPE_CHECKING:
    from xformer.data.reporting import ProgressCallback

InputFormat = Literal["lines", "jsonl", "tsv", "csv", "parquet"]
TextFiles = Annotated[tuple[Path, ...], tyro.conf.arg(metavar="[FILE ...]")]

_BY_SUFFIX: dict[str, InputFormat] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".tsv": "tsv",
    ".csv": "csv",
    ".parquet": "parquet",
}
STANDARD_INPUT = Path("-")
"""The path that is standard input."""


def format_of(path: Path, given: InputFormat | None = None) -> InputFormat:
    """The format of a file: as given, or by the end of its name; lines where that says nothing."""
    from xformer.data.readers.lines import uncompressed_name

    return given or _BY_SUFFIX.get(Path(uncompressed_name(path)).suffix, "lines")


@dataclass(frozen=True)
class TextInput:
    r"""Texts in the order of their files; iterate over it to read them.

    Lines end at `\n` only, and an empty line is a text. A null field of a row is the empty text. So N lines
    or rows are N texts. Blank lines between rows are no rows, and rows of CSV without any text neither.

    Attributes:
        paths: plain or compressed files; `-`, or no path at all, is standard input.
        field: the field of a row that has the text; a dotted name is nested. None: `text`.
        format: of all files; None: by the end of each name, and lines where it says nothing.
        must_have: what each text must contain; None: anything will do.
    """

    paths: tuple[Path, ...] = ()
    field: str | None = None
    format: InputFormat | None = None
    must_have: str | None = None

    def __post_init__(self) -> None:
        """Check all that can be known before the first line is read.

        Raises:
            InputError: a file is missing or is a folder, standard input is given twice or is closed, or a
                field is named and no file has fields.
        """
        from xformer.data.readers.lines import input_errors

        for path in self.files:
            if not path.exists() and " " in path.name:
                raise InputError(
                    f"{path}: no such file; a text itself is given on standard input: echo '…' | xformer …"
                )
            with input_errors(path):
                if stat.S_ISDIR(path.stat().st_mode):
                    raise IsADirectoryError
        standard = len(self.sources) - len(self.files)
        if standard > 1:
            raise InputError("-: expected standard input once")
        if standard and sys.stdin is None:
            raise InputError("expected a file, or texts on standard input, which is closed")
        if standard and self.format == "parquet":
            raise InputError("standard input: a Parquet file cannot be read from a pipe; name the file")
        if self.field is not None and all(format_of(path, self.format) == "lines" for path in self.sources):
            raise InputError(
                f"--field {self.field}: lines have no fields; say which rows these are with --input-format"
            )

    @property
    def sources(self) -> tuple[Path, ...]:
        """The paths, that of standard input too."""
        return self.paths or (STANDARD_INPUT,)

    @property
    def files(self) -> tuple[Path, ...]:
        """The paths without standard input."""
        return tuple(path for path in self.sources if path != STANDARD_INPUT)

    @property
    def repeatable(self) -> bool:
        """Whether the texts can be read more than once: all are in files, none in a pipe."""
        return len(self.files) == len(self.sources) and all(path.is_file() for path in self.files)

    def __iter__(self) -> Iterator[str]:
        """Yield the texts.

        Raises:
            InputError: a file is damaged or not UTF-8, a row lacks the field, or a text lacks what it must
                have; the message names file and line.
        """
        for path in self.sources:
            lines = format_of(path, self.format) == "lines"
            found = self.lines(path) if lines else self._texts(path)
            for number, (place, text) in enumerate(found, 1):
                if self.must_have is not None and self.must_have not in text:
                    where = f"{place}:{number}" if lines else place
                    raise InputError(f"{where}: expected a text with {self.must_have}, got {text[:80]!r}")
                yield text

    def count(self, progress: ProgressCallback | None = None) -> int | None:
        """Read everything once; None where it can be read only once.

        So a damaged line is found before the lines above it have been worked on.

        Raises:
            InputError: as iterating.
        """
        from xformer.data.reporting import reported

        if not self.repeatable:
            return None
        return sum(1 for _ in reported(self, "check", None, progress))

    @property
    def typed(self) -> bool:
        """Whether the texts come from someone at a terminal."""
        return len(self.files) < len(self.sources) and sys.stdin.isatty()

    def say_what_is_awaited(self) -> None:
        """Tell a user at a terminal, who gave no file, that the command reads what they type."""
        if self.typed:
            with suppress(OSError):
                print("xformer: type one text a line; Ctrl-D on an empty line ends", file=sys.stderr)

    @staticmethod
    def name_of(path: Path) -> str:
        """The name of a file in messages."""
        return "standard input" if path == STANDARD_INPUT else str(path)

    def open(self, path: Path) -> Iterator[str]:
        """The lines of a file or of standard input."""
        from xformer.data.readers.lines import decode_lines, read_lines

        if path == STANDARD_INPUT:
            return decode_lines(sys.stdin.buffer, self.name_of(path))
        return read_lines(path)

    def lines(self, path: Path) -> Iterator[tuple[str, str]]:
        """The name of a file with each of its lines."""
        return zip(repeat(self.name_of(path)), self.open(path))

    def _texts(self, path: Path) -> Iterator[tuple[str, str]]:
        return ((place, text) for place, (text,) in self.rows(path, [self.field or "text"]))

    def rows(self, path: Path, fields: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
        """The place of each row of a file, and the texts in some of its fields."""
        from xformer.data.readers import rows
        from xformer.data.readers.csv import csv_rows
        from xformer.data.readers.parquet import parquet_rows

        kind = format_of(path, self.format)
        if kind == "parquet":
            found = parquet_rows(path, fields)
        elif kind == "jsonl":
            found = rows.jsonl_rows(self.name_of(path), self.open(path))
        elif kind == "csv":
            found = csv_rows(self.name_of(path), fields, lines=self.open(path))
        else:
            found = rows.tsv_rows(self.name_of(path), fields, lines=self.open(path))
        for place, _, row in found:
            yield place, [rows.text_field(row, field, place) for field in fields]
