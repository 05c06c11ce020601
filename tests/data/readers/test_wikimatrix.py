"""WikiMatrix: pairs with scores."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from xformer.data.import_notes import ImportNotes
from xformer.data.readers import read_wikimatrix
from xformer.errors import InputError

LINES = (
    "1.2543\tEin Haus.\tA house.\n"
    "1.04\tZwei\u2028Zeilen.\tTwo lines.\n"
    "1.0399\tKnapp.\tClose.\n"
    "1.1\tMit Feld.\tWith a field.\tdes\ten\n"
    "1.1\t \tEmpty.\n"
)


def write(folder: Path, name: str, text: str = LINES) -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def test_pairs_from_a_score_on(tmp_path: Path) -> None:
    path = write(tmp_path, "WikiMatrix.de-en.tsv.gz")
    notes = ImportNotes()
    records = list(read_wikimatrix(path, notes=notes))
    texts = [
        "Ein Haus.",
        "A house.",
        "Zwei\u2028Zeilen.",
        "Two lines.",
        "Mit Feld.",
        "With a field.",
        "Empty.",
    ]
    assert [record.text for record in records] == texts
    assert [record.language for record in records] == ["de", "en"] * 3 + ["en"]
    assert records[0].group == records[1].group != records[2].group
    assert records[3].source == "WikiMatrix.de-en.tsv.gz:2"
    assert notes.left_out == {"low score": {"de": 1, "en": 1}, "no text": {"de": 1}}
    assert [record.text for record in read_wikimatrix(path, min_score=1.2)] == texts[:2]
    assert len(list(read_wikimatrix(path, min_score=0))) == 9


@pytest.mark.parametrize(
    ("name", "tags"),
    [
        ("WikiMatrix.en-nds_nl.tsv", {"en", "nds-NL"}),
        ("WikiMatrix.en-simple.tsv.gz", {"en", "en-simple"}),
        ("de-en.tsv", {"de", "en"}),
    ],
)
def test_names_of_wikipedias(tmp_path: Path, name: str, tags: set[str]) -> None:
    assert {record.language for record in read_wikimatrix(write(tmp_path, name))} == tags


def test_languages_may_be_given(tmp_path: Path) -> None:
    path = write(tmp_path, "mine.tsv")
    assert {one.language for one in read_wikimatrix(path, languages=["deu", "en"])} == {"de", "en"}
    with pytest.raises(InputError, match="does not give two languages: expected one such as WikiMatrix"):
        list(read_wikimatrix(path))
    with pytest.raises(InputError, match="expected two languages, got 1"):
        list(read_wikimatrix(path, languages=["de"]))


@pytest.mark.parametrize(
    "line", ["1.1\tone", "one\ttwo\tthree", "nan\tone\ttwo", "inf\tone\ttwo", "\tone\ttwo"]
)
def test_a_broken_line_is_named(tmp_path: Path, line: str) -> None:
    path = write(tmp_path, "x.de-en.tsv", f"{LINES}{line}\n")
    with pytest.raises(InputError, match=r"de-en\.tsv:6: expected score, sentence and translation, got"):
        list(read_wikimatrix(path))
