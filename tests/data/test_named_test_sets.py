"""Test sets as they are handed around: which texts are read of what, under which name."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import pytest

from xformer.data.import_notes import ImportNotes
from xformer.data.named_test_sets import UNKNOWN, read_test_sets
from xformer.errors import InputError


def _read(*paths: Path, notes: ImportNotes | None = None) -> dict[str, list[tuple[str, str]]]:
    sets = read_test_sets(paths, notes)
    return {name: [(record.text, record.language) for record in records] for name, records in sets}


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("test_2016_flickr.de", "Ein Hund.\n\nZwei\tHunde.\n", [("Ein Hund.", "de"), ("Zwei\tHunde.", "de")]),
        ("test.en.gz", "A dog.\r\n", [("A dog.", "en")]),
        ("tatoeba.deu-eng.deu", "Hallo!\n", [("Hallo!", "de")]),
        # Any code of a pair, also one that no list of languages has.
        ("tatoeba.qqq-eng.qqq", "Qqq.\n", [("Qqq.", "qqq")]),
        ("newstest.pt_BR.txt", "Um cão.\n", [("Um cão.", "pt-BR")]),
        ("captions.txt", "One.\nTwo\u2028lines.\n", [("One.", UNKNOWN), ("Two\u2028lines.", UNKNOWN)]),
        # The layout of the Tatoeba challenge: codes and sentences.
        ("test.txt", "eng\tdeu\tTom is.\tTom ist.\n", [("Tom is.", UNKNOWN), ("Tom ist.", UNKNOWN)]),
        ("pairs.tsv", "1276\tHi!\t你好\t3.50\n", [("你好", UNKNOWN)]),
        ("rows.csv", 'id,text\n1,"Two, at once"\n', [("text", UNKNOWN), ("Two, at once", UNKNOWN)]),
        ("rows.jsonl", '{"id": 3, "text": "Ein Satz", "lang": "de"}\n\n["Noch einer"]\n"Zuletzt"\n',
         [("Ein Satz", UNKNOWN), ("Noch einer", UNKNOWN), ("Zuletzt", UNKNOWN)]),
        ("noending", "A file that is named itself.\n", [("A file that is named itself.", UNKNOWN)]),
    ],
)  # fmt: skip
def test_a_file_is_read_by_its_name(
    tmp_path: Path, name: str, text: str, expected: list[tuple[str, str]]
) -> None:
    assert _read(_write(tmp_path / name, text)) == {name: expected}


def test_a_folder_is_one_test_set_and_what_is_no_text_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "multi30k"
    _write(folder / "test.en", "A dog.\n")
    _write(folder / "more" / "test.de", "Ein Hund.\n")
    _write(folder / "README.md", "# Captions\n")
    _write(folder / "score.py", "print()\n")
    _write(folder / ".git" / "HEAD.txt", "ref\n")
    notes = ImportNotes()
    assert _read(folder, notes=notes) == {"multi30k": [("Ein Hund.", "de"), ("A dog.", "en")]}
    assert notes.test_sets == {"multi30k": 2}
    assert set(notes.not_read) == {"multi30k/README.md", "multi30k/score.py"}


def test_a_zip_is_read_like_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "opus.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("Corpus.de-en.de", "Ein Hund.\n")
        archive.writestr("Corpus.de-en.en", "A dog.\n")
        archive.writestr("README", "Corpus\n")
    assert _read(path) == {"opus.zip": [("Ein Hund.", "de"), ("A dog.", "en")]}


def test_sets_of_one_name_are_called_by_their_paths(tmp_path: Path) -> None:
    one, two = _write(tmp_path / "a" / "test.de", "Eins.\n"), _write(tmp_path / "b" / "test.de", "Zwei.\n")
    three = _write(tmp_path / "dev.de", "Drei.\n")
    assert list(_read(one, two, three)) == [str(one), str(two), "dev.de"]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("empty.txt", "\n \n", "expected a test set, found no text"),
        ("rows.jsonl", '"Gut"\n{"text": \n', "rows.jsonl:2: cannot be read"),
        ("latin.de", None, "latin.de:1: expected UTF-8"),
        ("folder/README.md", "#\n", "folder: expected a test set, found no text"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, text: str | None, expected: str) -> None:
    path = tmp_path / name
    if text is None:
        path.write_bytes(b"M\xe4nner\n")
    else:
        _write(path, text)
    with pytest.raises(InputError, match=expected):
        _read(tmp_path / "folder" if name.startswith("folder") else path)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: no such file or folder"):
        _read(tmp_path / "nowhere")
