"""Rows of named fields; covers xformer.data.readers.languages, too."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xformer.data.import_notes import ImportNotes
from xformer.data.readers import Fields, ParallelFields, read_csv, read_jsonl, read_parquet, read_tsv
from xformer.data.record import Record

SOME = Fields(text="text", language="lang", group="key", id="n", label="topic")
ROWS = [
    {"n": "1", "lang": "de", "text": 'Er "sagte" \\N', "key": "g", "topic": "a"},
    {"n": "2", "lang": "pt_br", "text": "Disse", "key": "g", "topic": ""},
    {"n": "3", "lang": "en", "text": " ", "key": "g", "topic": "b"},
]
EXPECTED = [
    Record('Er "sagte" \\N', "de", "g", "", "1", "a"),
    Record("Disse", "pt-BR", "g", "", "2", None),
]


def as_tsv(rows: list[dict[str, str]]) -> str:
    return "".join("\t".join(row) + "\n" for row in [list(rows[0]), *(list(row.values()) for row in rows)])


def as_jsonl(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def but_source(records: Any) -> list[Record]:
    return [Record(r.text, r.language, r.group, "", r.id, r.label) for r in records]


def test_named_fields_in_every_format(write: Any, as_parquet: Any) -> None:
    tsv = list(read_tsv(write("a.tsv", as_tsv(ROWS)), SOME))
    jsonl = list(read_jsonl(write("a.jsonl.gz", gzip.compress(as_jsonl(ROWS).encode())), SOME))
    parquet = list(read_parquet(as_parquet(ROWS), SOME))
    assert but_source(tsv) == but_source(jsonl) == but_source(parquet) == EXPECTED
    assert [record.source for record in tsv] == ["a.tsv:2", "a.tsv:3"]
    assert [record.source for record in jsonl] == ["a.jsonl.gz:1", "a.jsonl.gz:2"]
    assert [record.source for record in parquet] == ["a.parquet:1", "a.parquet:2"]


def test_parallel_fields_in_every_format(write: Any, as_parquet: Any) -> None:
    rows = [{"de": "Eins", "en": "One"}, {"de": "", "en": "Two"}]
    fields = ParallelFields({"de": "DE", "en": "en_GB"})
    expected = [("de", "Eins"), ("en-GB", "One"), ("en-GB", "Two")]
    for records in (
        list(read_tsv(write("a.tsv", as_tsv(rows)), fields)),
        list(read_jsonl(write("a.jsonl", as_jsonl(rows)), fields)),
        list(read_parquet(as_parquet(rows), fields)),
    ):
        assert [(record.language, record.text) for record in records] == expected
        assert records[0].group == records[1].group != records[2].group


def test_nested_fields(write: Any, as_parquet: Any) -> None:
    rows = [{"id": 7, "translation": {"de": "Eins", "en": "One"}}]
    fields = ParallelFields({"translation.de": "de", "translation.en": "en"}, id="id")
    for records in (
        list(read_jsonl(write("a.jsonl", as_jsonl(rows)), fields)),
        list(read_parquet(as_parquet(rows), fields)),
    ):
        assert [(record.text, record.id) for record in records] == [("Eins", "7"), ("One", "7")]
    dotted: list[dict[str, Any]] = [{"a.b": "text"}]
    assert [r.text for r in read_jsonl(write("x.de.jsonl", as_jsonl(dotted)), Fields("a.b"))] == ["text"]


def test_the_language_of_a_file(write: Any) -> None:
    assert (
        next(read_jsonl(write("train.pt_BR.jsonl.gz", gzip.compress(b'{"text": "x"}')), Fields())).language
        == "pt-BR"
    )
    assert next(read_tsv(write("de.tsv", "text\nx\n"), Fields())).language == "de"
    assert next(read_tsv(write("a.tsv", "text\nx\n"), Fields(), language="zh_hans")).language == "zh-Hans"


def test_equal_texts_are_one_group_without_a_group_field(write: Any) -> None:
    first, second, third = read_tsv(write("de.tsv", "text\nx\ny\nx\n"), Fields())
    assert first.group == third.group != second.group


def test_a_tsv_file_without_header(write: Any) -> None:
    path = write("a.tsv", "\ufeff1\tEins\r\n\n2\tZwei\u2028drei\r\n")
    records = list(read_tsv(path, Fields(text="t", label="n"), language="de", columns=["n", "t"]))
    assert [(record.label, record.text, record.source) for record in records] == [
        ("1", "Eins", "a.tsv:1"),
        ("2", "Zwei\u2028drei", "a.tsv:3"),
    ]


def test_columns_by_number_where_there_is_no_header(write: Any, brief: Any, refused: Any) -> None:
    rows = "1\tHello.\tHallo.\n2\tGood day.\tGuten Tag.\n"
    expected = [("en", "Hello."), ("de", "Hallo."), ("en", "Good day."), ("de", "Guten Tag.")]
    for path, read in (
        (write("a.tsv", rows), read_tsv),
        (write("a.csv", rows.replace("\t", ";")), read_csv),
        (write("q.csv", '1,"Hello.","Hallo."\n2,"Good day.","Guten Tag."\n'), read_csv),
    ):
        assert brief(read(path, ParallelFields({"2": "en", "3": "de"}, id="1"))) == expected
        assert [r.text for r in read(path, Fields("3"), language="de")] == ["Hallo.", "Guten Tag."]
        with refused(f"{path}:1", "no column 4; there are 3"):
            list(read(path, Fields("4"), language="de"))
    with refused("a.tsv:2", "expected 3 fields", "got 2"):
        list(read_tsv(write("a.tsv", "1\ta\tb\n2\ta\n"), Fields("2"), language="de"))
    # Names that are numbers are names.
    years = write("years.tsv", "1999\t2\nalt\tneu\n")
    assert brief(read_tsv(years, Fields("2"), language="de")) == [("de", "neu")]


def test_what_has_the_texts_is_null(write: Any, as_parquet: Any, brief: Any) -> None:
    rows: list[dict[str, Any]] = [
        {"translation": {"en": "One", "de": "Eins"}},
        {"translation": None},
        {"translation": {"en": None, "de": "Zwei"}},
    ]
    fields = ParallelFields({"translation.en": "en", "translation.de": "de"})
    notes = ImportNotes()
    for records in (
        read_jsonl(write("a.jsonl", as_jsonl(rows)), fields, notes=notes),
        read_parquet(as_parquet(rows), fields),
    ):
        assert brief(records) == [("en", "One"), ("de", "Eins"), ("de", "Zwei")]
    assert notes.left_out["no text"] == {"en": 2, "de": 1}


FIELD = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\t\n\r"), min_size=1)


@settings(max_examples=50)
@given(st.lists(st.tuples(FIELD, FIELD), min_size=1))
def test_quotes_and_backslashes_are_text(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    path = tmp_path_factory.mktemp("tsv") / "a.tsv"
    path.write_bytes(("label\ttext\n" + "".join(f"{a}\t{b}\n" for a, b in rows)).encode())
    read = [(r.label, r.text) for r in read_tsv(path, Fields(label="label"), language="de")]
    assert read == [row for row in rows if row[1].strip()]


@pytest.mark.parametrize(
    ("content", "fields", "pieces"),
    [
        ("a\tb\nx\ty\n", Fields(), (":1", "no column 'text'", "'a', 'b'")),
        ("text\ttext\n", Fields(), (":1", "'text' twice")),
        ("text\tb\nx\n", Fields(), (":2", "expected 2 fields", "got 1")),
        ("text\nx\ty\n", Fields(), (":2", "expected 1 fields", "got 2")),
        ("text\tlang\nx\t?\n", Fields(language="lang"), (":2", "'lang'", "language tag", "'?'")),
        (b"text\nx\n\xff\n", Fields(), (":3", "UTF-8")),
    ],
)
def test_broken_tsv(
    write: Any, refused: Any, content: str | bytes, fields: Fields, pieces: tuple[str, ...]
) -> None:
    path = write("a.tsv", content)
    with refused(path, *pieces):
        list(read_tsv(path, fields, language=None if fields.language else "de"))


@pytest.mark.parametrize(
    ("line", "fields", "pieces"),
    [
        ('{"text": "x"', Fields(), ("expected a JSON object", "column 13")),
        ('["text"]', Fields(), ("expected a JSON object", '["text"]')),
        ("[" * 100_000, Fields(), ("expected a JSON object",)),
        ('{"txt": "x"}', Fields(), ("no field 'text'", "'txt'")),
        ('{"text": 3}', Fields(), ("'text'", "expected text, got 3")),
        ('{"text": "x", "l": 3}', Fields(language="l"), ("'l'", "language tag, got 3")),
        ('{"text": "x", "l": "no tag"}', Fields(language="l"), ("'l'", "no tag")),
        ('{"text": "x", "g": [1]}', Fields(group="g"), ("'g'", "text or an integer", "[1]")),
        ('{"text": "x", "a": 1}', Fields(id="a.b"), ("no field 'a.b'",)),
        ('{"text": "\\ud800"}', Fields(), ("'text'", "surrogate")),
        ('{"text": "x", "text": "y"}', Fields(), ("fields of different names", "'text' twice")),
        (
            '{"text": "x", "a": {"b": 1, "c": 2, "b": 3}}',
            Fields(),
            ("fields of different names", "'b' twice"),
        ),
    ],
)
def test_broken_json_lines(
    write: Any, refused: Any, line: str, fields: Fields, pieces: tuple[str, ...]
) -> None:
    good = '{"text": "x", "l": "de", "g": "1", "a": {"b": "c"}}'
    path = write("a.de.jsonl", f"{good}\n\n{line}\n")
    reader = read_jsonl(path, fields)
    assert next(reader).text == "x"
    with refused(f"{path}:3:", *pieces):
        list(reader)


def test_null_texts_and_labels(write: Any) -> None:
    rows: list[dict[str, Any]] = [{"text": None, "y": 1}, {"text": "x", "y": None}, {"text": "z", "y": 0}]
    records = list(read_jsonl(write("a.de.jsonl", as_jsonl(rows)), Fields(label="y")))
    assert [(record.text, record.label) for record in records] == [("x", None), ("z", "0")]


def test_importing_the_readers_imports_nothing_heavy(repository: Path) -> None:
    code = "import sys, xformer.data.readers; print({'pyarrow', 'torch', 'pandas'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


def test_parallel_fields_are_checked_once() -> None:
    with pytest.raises(ValueError, match="two fields or more"):
        ParallelFields({"de": "de"})
    with pytest.raises(ValueError, match="language tag"):
        ParallelFields({"de": "de", "en": "?"})
