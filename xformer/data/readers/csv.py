"""The reader of CSV, as spreadsheets and data frames write it."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from xformer.data.import_notes import ImportNotes
from xformer.data.readers.lines import FilePath, read_lines
from xformer.data.readers.rows import Row, RowFields, check_columns, numbered_columns, records_of_rows
from xformer.data.record import Record
from xformer.errors import InputError

DELIMITERS = (",", ";", "\t", "|")
"""What may stand between fields; the first that fits is taken."""

_LONGEST_HEADER = 100  # lines, if quoted names of columns hold line ends
_SEP = "sep="


def read_csv(
    path: FilePath,
    fields: RowFields,
    *,
    language: str | None = None,
    delimiter: str | None = None,
    notes: ImportNotes | None = None,
) -> Iterator[Record]:
    """Stream the rows of a plain, `.gz`, `.bz2` or `.xz` file of CSV (RFC 4180).

    Fields in double quotes may hold delimiters, line ends and doubled quotes. Blank lines, rows of empty
    fields, columns without a name and empty fields behind the last column are skipped. A first line such as
    `sep=;`, which Excel writes and reads, gives the delimiter. A file without a header has numbers for its
    columns, as for `read_tsv`.

    Args:
        path: the file, in UTF-8, with or without a byte order mark.
        fields: the meaning of the columns.
        language: of every row, if `fields` names no column for it. None: the end of the file's name, as in
            `train.de.csv`.
        delimiter: one character. None: of `DELIMITERS`, the first that divides the header into columns with
            the names in `fields`.
        notes: collects what is left out and how tags were read.

    Raises:
        InputError: a column is missing or has the name of another, a row has more or fewer fields than there
            are columns, or a quotation mark is not closed or out of place; the message names the line.
    """
    rows = csv_rows(path, fields.names, delimiter)
    return records_of_rows(rows, path, fields, language, (".csv", ".txt"), notes)


def csv_rows(
    path: FilePath,
    needed: Sequence[str],
    delimiter: str | None = None,
    lines: Iterable[str] | None = None,
) -> Iterator[Row]:
    """Stream the rows of a CSV file, as `read_csv` does, with `needed` columns in it.

    `lines` are those of the file where it is not opened by name, as standard input.
    """
    lines = (f"{line}\n" for line in (read_lines(path) if lines is None else lines))
    name, skipped = os.fspath(path), 0
    header = [next(lines, "")]
    if header[0].lower().startswith(_SEP) and len(header[0].rstrip()) == len(_SEP) + 1:
        delimiter = delimiter or header[0][len(_SEP)]
        header, skipped = [next(lines, "")], 1
    while _unfinished(header) and len(header) < _LONGEST_HEADER and (line := next(lines, "")):
        header.append(line)
    delimiter = delimiter or _delimiter(header, needed)
    columns: list[str] | None = None
    for number, values in _parsed(chain(header, lines), delimiter, name, skipped):
        place = f"{name}:{number}"
        if columns is None and (numbered := numbered_columns(list(map(str.strip, values)), needed, place)):
            columns = numbered
        elif columns is None:
            columns = [column.strip() for column in values]
            check_columns([column for column in columns if column], needed, place)
            continue
        if not any(values[len(columns) :]):
            del values[len(columns) :]
        if len(values) != len(columns) and any(values):
            raise InputError(
                f"{place}: expected {len(columns)} fields, one for each column of the header, got "
                f"{len(values)}; a field with {delimiter!r} or a line end inside needs quotation marks"
            )
        if any(values):
            row = zip(columns, values, strict=True)
            yield place, number, {column: value for column, value in row if column}
    if columns is None:
        raise InputError(f"{name}: expected a header with the names of the columns, found no line")


def _unfinished(header: Sequence[str]) -> bool:
    """Whether the header goes on in the next line: so far it is blank, or a quotation mark is open."""
    text = "".join(header)
    return not text.strip() or text.count('"') % 2 == 1


def _delimiter(header: Sequence[str], needed: Sequence[str]) -> str:
    """The first delimiter that gives columns with the names that are needed, else the one that gives most."""

    def columns(delimiter: str) -> list[str]:
        try:
            rows = csv.reader(header, delimiter=delimiter)
            return [name.strip() for name in next(filter(None, rows), [])]
        except csv.Error:
            return []

    found = {delimiter: columns(delimiter) for delimiter in DELIMITERS}
    fitting = (delimiter for delimiter in DELIMITERS if set(needed) <= set(found[delimiter]))
    return next(fitting, None) or max(DELIMITERS, key=lambda delimiter: len(found[delimiter]))


def _parsed(lines: Iterable[str], delimiter: str, name: str, skipped: int) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank, each with the line that it begins in; `skipped` lines came before."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        number = skipped + reader.line_num + 1
        try:
            values = next(reader, None)
        except csv.Error as error:
            raise InputError(f"{name}:{number}: {_problem(str(error), delimiter)}") from error
        if values is None:
            return
        if values:
            yield number, values


def _problem(error: str, delimiter: str) -> str:
    """What is wrong with a row, in words of a user, from the message of the standard library."""
    if "unexpected end of data" in error:
        return "the row that begins here has a quotation mark that is not closed before the end of the file"
    if "field limit" in error:
        limit = csv.field_size_limit()
        return f"a field of more than {limit:,} characters; is a quotation mark of this row not closed?"
    if "new-line character" in error:
        return r"expected lines that end in \n or \r\n, got a lone \r; save the file with other line ends"
    if "expected after" in error:
        return (
            f"expected {delimiter!r} or the end of the line after a closing quotation mark; a quotation mark "
            'inside of a quoted field is written twice: ""'
        )
    return error
