"""The reader of manual pages: places, languages, pairs, what is left out. Covers `man_files`, `man_pairs`."""

from __future__ import annotations

import bz2
import gzip
import lzma
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.embedded.packing import deb
from xformer.cli.formats import records, source_of
from xformer.data.import_notes import ImportNotes
from xformer.data.readers import Fields, read_man
from xformer.data.readers.man_files import is_man_file, link_of
from xformer.data.readers.man_pairs import is_prose, pair_pages
from xformer.data.readers.roff.blocks import Block, Kind
from xformer.data.record import content_group

ENGLISH = """.TH PARROT 1
.SH NAME
parrot \\- repeat the words of others
.SH SYNOPSIS
.B parrot
the given words [again]
.SH OPTIONS
.TP
.B \\-\\-loud
Shout every word at the neighbours.
.TP
.B \\-\\-times=N
Say it N times, at most 20.
.SH "SEE ALSO"
.BR echo (1)
"""
GERMAN = """.TH PARROT 1
.SH BEZEICHNUNG
parrot \\- die Worte anderer wiederholen
.SH ÜBERSICHT
\\fBparrot\\fP die Worte [wieder]
.SH OPTIONEN
.TP
\\fB\\-\\-loud\\fP
Jedes Wort den Nachbarn zurufen.
.TP
\\fB\\-\\-times=N\\fP
Say it N times, at most 20.
.SH "SIEHE AUCH"
\\fBecho\\fP(1)
.SH ÜBERSETZUNG
Diese Seite hat Erika Mustermann übersetzt.
"""
PAIRS = {
    "NAME": "BEZEICHNUNG",
    "parrot - repeat the words of others": "parrot - die Worte anderer wiederholen",
    "SYNOPSIS": "ÜBERSICHT",
    "OPTIONS": "OPTIONEN",
    "Shout every word at the neighbours.": "Jedes Wort den Nachbarn zurufen.",
    "SEE ALSO": "SIEHE AUCH",
}


def test_paragraphs_of_pages_that_are_built_alike_are_groups(tmp_path: Path, write: Any) -> None:
    write("man/man1/parrot.1", ENGLISH)
    write("man/de/man1/parrot.1.gz", gzip.compress(GERMAN.encode()))
    notes = ImportNotes()
    found = list(read_man([tmp_path / "man"], notes=notes))
    english = {record.group: record.text for record in found if record.language == "en"}
    german = {english[record.group]: record.text for record in found if record.language == "de"}
    assert german == PAIRS
    assert set(english.values()) == {*PAIRS, "Say it N times, at most 20."}
    assert all(
        record.group == content_group(text) for text in PAIRS for record in found if record.text == text
    )
    assert {record.source for record in found} == {"man:man1/parrot.1", "man:de/man1/parrot.1.gz"}
    assert {reason: dict(counts) for reason, counts in notes.left_out.items()} == {
        "same as the original": {"de": 1},
        "names of translators": {"de": 2},
    }


def test_languages_and_the_first_of_them_without_an_original(tmp_path: Path, write: Any) -> None:
    for folder, word in (("de", "Wort"), ("fr", "mot"), ("sr@latin", "reč"), ("zh_CN", "文字文字")):
        write(f"man/{folder}/man1/a.1", f".TH A 1\n.SH A\nso ein {word} hier {word}\n")
    found = list(read_man([tmp_path / "man"], languages=["fr", "zh-CN", "de"]))
    assert {record.language for record in found} == {"de", "fr", "zh-CN"}
    assert len({record.group for record in found if "hier" in record.text}) == 1


@pytest.mark.parametrize(
    ("place", "language"),
    [
        ("man/man1/a.1", "en"),
        ("man/de/man1/a.1.gz", "de"),
        ("man/pt_BR/man1/a.1", "pt-BR"),
        ("man/sr@latin/man3/a.3pm", "sr-Latn"),
        ("man/zh_TW.Big5/man8/a.8", "zh-TW"),
        ("man/ast/man1/a.1", "ast"),
        ("local/pl/man1/a.1", "pl"),
        ("local/doc/man1/a.1", "en"),
        ("local/xx/man1/a.1", "en"),
        ("a.1", "en"),
    ],
)
@pytest.mark.parametrize("is_given", [True, False])
def test_the_place_gives_the_language(
    tmp_path: Path, write: Any, place: str, language: str, is_given: bool
) -> None:
    page = b".TH A 1\n.SH A\na word or two\n"
    path = write(place, gzip.compress(page) if place.endswith(".gz") else page)
    assert {record.language for record in read_man([path if is_given else tmp_path])} == {language}


