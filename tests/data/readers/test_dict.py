"""The reader of dictionaries in the DICT format: pairs of files, languages, and what is left out."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.data.readers.test_dict_file import HEAD, dict_bytes, dictzip
from xformer.cli.formats import records, source_of
from xformer.data.import_notes import ImportNotes
from xformer.data.readers import Fields, read_dict

ENTRIES = [
    ("haus", "Haus /haus/ <n>\nhouse, building\n"),
    ("bank", 'Bank <n>\n1. bench\n      "auf der Bank"  - on the bench\n      "zur Bank"\n2. bank\n'),
]
INFO = ("00-database-info", "00-database-info\nBy some.\n\n  Available under the terms of\n  the GPL.\n")


@pytest.fixture
def dictionary(write: Any) -> Any:
    """Write a dictionary, compressed or not, and return the path of its text."""

    def made(name: str, about: Any = (*HEAD, INFO), ending: str = ".dict.dz") -> Path:
        index, text = dict_bytes(ENTRIES, about)
        write(f"{name}.index", index)
        path: Path = write(f"{name}{ending}", dictzip(text) if ending == ".dict.dz" else text)
        return path

    return made


FOUND = [
    ("de", "Haus"),
    ("en", "house"),
    ("en", "building"),
    ("de", "Bank"),
    ("en", "bench"),
    ("de", "auf der Bank"),
    ("en", "on the bench"),
    ("de", "Bank"),
    ("en", "bank"),
]


@pytest.mark.parametrize("ending", [".dict", ".dict.dz"])
def test_a_sense_is_a_group(dictionary: Any, brief: Any, ending: str) -> None:
    path = dictionary("freedict-deu-eng", ending=ending)
    notes = ImportNotes()
    found = list(read_dict([path], notes=notes))
    assert brief(found) == FOUND
    assert brief(read_dict([path.with_name("freedict-deu-eng.index")])) == FOUND
    sizes = [len([record for record in found if record.group == group]) for group in {r.group for r in found}]
    assert sorted(sizes) == [2, 2, 2, 3]
    assert found[0].source.startswith(f"{path.name}:")
    assert dict(notes.left_out["not translated"]) == {"de": 1}


def test_folders_and_archives_have_many(dictionary: Any, brief: Any, write: Any) -> None:
    folder = dictionary("words/deu-eng").parent
    dictionary("words/deu-ces", about=HEAD[:1], ending=".dict")
    write("words/readme.txt", "")
    archive = folder.with_name("words.zip")
    with zipfile.ZipFile(archive, "w") as opened:
        for file in folder.iterdir():
            opened.write(file, f"usr/share/dictd/{file.name}")
    for path in (folder, archive):
        found = list(read_dict([path]))
        assert [language for language, _ in brief(found)].count("cs") == 5
        assert brief(found)[-9:] == FOUND
        assert found[-1].source.startswith(f"{path.name}:")


def test_what_cannot_be_read_is_left_out_of_a_folder(dictionary: Any, write: Any, refused: Any) -> None:
    path = dictionary("words/deu-eng")
    alone = write("words/eng-fra.index", "a\tA\tB\n")
    other = write("words/spa-eng.dict", "a")
    unknown = dictionary("words/mine", about=HEAD[:1])
    broken = dictionary("words/fra-eng")
    broken.write_bytes(broken.read_bytes()[:-20])
    notes = ImportNotes()
    assert len(list(read_dict([path.parent], notes=notes))) == len(FOUND)
    assert {label: reason.partition(":")[0] for label, reason in notes.not_read.items()} == {
        "words:eng-fra.index": "expected a .dict or .dict.dz file of the same name beside it",
        "words:spa-eng.dict": "expected its .index of the same name beside it",
        "words:mine.dict.dz": "nothing gives the languages",
        "words:fra-eng.dict.dz": "the compressed file is truncated",
    }
    for given in (alone, other, unknown, broken):
        with refused(given.parent, given.stem.partition(".")[0]):
            list(read_dict([given]))
    for file in (path, path.with_name("deu-eng.index"), unknown, unknown.with_name("mine.index")):
        file.unlink()
    with refused("none of 3 dictionaries can be read", "words:eng-fra.index"):
        list(read_dict([path.parent]))
    with refused("readme.md", "expected an end of its name"):
        list(read_dict([write("readme.md", "")]))


def test_languages_that_the_user_gives(dictionary: Any, brief: Any) -> None:
    path = dictionary("mine")
    options: Any = {"fields": Fields()}
    found = list(records("dict", [path], languages=("gsw", "eng"), **options))
    assert {language for language, _ in brief(found)} == {"gsw", "en"}


def test_the_source_is_both_files_with_the_licence_that_they_state(dictionary: Any, refused: Any) -> None:
    path = dictionary("deu-eng")
    names = (path.with_name("deu-eng.dict.dz"), path.with_name("deu-eng.index"))
    lines = "".join(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in names)
    for given in names:
        source = source_of("dict", given, "stated")
        assert (source.name, source.licence) == ("deu-eng.dict.dz", "Available under the terms of the GPL.")
        assert source.sha256 == hashlib.sha256(lines.encode()).hexdigest()
        assert source.size == sum(file.stat().st_size for file in names)
    assert source_of("dict", path.parent, "stated").licence == source.licence
    silent = dictionary("silent/deu-eng", about=HEAD)
    with refused(silent, "states no licence"):
        source_of("dict", silent, "stated")
    with refused("--licence", "files of moses state none"):
        source_of("moses", silent, "stated")
