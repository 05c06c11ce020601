"""The sentences that a command is given: lines of text, columns with a word a line, or rows with lists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from xformer.cli.text_input import TextInput
from xformer.errors import InputError

if TYPE_CHECKING:
    from xformer.data.reporting import ProgressCallback

WordFormat = Literal["lines", "columns", "jsonl", "parquet"]

_BY_SUFFIX: dict[str, WordFormat] = {
    ".conll": "columns",
    ".conllu": "columns",
    ".iob": "columns",
    ".iob2": "columns",
    ".bio": "columns",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}


@dataclass(frozen=True)
class Sentence:
    """Words, and the lines that they stand in.

    Attributes:
        words: in their order.
        lines: what is printed: None for the next word with its tag, any other line as it is.
    """

    words: list[str]
    lines: list[str | None]


@dataclass(frozen=True)
class WordInput:
    """Sentences in the order of their files; iterate over it to read them.

    A line of text is a sentence, also an empty one; its words are what stands between white space. Of columns
    every line is kept: words, blank lines and comments.

    Attributes:
        texts: the files, checked.
        tokens: the field with the list of words; of columns, the number of the words' column.
        format: of all files; None: by the end of each name, and lines where it says nothing.
    """

    texts: TextInput
    tokens: str | None = None
    format: WordFormat | None = None

    @classmethod
    def of(
        cls, paths: tuple[Path, ...], tokens: str | None = None, format: WordFormat | None = None
    ) -> WordInput:
        """Check all that can be known before the first line is read.

        Raises:
            InputError: a file is missing or a folder, standard input is given twice or cannot be read so.
        """
        return cls(TextInput(paths, format="parquet" if format == "parquet" else None), tokens, format)

    def __iter__(self) -> Iterator[Sentence]:
        """Yield the sentences.

        Raises:
            InputError: a file is damaged or not UTF-8, a row lacks the field, or a line the column; the
                message names file and line.
        """
        for path in self.texts.sources:
            kind = self._format_of(path)
            if kind == "columns":
                yield from self._columns(path)
            elif kind == "lines":
                for _, line in self.texts.lines(path):
                    yield _of_words(line.split())
            else:
                yield from self._rows(path, kind)

    def count(self, progress: ProgressCallback | None = None) -> int | None:
        """Read everything once, as `TextInput.count`; None where it can be read only once."""
        from xformer.data.reporting import reported

        return sum(1 for _ in reported(self, "check", None, progress)) if self.texts.repeatable else None

    def _format_of(self, path: Path) -> WordFormat:
        from xformer.data.readers.lines import uncompressed_name

        return self.format or _BY_SUFFIX.get(Path(uncompressed_name(path)).suffix, "lines")

    def _columns(self, path: Path) -> Iterator[Sentence]:
        if self.tokens is not None and not re.fullmatch("[1-9][0-9]{0,3}", self.tokens):
            raise InputError(f"--tokens-field: columns have numbers, from 1; got {self.tokens!r}")
        column, tabs = int(self.tokens or 1), None
        words: list[str] = []
        lines: list[str | None] = []
        for number, (name, line) in enumerate(self.texts.lines(path), 1):
            comment = line.startswith("#") and "\t" not in line and (tabs is None or tabs)
            if not line.strip() or comment:
                lines.append(line)
                if words and not comment:
                    yield Sentence(words, lines)
                    words, lines = [], []
                continue
            if tabs is None:
                tabs = "\t" in line
            cells = line.split("\t") if tabs else re.split(" +", line.strip(" "))
            if column > len(cells):
                raise InputError(
                    f"{name}:{number}: no column {column}; there are {len(cells)}: {line[:60]!r}"
                )
            words.append(cells[column - 1])
            lines.append(None)
        if lines:
            yield Sentence(words, lines)

    def _rows(self, path: Path, kind: WordFormat) -> Iterator[Sentence]:
        from xformer.data.readers.parquet import parquet_rows
        from xformer.data.readers.rows import field_value, jsonl_rows

        field = self.tokens or "tokens"
        name = self.texts.name_of(path)
        rows = parquet_rows(path, [field]) if kind == "parquet" else jsonl_rows(name, self.texts.open(path))
        for place, _, row in rows:
            words: list[Any] = field_value(row, field, place, list | None, "a list of words") or []
            if wrong := [word for word in words if not isinstance(word, str)]:
                raise InputError(
                    f"{place}: field {field!r}: expected a list of words, got {wrong[0]!r:.60} in it"
                )
            yield _of_words(words)


def _of_words(words: list[str]) -> Sentence:
    """A sentence with a line for each word, and a blank one at its end."""
    return Sentence(words, [*[None] * len(words), ""])
