"""What an import says in the terminal."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from xformer.cli.formats import Format
from xformer.cli.import_summary import doubts, summary
from xformer.data.import_notes import ImportNotes
from xformer.data.manifest import Counts, Manifest, SplitEntry
from xformer.storage.checksummed import FileEntry


def _manifest(languages: tuple[str, ...], translated: dict[str, int]) -> Manifest:
    file, counts = FileEntry("x", 0, ""), Counts(7, 70, 70)
    splits = {
        name: SplitEntry(file, 1000, dict.fromkeys(languages, counts), number)
        for name, number in translated.items()
    }
    return Manifest("xformer", 0, {}, (), languages, splits)


def test_what_was_left_out_is_sorted_and_shortened() -> None:
    notes = ImportNotes()
    for number, language in enumerate(["de", "en", "en", "fr", "cs", "pl", "it"]):
        notes.leave_out("duplicate", language, f"a\nlong [text] {'x' * 100}", f"a:{number}")
    for _ in range(8):
        notes.leave_out("no text", "de", "", "a:9")
    enough = _manifest(("de", "en"), {"train": 900, "dev": 200, "test": 200})
    lines = summary(Path("corpora/my text"), enough, notes, "text")
    assert lines[4:] == [
        "left out: 15 texts",
        "  no text: 8 (de 8), such as a:9",
        f"  duplicate: 7 (en 2, cs 1, de 1, fr 1 …), such as a:0: a long [text] {'x' * 45}…",
        "next: xformer pretrain 'runs/my text' --budget 10m --set 'data.corpus=corpora/my text'",
    ]


def test_long_names_of_sources_are_shortened() -> None:
    notes = ImportNotes()
    notes.leave_out("duplicate", "de", "eins", f"{'x' * 200}.whl:de/LC_MESSAGES/django.mo")
    lines = summary(
        Path("c"), _manifest(("de", "en"), {"train": 900, "dev": 200, "test": 200}), notes, "text"
    )
    assert lines[4] == "left out: 1 text"
    assert lines[5] == f"  duplicate: 1 (de 1), such as …{'x' * 30}.whl:de/LC_MESSAGES/django.mo: eins"


def test_nothing_left_out_is_said_and_many_languages_are_not_all_named() -> None:
    tags = ("cs", "de", "en", "fr", "zh-Hant")
    lines = summary(
        Path("c"), _manifest(tags, {"train": 900, "dev": 200, "test": 200}), ImportNotes(), "text"
    )
    assert lines[0] == (
        "c: 105 texts in 5 languages: cs (Czech), de (German), en (English), fr (French) and 1 more"
    )
    assert "left out: nothing" in lines


def test_files_that_were_not_read_are_named() -> None:
    notes = ImportNotes(not_read={f"locale/{number:02}.mo": "truncated" for number in range(12)})
    lines = summary(Path("c"), _manifest(("de",), {"train": 900, "dev": 200, "test": 200}), notes, "text")
    first = lines.index("not read: 12 files")
    assert lines[first + 1] == "  locale/00.mo: truncated"
    assert lines[first + 10 : first + 12] == [
        "  locale/09.mo: truncated",
        "  and 2 more, which manifest.json names",
    ]


def test_tags_of_no_language_are_doubted() -> None:
    manifest = _manifest(("de", "german", "ok"), {"train": 900, "dev": 200, "test": 200})
    (line,) = [
        line
        for line in summary(Path("c"), manifest, ImportNotes(), "text")
        if line.startswith("no name is known")
    ]
    assert line.startswith("no name is known for: german (German is de), ok; if a tag is wrong, --languages")


def test_the_next_command_trains_without_translations_where_there_are_none() -> None:
    manifest = _manifest(("de",), {"train": 0, "dev": 0, "test": 0})
    assert summary(Path("c"), manifest, ImportNotes(), "text")[-1] == (
        "next: xformer pretrain runs/c --budget 10m --set data.corpus=c objectives.alignment_tokens=0"
    )


@pytest.mark.parametrize(
    ("translated", "said"),
    [
        ({"train": 0, "dev": 0, "test": 0}, "no text has a translation"),
        ({"train": 900, "dev": 200, "test": 96}, "test has 96; an accuracy of 50% is then uncertain by 10"),
        (
            {"train": 9000, "dev": 0, "test": 0},
            "^no group with translations to evaluate with: dev has 0, test has 0; --dev 200 --test 500",
        ),
        ({"train": 90, "dev": 9, "test": 9}, "dev has 9, test has 9; .* 33 points; --dev 9 --test 10 hold"),
        ({"train": 900, "dev": 0, "test": 96}, "dev has 0, test has 96; .* uncertain by 10 points"),
        ({"train": 70, "dev": 19, "test": 19}, "uncertain by 22 points$"),
    ],
)
def test_too_few_held_out_groups_are_said(translated: dict[str, int], said: str) -> None:
    lines = summary(Path("c"), _manifest(("de", "en"), translated), ImportNotes(), "text")
    (line,) = [line for line in lines if "translation" in line and "texts in" not in line]
    assert re.search(said, line), line


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("jsonl", "--group-field or --parallel says which rows"),
        ("man", "pages have translations in folders"),
        ("text", "aligned files of two languages are read as moses"),
        ("tmx", "the files lack the other language of each text"),
    ],
)
def test_what_brings_translations_depends_on_the_format(kind: Format, said: str) -> None:
    lines = summary(Path("c"), _manifest(("en",), {"train": 0, "dev": 0, "test": 0}), ImportNotes(), kind)
    (line,) = [line for line in lines if line.startswith("no text has a translation")]
    assert said in line
    assert ("--group-field" in line) == (kind == "jsonl")


@pytest.mark.parametrize(
    ("kind", "names", "count"),
    [
        ("text", ["a.csv"], 1),
        ("text", ["a.de.txt", "b.jsonl.gz"], 1),
        ("text", ["a.de"], 0),
        ("csv", ["a.csv"], 0),
    ],
)
def test_a_table_read_as_plain_text_is_doubted(kind: Format, names: list[str], count: int) -> None:
    found = doubts(kind, [Path(name) for name in names])
    assert len(found) == count
    assert all("each line is read as a text" in line for line in found)
