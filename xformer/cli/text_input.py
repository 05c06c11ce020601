"""The texts that a command is given: lines of files or of standard input, or one field of their rows."""

from __future__ import annotations

import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import tyro

from xformer.errors import InputError

if TYPE_CHECKING:
    from xformer.data.readers.rows import Row
    from xformer.data.reporting import ProgressCallback

T = TypeVar("T")

InputFormat = Literal["lines", "jsonl", "tsv", "parquet"]
TextFiles = Annotated[tuple[Path, ...], tyro.conf.arg(metavar="[FILE ...]")]

_BY_SUFFIX: dict[str, InputFormat] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".tsv": "tsv",
    ".parquet": "parquet",
}
_STDIN = "standard input"


@dataclass(frozen=True)
class TextInput:
    r"""Texts in the order of their files; iterate over it to read them.

    Lines end at `\n` only, and an empty line is a text. A null field of a row is the empty text. So N lines
    or rows are N texts. Blank lines between rows are no rows.

    Attributes:
        paths: plain or compressed files; `-`, or no path at all, is standard input.
        field: the field of a row that has the text; a dotted name is nested. None: `text`.
        format: of all files; None: by the end of each name, and lines where it says nothing.
    """

    paths: tuple[Path, ...] = ()
    field: str | None = None
    format: InputFormat | None = None

    def __post_init__(self) -> None:
        """Check all that can be known before the first line is read.

        Raises:
            InputError: a file is missing or is a folder, standard input is given twice or is closed, or a
                field is named and no file has fields.
        """
        from xformer.data.readers.lines import input_errors

        for path in self._files:
            with input_errors(path):
                if stat.S_ISDIR(path.stat().st_mode):
                    raise IsADirectoryError
        standard = len(self._sources) - len(self._files)
        if standard > 1:
            raise InputError("-: expected standard input once")
        if standard and sys.stdin is None:
            raise InputError("expected a file, or texts on standard input, which is closed")
        if standard and self.format == "parquet":
            raise InputError("standard input: a Parquet file cannot be read from a pipe; name the file")
        if self.field is not None and all(self.format_of(path) == "lines" for path in self._sources):
            raise InputError(
                f"--field {self.field}: lines have no fields; say which rows these are with --input-format"
            )

    @property
    def _sources(self) -> tuple[Path, ...]:
        return self.paths or (Path("-"),)

    @property
    def _files(self) -> tuple[Path, ...]:
        return tuple(path for path in self._sources if path != Path("-"))

    @property
    def repeatable(self) -> bool:
        """Whether the texts can be read more than once: all are in files, none in a pipe."""
        return len(self._files) == len(self._sources) and all(path.is_file() for path in self._files)

    def format_of(self, path: Path) -> InputFormat:
        """The format of a file: as given, or by its name."""
        from xformer.data.readers.lines import uncompressed_name

        return self.format or _BY_SUFFIX.get(Path(uncompressed_name(path)).suffix, "lines")

    def __iter__(self) -> Iterator[str]:
        """Yield the texts.

        Raises:
            InputError: a file is damaged or not UTF-8, or a row lacks the field; the message names file and
                line.
        """
        for path in self._sources:
            if self.format_of(path) == "lines":
                yield from self._lines(path)
            else:
                yield from self._texts_of_rows(path)

    def __str__(self) -> str:
        return ", ".join(_STDIN if path == Path("-") else str(path) for path in self._sources)

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

    def say_what_is_awaited(self) -> None:
        """Tell a user at a terminal, who gave no file, that the command reads what they type."""
        if len(self._files) < len(self._sources) and sys.stdin.isatty():
            with suppress(OSError):
                print("xformer: type one text a line; Ctrl-D on an empty line ends", file=sys.stderr)

    def _lines(self, path: Path) -> Iterator[str]:
        from xformer.data.readers.lines import decode_lines, read_lines

        return decode_lines(sys.stdin.buffer, _STDIN) if path == Path("-") else read_lines(path)

    def _texts_of_rows(self, path: Path) -> Iterator[str]:
        from xformer.data.readers.rows import text_field

        field = self.field or "text"
        for place, _, row in self._rows(path, field):
            yield text_field(row, field, place)

    def _rows(self, path: Path, field: str) -> Iterator[Row]:
        from xformer.data.readers import rows

        kind = self.format_of(path)
        if kind == "parquet":
            return rows.parquet_rows(path, [field])
        name, lines = (_STDIN if path == Path("-") else path), self._lines(path)
        if kind == "jsonl":
            return rows.jsonl_rows(name, lines)
        return rows.tsv_rows(name, [field], lines=lines)
