"""CLDR's names in JSON: what is a text, what is inherited, and what is a translation of what."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from xformer.data.import_notes import ImportNotes
from xformer.data.readers.cldr import CLDR_KINDS, read_cldr


def _main(locale: str, **sections: Any) -> str:
    return json.dumps({"main": {locale: {"identity": {"language": locale}, **sections}}})


def _names(locale: str, **names: str) -> str:
    return _main(locale, localeDisplayNames={"territories": names})


def _annotations(content: dict[str, Any] | None, kind: str = "annotations", **identity: str) -> str:
    return json.dumps({kind: {"identity": identity} | ({} if content is None else {"annotations": content})})


def _write(folder: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    return folder


def _texts(path: Path, notes: ImportNotes | None = None, **options: Any) -> set[tuple[str, str]]:
    return {(record.language, record.text) for record in read_cldr([path], notes=notes, **options)}


WAVE = {"👋": {"tts": ["waving hand"], "default": ["bye", "hello"]}}
WINKEN = {"👋": {"tts": ["winkende Hand"], "default": ["hallo", "tschüs", "winken"]}}


def test_names_and_keywords_of_a_character_are_a_group_each(tmp_path: Path) -> None:
    files = {
        "annotations/en/annotations.json": _annotations(WAVE, language="en"),
        "annotations/de/annotations.json": _annotations(WINKEN, language="de"),
    }
    records = list(read_cldr([_write(tmp_path / "cldr", files)]))
    groups: dict[str, set[tuple[str, str]]] = {}
    for record in records:
        groups.setdefault(record.group, set()).add((record.language, record.text))
        assert record.source == f"cldr:annotations/{record.language}/annotations.json:👋"
        assert record.id == "👋"
    assert {frozenset(texts) for texts in groups.values()} == {
        frozenset({("en", "waving hand"), ("de", "winkende Hand")}),
        frozenset({("en", "bye, hello"), ("de", "hallo, tschüs, winken")}),
    }


def test_derived_annotations_have_no_keywords_of_their_own(tmp_path: Path) -> None:
    skin = {"👋🏻": {"tts": ["winkende Hand: hell"], "default": ["hallo", "hell"]}}
    path = _write(
        tmp_path,
        {"annotationsDerived/de/annotations.json": _annotations(skin, "annotationsDerived", language="de")},
    )
    assert _texts(path) == {("de", "winkende Hand: hell")}


def test_a_single_keyword_is_no_list_and_no_name_of_the_character(tmp_path: Path) -> None:
    path = _write(
        tmp_path,
        {"annotations/de/annotations.json": _annotations({"{": {"default": ["Klammer"]}}, language="de")},
    )
    assert _texts(path) == set()


def test_the_locale_of_annotations_is_in_their_identity(tmp_path: Path) -> None:
    """A locale without annotations of its own has no such field."""
    notes = ImportNotes()
    identity = {"language": "ca", "territory": "ES", "variant": "VALENCIA"}
    files = {
        "annotations/ca-ES-valencia/annotations.json": _annotations(WINKEN, **identity),
        "annotations/bew/annotations.json": _annotations(None, language="bew"),
    }
    assert {tag for tag, _ in _texts(_write(tmp_path, files), notes)} == {"ca-ES-valencia"}
    assert not notes.not_read


def test_what_a_locale_inherits_is_left_out(tmp_path: Path) -> None:
    """`pt-AO` inherits from `pt-PT`, not from `pt`; `zh-Hant` from the root alone."""
    names = {
        "und": {"US": "US", "001": "M001"},
        "pt": {"AT": "Áustria", "CZ": "Tchéquia"},
        "pt-PT": {"AT": "Áustria", "CZ": "Chéquia"},
        "pt-AO": {"AT": "Áustria", "CZ": "Chéquia", "001": "Mundo"},
        "zh": {"AT": "奥地利", "001": "世界"},
        "zh-Hant": {"AT": "奧地利", "001": "世界"},
        "ab": {"001": "M001"},
    }
    notes = ImportNotes()
    path = _write(
        tmp_path,
        {f"main/{locale}/territories.json": _names(locale, **inside) for locale, inside in names.items()},
    )
    assert _texts(path, notes) == {
        ("pt", "Áustria"),
        ("pt", "Tchéquia"),
        ("pt-PT", "Chéquia"),
        ("pt-AO", "Mundo"),
        ("zh", "奥地利"),
        ("zh", "世界"),
        ("zh-Hant", "奧地利"),
        ("zh-Hant", "世界"),
    }
    assert {reason: dict(counts) for reason, counts in notes.left_out.items()} == {
        "inherited": {"pt-PT": 1, "pt-AO": 2, "ab": 1},
    }


def test_what_is_english_or_a_code_is_left_out(tmp_path: Path) -> None:
    names = {
        "en": {"AO": "Angola", "AT": "Austria", "US": "United States", "US-alt-short": "US"},
        "de": {"AO": "Angola", "AT": "Österreich", "US": "US"},
        "und": {"AT": "Austria"},  # English keeps what the root has
    }
    notes = ImportNotes()
    path = _write(
        tmp_path,
        {f"main/{locale}/territories.json": _names(locale, **inside) for locale, inside in names.items()},
    )
    assert _texts(path, notes) == {
        ("en", "Angola"),
        ("en", "Austria"),
        ("en", "United States"),
        ("de", "Österreich"),
    }
    assert {reason: dict(counts) for reason, counts in notes.left_out.items()} == {
        "same as in English": {"de": 1},
        "same as its code": {"en": 1, "de": 1},
    }


def test_other_names_of_a_code_are_in_its_group_and_sorted_forms_are_left_out(tmp_path: Path) -> None:
    names = {
        "az": "Azerbaijani",
        "az-alt-short": "Azeri",
        "ckb": "Central Kurdish",
        "ckb-alt-menu": "Kurdish, Central",
        "ckb-menu-core": "Kurdish",
        "ckb-menu-extension": "Central",
    }
    path = _write(tmp_path, {"main/en/languages.json": _main("en", localeDisplayNames={"languages": names})})
    notes = ImportNotes()
    groups: dict[str, set[str]] = {}
    for record in read_cldr([path], notes=notes):
        groups.setdefault(record.group, set()).add(record.text)
    assert {frozenset(texts) for texts in groups.values()} == {
        frozenset({"Azerbaijani", "Azeri"}),
        frozenset({"Central Kurdish"}),
    }
    assert notes.left_out["form for sorted menus"]["en"] == 3


def test_units_times_and_labels_are_texts_and_patterns_and_abbreviations_are_not(write: Any) -> None:
    path = write(
        "de.json",
        _main(
            "de",
            units={
                "long": {
                    "length-kilometer": {
                        "displayName": "Kilometer",
                        "unitPattern-count-other": "{0} Kilometer",
                    },
                    "coordinateUnit": {"displayName": "Himmelsrichtung", "east": "{0} Ost"},
                },
                "short": {"length-kilometer": {"displayName": "km"}},
            },
            dates={
                "fields": {
                    "year": {
                        "displayName": "Jahr",
                        "relative-type--1": "letztes Jahr",
                        "relativeTime-type-past": {"relativeTimePattern-count-one": "vor {0} Jahr"},
                    },
                    "year-short": {"displayName": "J."},
                },
                "calendars": {
                    "gregorian": {
                        "days": {
                            "format": {"wide": {"sun": "Sonntags"}},
                            "stand-alone": {"wide": {"sun": "Sonntag"}, "short": {"sun": "So"}},
                        }
                    }
                },
                "timeZoneNames": {
                    "zone": {
                        "Europe": {"Vienna": {"exemplarCity": "Wien"}},
                        "America": {"Indiana": {"Knox": {"exemplarCity": "Knox, Indiana"}}},
                    },
                    "metazone": {"Alaska": {"long": {"generic": "Alaska-Zeit"}, "short": {"generic": "AK"}}},
                },
            },
            characterLabels={"animal": "Tier"},
            posix={"messages": {"yesstr": "ja:j"}},
        ),
    )
    found = {record.text: record.id for record in read_cldr([path])}
    assert found == {
        "Kilometer": "length-kilometer",
        "Himmelsrichtung": "coordinateUnit",
        "Jahr": "year displayName",
        "letztes Jahr": "year relative-type--1",
        "Sonntag": "sun",
        "Wien": "Europe/Vienna",
        "Knox, Indiana": "America/Indiana/Knox",
        "Alaska-Zeit": "Alaska generic",
        "Tier": "animal",
    }


def test_languages_and_kinds_can_be_chosen(tmp_path: Path) -> None:
    files = {
        "annotations/de/annotations.json": _annotations(WINKEN, language="de"),
        "annotations/pt/annotations.json": _annotations({"👋": {"tts": ["aceno"]}}, language="pt"),
        "annotations/pt-PT/annotations.json": _annotations(
            {"👋": {"tts": ["acenar"]}}, language="pt", territory="PT"
        ),
    }
    path = _write(tmp_path, files)
    assert _texts(path, languages=["por"]) == {("pt", "aceno"), ("pt-PT", "acenar")}
    assert _texts(path, kinds=["keywords"]) == {("de", "hallo, tschüs, winken")}
    assert "territories" in CLDR_KINDS
    with pytest.raises(ValueError, match=r"kinds: expected some of .*, got 'flags'"):
        list(read_cldr([path], kinds=["flags"]))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{\n}}", ":2: expected JSON"),
        ("[1]", "expected a file of CLDR's locales"),
        ('{"supplemental": {}}', "expected a file of CLDR's locales"),
        ('{"main": {"de": {}, "fr": {}}}', "expected a file of CLDR's locales"),
        ('{"main": "de"}', "expected a file of CLDR's locales"),
        ('{"main": {"de": 1}}', "main.de: expected an object"),
        ("[" * 100_000, "nested too deeply"),
        (_main("de", characterLabels={"animal": 7}), "characterLabels.animal: expected a text, got '7'"),
        (_main("not a tag", characterLabels={}), "language tag"),
        (_annotations(WAVE), "identity.language: expected a language"),
        (
            _annotations({"{": {"tts": "Klammer"}}, language="de"),
            "annotations.{.tts: expected a list of texts",
        ),
        (_annotations({"{": []}, language="de"), "annotations.{: expected an object"),
        (b'{"main":\n"\xff"}', ":2: expected UTF-8"),
    ],
)
def test_a_damaged_file_is_refused_if_named_and_noted_if_found(
    tmp_path: Path, write: Any, refused: Any, content: str | bytes, reason: str
) -> None:
    path = write("cldr/main/de/territories.json", content)
    with refused(path, reason):
        list(read_cldr([path]))
    with refused("none of 1 files of CLDR can be read", "main/de/territories.json"):
        list(read_cldr([tmp_path / "cldr"]))
    write("cldr/main/fr/territories.json", _names("fr", AT="Autriche"))
    notes = ImportNotes()
    assert _texts(tmp_path / "cldr", notes) == {("fr", "Autriche")}
    assert list(notes.not_read) == ["cldr:main/de/territories.json"]