def test_the_folder_of_one_language_is_enough(write: Any) -> None:
    path = write("man/de/man1/a.1", ".TH A 1\n.SH A\nein Wort oder zwei\n")
    for folder in (path.parent, path.parent.parent):
        assert {record.language for record in read_man([folder])} == {"de"}


def test_which_files_are_pages() -> None:
    pages = ["man1/a.1", "usr/share/man/de/man3/a.3pm.gz", "a.7.xz", "man8/a.b.8"]
    others = ["man1/a.txt", "lib/liba.so.1", "cat1/a.1", "man1/a", "a.tar.gz", "man1/", "doc/a.1"]
    assert list(map(is_man_file, pages + others)) == [True] * 4 + [False] * 7


@pytest.mark.parametrize(
    ("folder", "coding", "charset", "text"),
    [
        ("cs", "", "iso8859-2", "žluťoučký kůň"),
        ("ru", "", "koi8-r", "слово и слово"),
        ("ja", "", "euc-jp", "言葉と言葉"),
        ("zh_TW", "", "big5", "文字和文字"),
        ("de", "", "latin-1", "schöne Wörter"),
        ("de.ISO8859-15", "", "iso8859-15", "zehn € übrig"),
        ("fr", "'\\\" -*- coding: windows-1252 -*-\n", "cp1252", "des “mots” été"),
        ("es", "", "utf-8-sig", "palabras así"),
    ],
)
def test_old_character_sets(
    tmp_path: Path, write: Any, folder: str, coding: str, charset: str, text: str
) -> None:
    write(f"man/{folder}/man1/a.1", f"{coding}.TH A 1\n.SH A\n{text}\n".encode(charset))
    assert text in {record.text for record in read_man([tmp_path / "man"])}


def test_pages_are_unpacked_in_a_debian_package_too(write: Any, tmp_path: Path) -> None:
    files = {
        "usr/share/man/man1/parrot.1.gz": gzip.compress(ENGLISH.encode()),
        "usr/share/man/de/man1/parrot.1.xz": lzma.compress(GERMAN.encode()),
        "usr/share/man/fr/man1/parrot.1.bz2": bz2.compress(ENGLISH.replace("Shout", "Crier").encode()),
        "usr/lib/libparrot.so.1": b"\0",
    }
    path = write("parrot_1_all.deb", deb(files))
    found = list(records("man", [path], languages=["de"], fields=Fields()))
    assert {record.text for record in found if record.language == "de"} == set(PAIRS.values())
    assert {record.language for record in found} == {"en", "de"}
    write("man/man1/a.1", ENGLISH)
    assert source_of("man", tmp_path / "man", "MIT").name == "man"


def test_zstd_is_not_read(write: Any, refused: Any) -> None:
    with refused("zstd", "unzstd"):
        list(read_man([write("a.1.zst", b"\x28\xb5\x2f\xfd more")]))


def test_other_names_of_pages(tmp_path: Path, write: Any) -> None:
    page = write("man/man1/parrot.1", ENGLISH)
    write("man/man1/bird.1", '.\\" comment\n.so man1/parrot.1\n')
    (page.parent / "beak.1").symlink_to(page)
    write("man/de/man1/bird.1", GERMAN)
    found = list(read_man([tmp_path / "man"]))
    assert [record.text for record in found if record.language == "en"].count("NAME") == 1
    groups = {record.group for record in found if record.text in ("NAME", "BEZEICHNUNG")}
    assert groups == {content_group("NAME")}
    assert link_of(".so man3/a.3.gz\n") == "a.3"
    assert link_of(".TH A 1\n.so a.1\n") is link_of("") is None


LONG = ("some words " * 9).strip()


def blocks(text: str) -> list[Block]:
    """`S NAME; p text …` as blocks."""
    return [Block(Kind(each[0]), each[2:]) for each in text.split("; ")]


