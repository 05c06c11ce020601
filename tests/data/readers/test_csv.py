"""CSV, with the quirks of spreadsheets: what is read, and what is said about damage."""

from __future__ import annotations

import csv
import gzip
import io
import tempfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from xformer.data.import_notes import ImportNotes
from xformer.data.readers import Fields, ParallelFields, read_csv
from xformer.data.readers.csv import csv_rows
from xformer.errors import InputError

BOTH = ParallelFields({"de": "de", "en": "en"})


def _read(folder: Path, content: bytes, fields: Fields | ParallelFields = BOTH) -> list[tuple[str, str, str]]:
    (folder / "x.csv").write_bytes(content)
    return [(record.language, record.text, record.source) for record in read_csv(folder / "x.csv", fields)]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"de,en\neins,one\n", id="plain"),
        pytest.param(b"de,en\r\neins,one", id="Windows, no end of line at the end"),
        pytest.param(b"\xef\xbb\xbfde;en\r\neins;one\r\n", id="Excel in Europe: byte order mark, semicolons"),
        pytest.param(b"sep=;\r\nde;en\r\neins;one\r\n", id="Excel's own first line"),
        pytest.param(b"de\ten\neins\tone\n", id="tabs"),
        pytest.param(b"de|en\neins|one\n", id="bars"),
        pytest.param(b"de , en\neins,one\n", id="spaces around names"),
        pytest.param(b"\n\nde;en\n\neins;one\n\n", id="blank lines"),
        pytest.param(b"de;en;;\neins;one;;\n;;;\n", id="empty rows and columns without a name"),
        pytest.param(b"de;en\neins;one;;\n;;;;\n", id="empty fields behind the last column"),
        pytest.param(b'"a; b";en;de\n"x; y";one;eins\n', id="a name with a semicolon"),
        pytest.param(b'"a\nb",de,en\n"x\ny",eins,one\n', id="a name of two lines"),
    ],
)
def test_the_same_table_in_many_forms(tmp_path: Path, content: bytes) -> None:
    assert [(language, text) for language, text, _ in _read(tmp_path, content)] == [
        ("de", "eins"),
        ("en", "one"),
    ]


def test_quoted_fields_hold_quotes_delimiters_and_line_ends(tmp_path: Path) -> None:
    content = b'de;en\r\n"""Ja"", sagte; sie";5" disk\r\n"zwei\r\nZeilen";two lines\r\nc;d\r\n'
    assert _read(tmp_path, content) == [
        ("de", '"Ja", sagte; sie', "x.csv:2"),
        ("en", '5" disk', "x.csv:2"),
        ("de", "zwei\nZeilen", "x.csv:3"),
        ("en", "two lines", "x.csv:3"),
        ("de", "c", "x.csv:5"),
        ("en", "d", "x.csv:5"),
    ]


@given(
    st.lists(
        st.tuples(*[st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=8)] * 2),
        max_size=6,
    ),
    st.sampled_from(",;\t|"),
)
@example([("", ""), ("\n", '"'), ("a,b", "c;d")], ",")
def test_what_the_standard_library_writes_is_read(rows: list[tuple[str, str]], delimiter: str) -> None:
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter)
    writer.writerows([("de", "en"), *rows])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.csv")
        path.write_bytes(file.getvalue().encode())
        read = [(row["de"], row["en"]) for _, _, row in csv_rows(path, ["de", "en"])]
    assert read == [row for row in rows if any(row)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", r"x\.csv: expected a header with the names of the columns, found no line$"),
        (b"text,en\na,b\n", r"x\.csv:1: no column 'de'; there are 'text', 'en'$"),
        (b"de,en,de\na,b,c\n", r"x\.csv:1: expected columns of different names, got 'de' twice$"),
        (
            b"de,en\na,b\n\nc,d,e\n",
            r"x\.csv:4: expected 2 fields, one for each column of the header, got 3; ",
        ),
        (b"de,en\na\n", r"x\.csv:2: expected 2 fields, .* got 1; a field with ','"),
        (b'de,en\na,b\n"c,d\ne,f\n', r"x\.csv:3: .* a quotation mark that is not closed before the end"),
        (b'de,en\na,"b"c\n', r"x\.csv:2: expected ',' or the end of the line after a closing quotation mark"),
        (
            b'de,en\na,b\n"' + b"x\n" * 100_000,
            r"x\.csv:3: a field of more than 131,072 characters; is a quot",
        ),
        (b"de,en\ra,b\r", r"x\.csv:1: .* got a lone \\r; save the file with other line ends$"),
        ("de,en\nä,b\n".encode("latin-1"), r"x\.csv:2: expected UTF-8, byte 1 of the line is 0xe4"),
        (
            "de,en\nä,b\n".encode("utf-16"),
            r"x\.csv:1: expected UTF-8, this is UTF-16; save the file as UTF-8$",
        ),
    ],
)
def test_damage_is_named_with_file_and_line(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(InputError, match=said):
        _read(tmp_path, content)


def test_the_field_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"x\.csv:3: field 'lang': language tag: expected .* got 'x1'$"):
        _read(tmp_path, b"text,lang\neins,deu\ntwo,x1\n", Fields("text", "lang"))


def test_a_given_delimiter_is_obeyed(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("de#en,x\neins#one,x\n")
    fields = ParallelFields({"de": "de", "en,x": "en"})
    assert [record.text for record in read_csv(path, fields, delimiter="#")] == ["eins", "one,x"]
    with pytest.raises(InputError, match="no column 'de'"):
        list(read_csv(path, fields, delimiter=";"))


def test_rows_with_a_language_each_and_notes(tmp_path: Path) -> None:
    path = tmp_path / "x.csv.gz"
    with gzip.open(path, "wb") as file:
        file.write(b"text,lang,key\neins,deu,1\none,en,1\n ,fr,1\n")
    notes = ImportNotes()
    records = list(read_csv(path, Fields("text", "lang", group="key"), notes=notes))
    assert [(record.language, record.text, record.group) for record in records] == [
        ("de", "eins", "1"),
        ("en", "one", "1"),
    ]
    assert notes.renamed == {"deu": "de"}
    assert notes.left_out == {"no text": {"fr": 1}}
    assert notes.examples == {"no text": ("", "x.csv.gz:4")}


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"

    def peak(rows: int) -> int:
        with path.open("w", encoding="utf-8") as file:
            file.write("de,en\n")
            for number in range(rows):
                file.write(f'"eine Zeile, {number}","a line, {number}"\n')
        tracemalloc.start()
        assert sum(1 for _ in csv_rows(path, ["de", "en"])) == rows
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    assert peak(8_000) < 1.5 * peak(1_000)
