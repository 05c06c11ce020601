"""Contexts before source texts, which no catalogue marks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from xformer.data.import_notes import ImportNotes
from xformer.data.readers import read_gettext
from xformer.data.readers.catalogue import Message
from xformer.data.readers.contexts import Contexts


def po(*messages: tuple[str, str]) -> str:
    return "\n".join(f'msgid "{source}"\nmsgstr "{text}"\n' for source, text in messages)


def test_a_context_is_no_text(write: Any, tmp_path: Path) -> None:
    """With and without it the source text is one group, and an English record once."""
    write("game/de.po", po(("Archer", "Bogenschütze"), ("female^Archer", "Bogenschützin")))
    write("game/fr.po", po(("race+female^Elvish Lady", "Dame elfe"), ("female^Archer", "Archère")))
    write("game/bg.po", po(("female^Archer", "female^Стрелкиня")))
    found = list(read_gettext([tmp_path / "game"]))
    assert [(record.language, record.text) for record in found] == [
        ("en", "Archer"),
        ("bg", "Стрелкиня"),  # copied by the translator
        ("de", "Bogenschütze"),
        ("de", "Bogenschützin"),
        ("en", "Elvish Lady"),
        ("fr", "Dame elfe"),
        ("fr", "Archère"),
    ]
    assert len({record.group for record in found}) == 2


def test_a_plural_has_one_too(write: Any) -> None:
    text = (
        'msgid "female^%d elf"\nmsgid_plural "female^%d elves"\nmsgstr[0] "%d Elfe"\nmsgstr[1] "%d Elfen"\n'
    )
    found = list(read_gettext([write("de.po", text)]))
    assert [record.text for record in found] == ["%d elf", "%d elves", "%d Elfe", "%d Elfen"]
    assert len({record.group for record in found}) == 1


def test_what_is_left_the_same_is_the_original(write: Any) -> None:
    notes = ImportNotes()
    assert not list(read_gettext([write("de.po", po(("female^Troll", "Troll")))], notes=notes))
    assert dict(notes.left_out["same as the original"]) == {"de": 1}


@pytest.mark.parametrize(
    ("source", "texts"),
    [
        ("x^2 is a square", ["x^2 ist ein Quadrat", "x^2 est un carré"]),
        ("ctrl^c ends it", ["Strg^c beendet es"]),
        ("^begin", ["Anfang"]),
        ("Up^Down", ["Auf"]),
        ("a sentence, which goes on^here", ["ein Satz"]),
        ("word^ ", ["Wort"]),
        ("female^Archer", ["female^Bogenschützin", "Archère", "female^Стрелкиня"]),
    ],
)
def test_other_circumflexes_are_text(source: str, texts: list[str]) -> None:
    contexts = Contexts()
    messages = [Message((source,), (text,)) for text in texts]
    for message in messages:
        contexts.see(message)
    assert [contexts.without(message) for message in messages] == messages


def test_a_fuzzy_or_missing_translation_does_not_count() -> None:
    contexts = Contexts()
    for message in (Message(("a^b",), ("c",), fuzzy=True), Message(("a^b",), ("",))):
        assert contexts.see(message)
        assert contexts.without(message) == message


def test_keys_are_left_as_they_are(write: Any) -> None:
    path = write("de.po", po(("menu^open", "Öffnen"), ("open", "Offen")))
    assert len({record.group for record in read_gettext([path], source_language=None)}) == 2