@pytest.mark.parametrize(
    ("original", "translation", "paired"),
    [
        ("S A; p one two; S B; p three", "S X; p eins zwei; S Y; p drei", "X eins zwei Y drei"),
        ("S A; p one; S B; p two; p three", "S X; p eins; S Y; p zwei", ""),  # half of the sections
        (
            "S A; p one; S B; s C; p a; s D; p b; p c; S E; S F",
            "S X; p eins; S Y; s C; p d; s D; p e; S E; S F",
            "X eins Y C d E F",
        ),
        ("S A; p one; S B; p two", "S X; p eins", ""),
        ("S A; t -a; p one 1; t -b; p two 2", "S X; t -c; p eins 7; t -d; p zwei 8", ""),
        ("S A; t -a; p one 1; t -b; p two 2", "S X; t -a; p eins 1; t -b; p zwei 9", "X -a eins 1 -b"),
        ("S A" + f"; p {LONG}" * 3, f"S X; p {LONG}; p so; p {LONG}", f"X {LONG} {LONG}"),
    ],
)
def test_only_what_is_built_alike_is_paired(original: str, translation: str, paired: str) -> None:
    pairs, alone, added = pair_pages(blocks(original), blocks(translation))
    assert " ".join(other.text for _, other in pairs if other.text) == paired or (
        not paired and len(pairs) < 2
    )
    assert len(pairs) + len(alone) + len(added) == len(blocks(translation))


def test_what_is_prose() -> None:
    prose = ["two words", "die Option --all zeigen", "ほんの言葉", "See ls(1) and cat(1) too."]
    others = [
        "ls(1), cat(1)",
        "--all, -a",
        "GNU GPL",
        "for (i=0;i<n;i++) a[i]=b[i];",
        "42",
        "a@b.c https://x.y",
        "x",
    ]
    texts = [Block(Kind.PARAGRAPH, text) for text in prose + others]
    assert list(map(is_prose, texts)) == [True] * 4 + [False] * 7
    assert is_prose(Block(Kind.SECTION, "NAME"))
    assert not is_prose(Block(Kind.TAG, "two words"))


def test_what_is_not_translated_is_left_out_where_the_script_shows_it(tmp_path: Path, write: Any) -> None:
    write("man/ja/man1/a.1", ".TH A 1\n.SH A\nnot yet translated\n.PP\nこれは言葉です。\n")
    write("man/man1/a.1", ".TH A 1\n.SH B\nother\n.SH C\n")
    notes = ImportNotes()
    assert {
        record.text for record in read_man([tmp_path / "man"], notes=notes) if record.language == "ja"
    } == {"これは言葉です。"}
    assert notes.left_out["not translated"] == {"ja": 1}


def test_a_page_that_cannot_be_read_is_named(tmp_path: Path, write: Any, refused: Any) -> None:
    text = write("man/man1/a.1", "no page\n")
    broken = write("man/man1/b.1.gz", gzip.compress(ENGLISH.encode())[:40])
    for path, reason in ((text, "expected a manual page"), (broken, "truncated")):
        with refused(path, reason):
            list(read_man([path]))
    with refused("none of 2 manual pages can be read"):
        list(read_man([tmp_path / "man"]))
    with refused("expected manual pages", "found none"):
        list(read_man([write("empty/readme", "").parent]))
    write("man/man1/c.1", ENGLISH)
    notes = ImportNotes()
    assert list(read_man([tmp_path / "man"], notes=notes))
    assert list(notes.not_read) == ["man:man1/a.1", "man:man1/b.1.gz"]
    with refused("larger than 8 MiB"):
        list(read_man([write("large.1.gz", gzip.compress(b" " * (9 * 2**20)))]))
    with refused("expected UTF-8 or big5"):
        list(read_man([write("man/zh_TW/man1/a.1", b".TH A 1\n\xff\xff\xff\n")]))


@given(st.binary(max_size=60))
def test_no_bytes_are_too_odd(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("odd", numbered=True) / "man" / "de" / "man1"
    folder.mkdir(parents=True)
    (folder / "a.1").write_bytes(b".TH A 1\n" + data)
    (folder / "b.1").write_bytes(GERMAN.encode())
    assert list(read_man([folder]))
