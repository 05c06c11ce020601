"""Moses files and OPUS zips."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xformer.data.readers import read_moses
from xformer.data.readers.moses import Side, align
from xformer.errors import InputError

LINES = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=4))


@given(LINES, LINES)
def test_the_nth_lines_are_one_group_or_the_counts_are_named(german: list[str], english: list[str]) -> None:
    sides = [Side("x.de", "de", enumerate(german, 1)), Side("x.en", "en", enumerate(english, 1))]
    if len(german) != len(english):
        with pytest.raises(InputError, match=rf"x\.de has {len(german)}, x\.en has {len(english)}$"):
            list(align(sides))
        return
    records = list(align(sides))
    expected = [
        (tag, text, number)
        for number, pair in enumerate(zip(german, english, strict=True), 1)
        for tag, text in zip(("de", "en"), pair, strict=True)
        if text.strip()
    ]
    assert [
        (record.language, record.text, int(record.source.rpartition(":")[2])) for record in records
    ] == expected
    groups = {
        record.group: (german[number - 1], english[number - 1])
        for record, (_, _, number) in zip(records, expected, strict=True)
    }
    assert len(set(groups.values())) == len(groups)


def test_quirks_of_line_ends_and_marks(write: Any, brief: Any) -> None:
    german = write("a.de-en.de", "\ufeffEins\u2028Zwei\r\n\nDrei\x0b\x85")
    english = write("a.de-en.en.gz", gzip.compress("One\u2028Two\nTwo\nThree\n".encode()))
    records = list(read_moses([german, english]))
    assert brief(records) == [
        ("de", "Eins\u2028Zwei"),
        ("en", "One\u2028Two"),
        ("en", "Two"),
        ("de", "Drei\x0b\x85"),
        ("en", "Three"),
    ]
    assert [record.source for record in records[:2]] == ["a.de-en.de:1", "a.de-en.en.gz:1"]
    assert records[0].group == records[1].group != records[2].group


def test_more_than_two_languages_and_given_ones(write: Any) -> None:
    paths = [write(f"{name}.txt", f"{name}\n") for name in "abc"]
    records = list(read_moses(paths, languages=["de", "pt_BR", "zh-hant"]))
    assert [record.language for record in records] == ["de", "pt-BR", "zh-Hant"]
    assert len({record.group for record in records}) == 1


def zipped(path: Path, **members: str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_a_zip_as_opus_has_them(tmp_path: Path, brief: Any) -> None:
    path = zipped(
        tmp_path / "de-pt_BR.txt.zip",
        **{
            "README": "x",
            "LICENSE": "x",
            "Books.de-pt_BR.de": "Eins\nZwei\n",
            "Books.de-pt_BR.pt_BR": "Um\nDois\n",
            "Books.de-pt_BR.xml": "<x/>",
            "Books.de-pt_BR.scores": "1\n1\n",
        },
    )
    records = list(read_moses([path]))
    assert brief(records) == [("de", "Eins"), ("pt-BR", "Um"), ("de", "Zwei"), ("pt-BR", "Dois")]
    assert records[0].source == "de-pt_BR.txt.zip:Books.de-pt_BR.de:1"


@pytest.mark.parametrize(
    ("first", "second", "tags"),
    [
        ("en", "sr@latin", ("en", "sr-Latn")),
        ("en", "zh-TW", ("en", "zh-TW")),
        ("zh-CN", "zh-TW", ("zh-CN", "zh-TW")),
        ("zh", "zh-TW", ("zh", "zh-TW")),
        ("no_nb", "zh_zh", ("no-NB", "zh-ZH")),
        ("bn", "en_GB", ("bn", "en-GB")),
    ],
)
def test_codes_in_the_names_of_a_zip_are_read_as_those_of_files(
    tmp_path: Path, write: Any, brief: Any, first: str, second: str, tags: tuple[str, str]
) -> None:
    names = [f"v1/GNOME.{first}-{second}.{code}" for code in (first, second)]
    path = zipped(tmp_path / "x.zip", **{names[0]: "a\n", names[1]: "b\n", "v1/README": "x"})
    assert brief(read_moses([path])) == [(tags[0], "a"), (tags[1], "b")]
    assert brief(read_moses([write(names[0], "a\n"), write(names[1], "b\n")])) == brief(read_moses([path]))


def test_languages_say_what_a_name_in_a_zip_does_not(tmp_path: Path, brief: Any, refused: Any) -> None:
    toki = {"T.en-toki.en": "good\n", "T.en-toki.toki": "pona\n"}
    path = zipped(tmp_path / "toki.zip", **toki)
    with refused("T.en-toki.toki", "does not give the language", "--languages"):
        list(read_moses([path]))
    assert brief(read_moses([path], languages=["en", "tok"])) == [("en", "good"), ("tok", "pona")]
    path = zipped(tmp_path / "both.zip", **{"T.de-en.de": "gut\n", "T.de-en.en": "good\n"}, **toki)
    with refused("T.en-toki.toki", "does not give the language"):  # and is not skipped beside another pair
        list(read_moses([path]))
    assert brief(read_moses([path], languages=["de", "en", "tok"]))[2:] == [("en", "good"), ("tok", "pona")]
    with refused("one language for each of de, en, toki", "got 2"):
        list(read_moses([path], languages=["de", "en"]))


def test_broken_zips(tmp_path: Path, write: Any, refused: Any) -> None:
    half = zipped(tmp_path / "half.zip", **{"a.de-en.de": "Eins\n"})
    with refused(half, "has a.de-en.de without a.de-en.en"):
        list(read_moses([half]))
    none = zipped(tmp_path / "none.zip", README="x")
    with refused(none, "expected files such as"):
        list(read_moses([none]))
    unequal = zipped(tmp_path / "unequal.zip", **{"a.de-en.de": "1\n2\n", "a.de-en.en": "1\n"})
    with refused(f"{unequal}:a.de-en.de has 2", f"{unequal}:a.de-en.en has 1"):
        list(read_moses([unequal]))
    bad = zipped(tmp_path / "bad.zip", **{"a.de-en.de": "1\n", "a.de-en.en": "1\n"})
    data = bytearray(bad.read_bytes())
    data[data.index(b"a.de-en.de") + len("a.de-en.de")] ^= 0xFF  # the first byte of the compressed text
    bad.write_bytes(data)
    with refused("bad.zip", "not a valid compressed file"):
        list(read_moses([bad]))
    with refused("what.zip"):
        list(read_moses([write("what.zip", "PK")]))


def test_broken_pairs(write: Any, refused: Any, tmp_path: Path) -> None:
    german = write("a.de", "1\n2\n3\n")
    with refused(german, "has 3", "a.en has 1"):
        list(read_moses([german, write("a.en", "1\n")]))
    with refused(tmp_path / "gone.en", "no such file"):
        list(read_moses([german, tmp_path / "gone.en"]))
    bad = write("bad.en", b"1\n\xff\n3\n")
    with refused(f"{bad}:2", "UTF-8"):
        list(read_moses([german, bad]))
    with refused("two files or more"):
        list(read_moses([german]))
    with refused("different languages", "de"):
        list(read_moses([german, german]))
    for name in ("train.moses.gz", "train.txt", "train.src"):
        with refused(name, "file's name does not give the language"):
            list(read_moses([german, tmp_path / name]))
    with refused("one language for each of 2"):
        list(read_moses([german, german], languages=["de"]))
