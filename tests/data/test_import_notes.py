"""Notes of an import: counts, first examples, and what tags were read as."""

from __future__ import annotations

import pytest

from xformer.data.import_notes import ImportNotes
from xformer.errors import InputError


def test_texts_are_counted_by_reason_and_language_with_the_first_as_example() -> None:
    notes = ImportNotes()
    for language, text in (("de", "eins"), ("en", "one"), ("de", "zwei")):
        notes.leave_out("duplicate", language, text, f"{language}:1")
    notes.leave_out("no text", "de", "", "x:2")
    notes.leave_out_many("duplicate", {"de": 2, "fr": 3}, "drei", "y:1")
    notes.leave_alone({"fr": 1}, "un", "x:3")
    assert notes.left_out == {"duplicate": {"de": 4, "en": 1, "fr": 3}, "no text": {"de": 1}}
    assert notes.unpaired == {"fr": 1}
    assert notes.examples == {
        "duplicate": ("eins", "de:1"),
        "no text": ("", "x:2"),
        "unpaired": ("un", "x:3"),
    }


def test_tags_are_remembered_if_they_were_read_as_others() -> None:
    notes = ImportNotes()
    assert [notes.normalize(tag) for tag in ("pt_BR", "deu", "en", "deu")] == ["pt-BR", "de", "en", "de"]
    assert notes.renamed == {"deu": "de", "pt_BR": "pt-BR"}
    with pytest.raises(InputError, match="language tag"):
        notes.normalize("x1")
