"""Labelled texts. Covers `rows`."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xformer.data.labelled import (
    LabelFields,
    LeftOut,
    read_labelled,
)
from xformer.errors import InputError

Row = tuple[str, str]
WORD = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1).filter(str.strip)
ROWS = st.lists(
    st.tuples(WORD, st.sampled_from(["news", "sport", "0", "zwei Wörter"])), min_size=1, max_size=8
)


def write_tsv(path: Path, rows: list[Row]) -> None:
    lines = ["text\tlabel", *("\t".join(row) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_csv(path: Path, rows: list[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])


def write_jsonl(path: Path, rows: list[Row]) -> None:
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows)


def write_parquet(path: Path, rows: list[Row]) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    texts, labels = zip(*rows, strict=True)
    parquet.write_table(pyarrow.table({"text": list(texts), "label": list(labels)}), path)


WRITERS: dict[str, Callable[[Path, list[Row]], None]] = {
    "a.de.tsv": write_tsv,
    "a.de.csv": write_csv,
    "a.pt_BR.jsonl.gz": write_jsonl,
    "a.de.parquet": write_parquet,
}


@pytest.mark.parametrize("name", WRITERS)
@given(rows=ROWS)
def test_every_format_gives_the_rows_back(
    name: str, rows: list[Row], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("rows") / name
    WRITERS[name](path, rows)
    found = read_labelled([path], LabelFields())
    # CSV's reader strips nothing, and no reader changes a text.
    assert [(one.text, one.labels) for one in found] == [(text, (label,)) for text, label in rows]
    assert {one.language for one in found} == {"pt-BR" if "pt_BR" in name else "de"}


def test_a_file_without_header_has_numbered_columns_and_places(tmp_path: Path) -> None:
    path = tmp_path / "train.en.tsv"
    path.write_text("a cat\t1\n \t0\na dog\t2\n", encoding="utf-8")
    left_out = LeftOut()
    found = read_labelled([path], LabelFields("1", "2"), left_out)
    assert [(one.text, one.labels, one.place) for one in found] == [
        ("a cat", ("1",), f"{path}:1"),
        ("a dog", ("2",), f"{path}:3"),
    ]
    assert str(left_out) == "1 without text"


@pytest.mark.parametrize(
    ("value", "expected"),
    [("b, a,b", ("a", "b")), ("", ()), (["x,y", 3], ("3", "x,y")), ([], ()), (None, ())],
)
def test_a_text_may_have_several_labels_or_none(
    value: object, expected: tuple[str, ...], tmp_path: Path
) -> None:
    path = tmp_path / "a.en.jsonl"
    path.write_text(json.dumps({"text": "t", "label": value}) + "\n", encoding="utf-8")
    assert read_labelled([path], LabelFields(separator=","))[0].labels == expected


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.en.tsv", "text\tlabel\nx\t\n", r"a\.en\.tsv:2: field 'label': expected a label, it is empty"),
        ("a.en.tsv", "text\ttopic\nx\ty\n", r"a\.en\.tsv:1: no column 'label'; there are 'text', 'topic'"),
        ("a.en.tsv", "text\tlabel\n", r"expected texts with labels, found none"),
        ("a.en.txt", "x\ty\n", r"expected a name that ends in \.tsv, \.csv"),
        ("texts.tsv", "text\tlabel\nx\ty\n", r"name does not give the language"),
        ("a.en.jsonl", '{"text": 3, "label": "y"}\n', r"jsonl:1: field 'text': expected text, got 3"),
        ("a.en.jsonl", '{"text": "x", "label": 0.5}\n', r"expected one label: text or an integer, got 0.5"),
        ("a.en.jsonl", '{"text": "x", "label": ["y"]}\n', r"expected one label: text or an integer"),
    ],
)
def test_what_cannot_be_read_is_named(name: str, content: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=expected):
        read_labelled([tmp_path / name], LabelFields())


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.en\.tsv: no such file"):
        read_labelled([tmp_path / "none.en.tsv"], LabelFields())
    (tmp_path / "folder.en.tsv").mkdir()
    with pytest.raises(InputError, match="this is a folder"):
        read_labelled([tmp_path / "folder.en.tsv"], LabelFields())


@pytest.mark.parametrize("kind", ["arrow", "folder", "split"])
def test_what_datasets_saved_has_the_names_of_its_classes(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    from tests.data.readers.test_arrow import saved, table, write

    columns = {"text": ["good", "", "bad"], "label": [1, 0, 0], "tags": [["a"], [], []]}
    rows = table({**columns, "tags": [[0], [], []]})
    path = tmp_path / "tweets.de"
    if kind == "arrow":
        path = write(tmp_path / "tweets.de.arrow", rows)
    elif kind == "folder":
        saved(path, rows)
    else:
        saved(path / "train", rows)
        (path / "dataset_dict.json").write_text('{"splits": ["train"]}')
        with pytest.raises(InputError, match=rf"has several splits; name one: {path / 'train'}"):
            read_labelled([path], LabelFields())
        with pytest.raises(InputError, match=rf"test: no such split; {path} has train"):
            read_labelled([path / "test"], LabelFields())
        path = path / "train"
    left_out = LeftOut()
    found = read_labelled([path], LabelFields(), left_out)
    assert [(one.text, one.labels, one.language, one.place) for one in found] == [
        ("good", ("pos",), "de", f"{path}: row 1"),
        ("bad", ("neg",), "de", f"{path}: row 3"),
    ]
    assert str(left_out) == "1 without text"
    several = read_labelled([path], LabelFields(label="tags", separator=","))
    assert several[0].labels == ("a",)


def test_no_header_is_said_where_columns_might_have_numbers(tmp_path: Path) -> None:
    (tmp_path / "a.en.tsv").write_text("a cat\tx\na dog\ty\n", encoding="utf-8")
    with pytest.raises(
        InputError, match=r"no column 'text'; .* Without a header, columns have numbers: 1 to 2"
    ):
        read_labelled([tmp_path / "a.en.tsv"], LabelFields())
    (tmp_path / "a.en.jsonl").write_text('{"text": "x", "label": ["x", "y"]}\n', encoding="utf-8")
    with pytest.raises(InputError, match="with --multi-label a text may have several"):
        read_labelled([tmp_path / "a.en.jsonl"], LabelFields())
    with pytest.raises(InputError, match="missing: no such file"):
        read_labelled([tmp_path / "missing"], LabelFields())


def test_a_name_without_language_says_what_helps(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("text\tlabel\nx\ty\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"expected an end such as 'train\.en\.tsv', or --language-field"):
        read_labelled([tmp_path / "train.tsv"], LabelFields())
    pytest.importorskip("pyarrow")
    from tests.data.readers.test_arrow import saved, table

    folder = saved(tmp_path / "tweets", table())
    with pytest.raises(InputError, match=r"tweets: its name .* such as 'tweets\.en', or --language-field"):
        read_labelled([folder], LabelFields())
