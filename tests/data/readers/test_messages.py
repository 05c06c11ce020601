"""Messages in JSON: which files are translations of each other, and which texts are messages."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from xformer.data.import_notes import ImportNotes
from xformer.data.readers.messages import read_messages
from xformer.data.record import content_group
from xformer.errors import InputError


def write(folder: Path, files: dict[str, Any]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
        path.write_text(text, encoding="utf-8")
    return folder


def texts(folder: Path, **options: Any) -> set[tuple[str, str]]:
    return {(record.language, record.text) for record in read_messages([folder], **options)}


@pytest.mark.parametrize(
    "names",
    [
        ("{}.json",),
        ("locales/{}.json",),
        ("locales/{}/common.json",),
        ("web/about/{}.json", "web/home/{}.json"),
        ("src/{}/app/a.json", "src/{}/app/b.json"),  # app and src look like tags
        ("en/web/{}.json",),
    ],
)
def test_the_part_of_the_path_that_names_a_file_of_the_source_is_the_language(
    names: tuple[str, ...], tmp_path: Path
) -> None:
    messages = {"en": "Two men", "de": "Zwei Männer", "pt_BR": "Dois homens", "zh-Hans": "两个男人"}
    for name in names:
        write(tmp_path, {name.format(tag): {"title": text} for tag, text in messages.items()})
    write(tmp_path, {"package.json": {"name": "made"}, "abc.json": {"name": "no translation"}})
    assert texts(tmp_path) == {(tag.replace("_", "-"), text) for tag, text in messages.items()}


def test_groups_depend_on_the_source_text_alone(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"a/en.json": {"k": "Open", "l": {"m": "Open"}}, "a/de.json": {"k": "Öffnen", "l": {"m": "Offen"}}},
    )
    records = list(read_messages([tmp_path]))
    assert {record.group for record in records} == {content_group("Open")}
    assert [(record.text, record.id) for record in records] == [
        ("Open", "k"),
        ("Open", "l/m"),
        ("Öffnen", "k"),
        ("Offen", "l/m"),
    ]
    assert records[2].source == f"{tmp_path.name}:a/de.json"


def test_lists_numbers_and_empty_texts(tmp_path: Path) -> None:
    source = {"days": ["Monday", "Tuesday"], "n": 3, "on": True, "none": None, "empty": "", "space": " "}
    write(tmp_path, {"en.json": source, "de.json": {**source, "days": ["Montag", ""], "empty": "leer"}})
    assert texts(tmp_path) == {("en", "Monday"), ("en", "Tuesday"), ("de", "Montag")}


def test_a_file_may_be_one_object_under_its_language(tmp_path: Path) -> None:
    write(tmp_path, {"en.json": {"en": {"a": "a dog"}}, "pt-BR.json": {"pt_BR": {"a": "um cão"}}})
    assert texts(tmp_path) == {("en", "a dog"), ("pt-BR", "um cão")}
    write(tmp_path, {"en.json": {"en": "English"}, "pt-BR.json": {"en": "Inglês"}})
    assert texts(tmp_path) == {("en", "English"), ("pt-BR", "Inglês")}  # a list of languages


def test_browser_extensions_have_notes_for_translators(tmp_path: Path) -> None:
    entry = {
        "message": "Close $NAME$",
        "description": "a button",
        "placeholders": {"name": {"content": "$1"}},
    }
    write(
        tmp_path,
        {
            "_locales/en/messages.json": {"close": entry},
            "_locales/de/messages.json": {"close": {**entry, "message": "$NAME$ schließen"}},
        },
    )
    assert texts(tmp_path) == {("en", "Close $NAME$"), ("de", "$NAME$ schließen")}
    assert all("description" not in record.text for record in read_messages([tmp_path]))


def test_what_is_no_translation_is_left_out_and_noted(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"en.json": {"a": "OK", "b": "Wi-Fi"}, "de.json": {"a": "In Ordnung", "b": "Wi-Fi", "c": "neu"}},
    )
    notes = ImportNotes()
    assert texts(tmp_path, notes=notes) == {("en", "OK"), ("en", "Wi-Fi"), ("de", "In Ordnung")}
    assert notes.left_out == {"same as the original": {"de": 1}}


def test_keys_that_are_no_messages(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "en.json": {"bench": {"name": "Bench", "terms": "seat,sit"}},
            "de.json": {"bench": {"name": "Bank", "terms": "Sitz"}},
        },
    )
    assert texts(tmp_path, leave_out=re.compile("(^|/)terms$")) == {("en", "Bench"), ("de", "Bank")}


def test_another_source_language_and_its_region(tmp_path: Path) -> None:
    write(tmp_path, {"de.json": {"a": "Hund"}, "fr.json": {"a": "chien"}})
    assert texts(tmp_path, source_language="de") == {("de", "Hund"), ("fr", "chien")}
    write(tmp_path / "us", {"en-US.json": {"a": "dog"}, "fr.json": {"a": "chien"}})
    assert texts(tmp_path / "us") == {("en", "dog"), ("fr", "chien")}
    write(tmp_path / "us", {"en_GB.json": {"a": "hound"}, "ena.json": {"a": "dóg"}})
    assert texts(tmp_path / "us") == {("en", "dog"), ("en-GB", "hound"), ("ena", "dóg"), ("fr", "chien")}
    write(tmp_path / "gb", {"en_EN.json": {"a": "dog"}, "fr.json": {"a": "chien"}})
    assert texts(tmp_path / "gb") == {("en", "dog"), ("fr", "chien")}


def test_a_byte_order_mark_and_damaged_translations(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "en.json": '\ufeff{"a": "dog"}',
            "cs.json": '{"a": "pes"}',
            "de.json": '{"a": "Hund"',
            "fr.json": '["chien"]',
            "it.json": "[" * 100_000,
        },
    )
    notes = ImportNotes()
    assert texts(tmp_path, notes=notes) == {("en", "dog"), ("cs", "pes")}
    assert {name.partition(":")[2]: reason[:21] for name, reason in notes.not_read.items()} == {
        "de.json": "expected JSON in UTF-",
        "fr.json": "expected a JSON objec",
        "it.json": "objects are nested to",
    }
    write(tmp_path, {"en.json": "no"})
    with pytest.raises(InputError, match=r"en\.json: expected JSON in UTF-8"):
        texts(tmp_path)


def test_without_messages(tmp_path: Path) -> None:
    write(tmp_path, {"package.json": {"name": "made"}, "de.json": {"a": "Hund"}})
    with pytest.raises(InputError, match=r"one of them in the source language \(en\.json\), found none"):
        texts(tmp_path)


def test_files_that_are_named_one_by_one(tmp_path: Path) -> None:
    messages = {"en": "dog", "cs": "pes", "de": "Hund", "fr": " "}
    write(tmp_path, {f"{tag}.json": {"a": text} for tag, text in messages.items()})
    paths = [tmp_path / f"{tag}.json" for tag in ("cs", "en", "fr", "de")]
    notes = ImportNotes()
    found = [(r.language, r.text, r.source) for r in read_messages(paths, notes=notes)]
    assert found == [("en", "dog", "en.json"), ("cs", "pes", "cs.json"), ("de", "Hund", "de.json")]
    assert notes.left_out == {"no text": {"fr": 1}}
    assert {r.language for r in read_messages(paths, languages=["cs"])} == {"en", "cs"}
    (tmp_path / "de.json").write_text("{")
    with pytest.raises(InputError, match=r"de\.json: expected JSON"):
        list(read_messages(paths))
