from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xformer.data.labelled import LeftOut, PairFields, read_pairs
from xformer.errors import InputError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)


@given(
    rows=st.lists(
        st.tuples(TEXT, TEXT, st.sampled_from(["0", "same", "zwei Wörter"])), min_size=1, max_size=8
    )
)
def test_rows_come_back_in_their_order(
    rows: list[tuple[str, str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("pairs") / "train.en-de.jsonl"
    objects = [{"text": one, "text_pair": other, "label": label} for one, other, label in rows]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in objects), encoding="utf-8")
    found = read_pairs([path], PairFields())
    assert [(one.text, one.text_pair, one.labels[0]) for one in found] == rows
    assert {one.language for one in found} == {"en+de"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("train.en-de.tsv", ("en", "de")),
        ("train.en+de.tsv", ("en", "de")),
        ("train.pt_BR-en.tsv", ("pt-BR", "en")),
        ("train.fr.tsv", ("fr", "fr")),
        ("train.pt_BR.tsv", ("pt-BR", "pt-BR")),
    ],
)
def test_the_name_says_both_languages(name: str, expected: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / name).write_text("text\ttext_pair\tlabel\na\tb\tx\n", encoding="utf-8")
    assert read_pairs([tmp_path / name], PairFields())[0].languages == expected


def test_fields_say_the_languages_and_empty_texts_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text("l1\ta\tl2\tb\ty\nen\tx\tfr\ty\t1\nen\t \tfr\ty\t0\n", encoding="utf-8")
    left_out = LeftOut()
    found = read_pairs([path], PairFields("a", "b", "y", "l1", "l2"), left_out)
    assert [(one.languages, one.place) for one in found] == [(("en", "fr"), f"{path}:2")]
    assert str(left_out) == "1 of which a text is empty"


@pytest.mark.parametrize(
    ("name", "content", "fields", "expected"),
    [
        (
            "a.en-de.tsv",
            "text\ttext_pair\tlabel\na\tb\t\n",
            PairFields(),
            r"tsv:2: field 'label': expected a label",
        ),
        ("a.en-de.tsv", "text\tother\tlabel\na\tb\tx\n", PairFields(), r"tsv:1: no column 'text_pair'"),
        (
            "a.en-de.tsv",
            "text\ttext_pair\tlabel\n",
            PairFields(),
            "expected pairs of texts with labels, found",
        ),
        ("pairs.tsv", "text\ttext_pair\tlabel\na\tb\tx\n", PairFields(), r"an end such as '\.en-de\.tsv'"),
        ("a.en.tsv", "text\tlabel\na\tx\n", PairFields("text", "text"), "expected two different fields"),
        ("a.en.tsv", "text\tlabel\na\tx\n", PairFields(language="l"), "expected both or none"),
    ],
)
def test_what_cannot_be_read_is_named(
    name: str, content: str, fields: PairFields, expected: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=expected):
        read_pairs([tmp_path / name], fields)
