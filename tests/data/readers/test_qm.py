"""The reader of Qt's catalogues: groups, plurals, languages, and what is left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.data.readers.test_qm_file import CZECH, qm_bytes
from xformer.cli.formats import records, source_of
from xformer.data.import_notes import ImportNotes
from xformer.data.readers import Fields, read_qm
from xformer.data.readers.qm_file import QmMessage
from xformer.data.record import content_group

OPEN = QmMessage(1, "Open", "Window", None, ("Öffnen",))
FILES = QmMessage(2, "%n file(s)", "Window", None, ("%n soubor", "%n soubory", "%n souborů"))


def test_a_source_text_is_one_group_in_all_catalogues(write: Any) -> None:
    write("words/app_de.qm", qm_bytes([OPEN]))
    write("words/app_fr.qm", qm_bytes([QmMessage(9, "Open", "Dialog", "verb", ("Ouvrir",))]))
    path = write("words/readme.txt", "").parent
    found = [(record.language, record.text, record.group, record.source) for record in read_qm([path])]
    group = content_group("Open")
    assert found == [
        ("en", "Open", group, "words:app_de.qm"),
        ("de", "Öffnen", group, "words:app_de.qm"),
        ("fr", "Ouvrir", group, "words:app_fr.qm"),
    ]


def test_a_plural_is_its_form_for_one_and_for_many(write: Any, brief: Any) -> None:
    path = write("app_cs.qm", qm_bytes([FILES], CZECH))
    assert brief(read_qm([path])) == [("en", "%n file(s)"), ("cs", "%n soubor"), ("cs", "%n souborů")]
    assert brief(read_qm([write("b_cs.qm", qm_bytes([FILES]))]))[1:] == [("cs", "%n souborů")]
    english = QmMessage(2, "%n file(s)", None, None, ("%n file", "%n files"))
    path = write("app_en.qm", qm_bytes([english], bytes([1, 1])))
    assert brief(read_qm([path])) == [("en", "%n file"), ("en", "%n files")]


def test_without_source_texts_the_hash_and_the_application_are_the_group(write: Any) -> None:
    for name, text in (("app_de", "Öffnen"), ("app_fr", "Ouvrir"), ("other_fr", "Fermer")):
        write(f"words/{name}.qm", qm_bytes([QmMessage(7, None, None, None, (text,))]))
    found = {record.text: record.group for record in read_qm([write("words/a", "").parent])}
    assert set(found) == {"Öffnen", "Ouvrir", "Fermer"}
    assert found["Öffnen"] == found["Ouvrir"] != found["Fermer"]


def by_ids(language: str, *ids: str) -> bytes:
    """A catalogue as `lrelease -idbased` makes it."""
    messages = [QmMessage(number, id, "", "", (f"{id} auf {language}",)) for number, id in enumerate(ids)]
    return qm_bytes(messages, language=language)


def test_ids_are_no_text(write: Any, brief: Any) -> None:
    """Their messages are one group in all catalogues of an application, with the English of its own."""
    write("words/app_de.qm", by_ids("de", "settings-la-open", "qtn_close", "Ok", "home.title"))
    write("words/app_en.qm", by_ids("en", "settings-la-open"))
    folder = write("words/other_de.qm", by_ids("de", "settings-la-open")).parent
    notes = ImportNotes()
    found = list(read_qm([folder], notes=notes))
    assert {(record.language, record.text.partition(" ")[0]) for record in found} == {
        ("de", "settings-la-open"), ("de", "qtn_close"), ("de", "Ok"), ("de", "home.title"),
        ("en", "settings-la-open"),
    }  # fmt: skip
    groups = [record.group for record in found if record.text.startswith("settings")]
    assert groups[0] == groups[1] != groups[2]
    assert {reason: dict(counts) for reason, counts in notes.left_out.items()} == {
        "id in place of a source text": {"en": 5}
    }


@pytest.mark.parametrize(
    ("messages", "are_ids"),
    [
        ([("a.b", "")], True),
        ([("a.b", ""), ("OK", ""), ("x-y", "")], True),
        ([("a.b", "Window")], False),
        ([("a.b", ""), ("Sign in", "")], False),
        ([("sign-in", ""), ("Open", ""), ("Close", "")], False),
        ([("a.b", ""), ("Really?", "")], False),
        ([("btnOpen", ""), ("btnClose", "")], False),
    ],
)
def test_ids_are_told_from_words(messages: list[tuple[str, str]], are_ids: bool, write: Any) -> None:
    found = [QmMessage(1, source, context, None, ("Text",)) for source, context in messages]
    languages = {record.language for record in read_qm([write("app_de.qm", qm_bytes(found))])}
    assert languages == ({"de"} if are_ids else {"de", "en"})


def test_what_is_not_translated_is_left_out(write: Any, brief: Any) -> None:
    messages = [
        QmMessage(1, "OK", None, None, ("OK",)),
        QmMessage(2, "Close", None, None, (None,)),
        QmMessage(3, "Print", None, None, ()),
        QmMessage(4, "", None, None, (" ",)),
        QmMessage(5, "", None, None, ("Text",)),
    ]
    notes = ImportNotes()
    assert brief(read_qm([write("deu.qm", qm_bytes(messages))], notes=notes)) == [("de", "Text")]
    assert {reason: dict(counts) for reason, counts in notes.left_out.items()} == {
        "same as the original": {"de": 1},
        "not translated": {"de": 3},
    }
    assert notes.renamed == {"deu": "de"}


@pytest.mark.parametrize(
    ("name", "language"),
    [
        ("qtbase_de.qm", "de"),
        ("qt_zh_TW.qm", "zh-TW"),
        ("qt_help_ja.qm", "ja"),
        ("app-pt_BR.qm", "pt-BR"),
        ("app.sr@latin.qm", "sr-Latn"),
        ("translation_sr-Latn.qm", "sr-Latn"),
        ("fr.qm", "fr"),
        ("cs/LC_MESSAGES/kcoreaddons5_qt.qm", "cs"),
        ("ca@valencia/LC_MESSAGES/app_qt.qm", "ca-valencia"),
        ("translations/uk/app.qm", "uk"),
    ],
)
@pytest.mark.parametrize("is_given", [True, False])
def test_the_language_is_in_the_name_or_the_folder(
    tmp_path: Path, write: Any, name: str, language: str, is_given: bool
) -> None:
    path = write(name, qm_bytes([OPEN]))
    found = list(read_qm([path if is_given else tmp_path]))
    assert {record.language for record in found} == {"en", language}


def test_the_language_in_the_file_and_the_given_one_come_before_the_name(write: Any) -> None:
    path = write("app_fr.qm", qm_bytes([OPEN], language="de_AT"))
    assert {record.language for record in read_qm([path])} == {"en", "de-AT"}
    assert {record.language for record in read_qm([path], language="nl")} == {"en", "nl"}


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, write: Any, refused: Any) -> None:
    broken = write("words/app_de.qm", qm_bytes([OPEN])[:-30])
    nameless = write("words/application.qm", qm_bytes([OPEN]))
    with refused(broken, "truncated"):
        list(read_qm([broken]))
    with refused(nameless, "nothing gives the language"):
        list(read_qm([nameless]))
    with refused("none of 2 Qt catalogues can be read"):
        list(read_qm([tmp_path / "words"]))
    write("words/app_fr.qm", qm_bytes([OPEN]))
    notes = ImportNotes()
    assert len(list(read_qm([tmp_path / "words"], notes=notes))) == 2
    assert list(notes.not_read) == ["words:app_de.qm", "words:application.qm"]


def test_it_is_a_format_of_the_command(tmp_path: Path, write: Any) -> None:
    write("words/app_de.qm", qm_bytes([OPEN]))
    found = records("qm", [tmp_path / "words"], languages=(), fields=Fields())
    assert [record.text for record in found] == ["Open", "Öffnen"]
    assert source_of("qm", tmp_path / "words", "MIT").name == "words"
