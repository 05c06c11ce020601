"""The reader of plain text, one language per file."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from xformer.data.import_notes import ImportNotes
from xformer.data.readers.languages import language_of
from xformer.data.readers.lines import FilePath, read_lines
from xformer.data.record import Record, content_group


def read_text(
    path: FilePath,
    *,
    language: str | None = None,
    paragraphs: bool = False,
    notes: ImportNotes | None = None,
) -> Iterator[Record]:
    r"""Stream a plain, `.gz`, `.bz2` or `.xz` file; each line that is not blank is a record.

    Args:
        path: the file.
        language: its language. None: the end of its name before `.txt`: `news.de.txt`, `de.txt`, `news.de`.
        paragraphs: each paragraph is a record: the lines up to a blank one, joined by `\n`.
        notes: remembers how the tag was read.

    Raises:
        InputError: the file is missing, damaged or not UTF-8; the message names the line.
    """
    tag = language_of(path, language, (".txt",), notes)
    name = Path(path).name
    lines: list[str] = []
    began = 1
    for number, line in enumerate(chain(read_lines(path), [""]), 1):  # the last paragraph ends, too
        if line.strip():
            began = began if lines else number
            lines.append(line)
        if lines and (not paragraphs or not line.strip()):
            text = "\n".join(lines)
            yield Record(text, tag, content_group(text), f"{name}:{began}")
            lines = []
