import gzip
from pathlib import Path

import pytest

from xformer.errors import InputError
from xformer.evaluation.outside.folder import AlignedFiles, find_aligned


def put(folder: Path, **files: str) -> Path:
    """Files by name, with `__` for a dot and `_X_` for a hyphen."""
    for name, text in files.items():
        path = folder / name.replace("__", ".").replace("_X_", "-")
        path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return folder


def shown(sets: list[AlignedFiles]) -> list[tuple[str, str, str]]:
    return [(one.name, " ".join(one.files), one.pivot) for one in sets]


@pytest.fixture
def tatoeba(tmp_path: Path) -> Path:
    """Two pairs as LASER has them, one of them compressed, and a third with another pivot."""
    return put(
        tmp_path,
        tatoeba__cmn_X_eng__cmn="一\n二\n",
        tatoeba__cmn_X_eng__eng="one\ntwo\n",
        tatoeba__deu_X_eng__deu__gz="eins\n\nvier\n",
        tatoeba__deu_X_eng__eng__gz="\ufeffone\nthree\nfour\r\n",
        tatoeba__fra_X_deu__fra="un\n",
        tatoeba__fra_X_deu__deu="eins\n",
        README__md="about it",
    )


def test_pairs_of_tatoeba_are_sets_of_their_own(tatoeba: Path) -> None:
    sets, notes = find_aligned(tatoeba, "en")
    assert shown(sets) == [
        ("tatoeba", "cmn eng", "eng"),
        ("tatoeba", "deu eng", "eng"),
        ("tatoeba", "fra deu", "deu"),
    ]
    assert [one.label for one in sets] == ["tatoeba cmn-eng", "tatoeba deu-eng", "tatoeba fra-deu"]
    assert notes == ["not read, as no name of aligned files: README.md"]
    german = [(record.text, record.language, record.group) for record in sets[1].records()]
    # The blank line has no text, and what stands beside it no translation.
    assert german == [
        ("eins", "de", "tatoeba deu-eng:1"),
        ("one", "en", "tatoeba deu-eng:1"),
        ("three", "en", "tatoeba deu-eng:2"),
        ("vier", "de", "tatoeba deu-eng:3"),
        ("four", "en", "tatoeba deu-eng:3"),
    ]


def test_a_pivot_that_is_asked_for_leaves_out_the_others(tatoeba: Path) -> None:
    sets, notes = find_aligned(tatoeba, "en", "de")
    assert shown(sets) == [("tatoeba", "deu eng", "deu"), ("tatoeba", "fra deu", "deu")]
    assert "left out, without de: tatoeba eng-cmn" in notes
    with pytest.raises(InputError, match="--pivot: expected one of cmn, deu, eng, fra"):
        find_aligned(tatoeba, "en", "ja")


def test_without_the_runs_pivot_it_is_what_most_pairs_have(tatoeba: Path) -> None:
    sets, _ = find_aligned(tatoeba, "ja")
    assert [one.pivot for one in sets] == ["eng", "eng", "deu"]


def test_moses_files_are_one_set_in_many_languages(tmp_path: Path) -> None:
    folder = put(
        tmp_path, train__de="a\n", train__en="b\n", val__de="a\n", val__en="b\n",
        test_2016__de="eins\n", test_2016__en="one\n", test_2016__fr="un\n", notes__txt="x", alone__it="y",
    )  # fmt: skip
    sets, notes = find_aligned(folder, "en")
    assert shown(sets) == [("test_2016", "de en fr", "en")]
    assert notes == [
        "not read, as no name of aligned files: notes.txt, alone.it",
        "of test_2016, train, val, test_2016 is read; --split takes another",
    ]
    assert [one.name for one in find_aligned(folder, "en", split="val")[0]] == ["val"]
    assert [one.name for one in find_aligned(folder, "en", split="all")[0]] == ["test_2016", "train", "val"]
    with pytest.raises(InputError, match="--split: expected one of test_2016, train, val, all"):
        find_aligned(folder, "en", split="dev")


def test_moses_pairs_with_regions(tmp_path: Path) -> None:
    put(tmp_path, Corpus__en_X_zh_X_TW__en="a\n")
    (tmp_path / "Corpus.en-zh-TW.zh-TW").write_text("甲\n", encoding="utf-8")
    sets, _ = find_aligned(tmp_path, "en")
    assert shown(sets) == [("Corpus", "en zh-TW", "en")]


def test_what_is_broken_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a corpus .* or line-aligned files"):
        find_aligned(tmp_path, "en")
    put(tmp_path, t__deu_X_eng__deu="a\nb\n")
    with pytest.raises(InputError, match=r"has t\.deu-eng\.deu without t\.deu-eng\.eng"):
        find_aligned(tmp_path, "en")
    put(tmp_path, t__deu_X_eng__eng="a\n")
    ((one,), _) = find_aligned(tmp_path, "en")
    with pytest.raises(InputError, match=r"same number of lines.*deu has 2.*eng has 1"):
        list(one.records())
