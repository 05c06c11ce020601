"""What an import says of small languages and of test sets; covers what the manifest has of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from xformer.data.corpus import import_corpus, open_corpus
from xformer.data.decontaminate import Decontaminator
from xformer.data.import_notes import ImportNotes
from xformer.data.import_plan import ImportOptions
from xformer.data.kin import SmallLanguages
from xformer.data.manifest import Manifest, Source
from xformer.data.manifest_lines import joined_languages, kept_apart, rare_languages
from xformer.data.named_test_sets import read_test_sets
from xformer.data.record import Record
from xformer.data.split import SplitSizes

SIZES = {"de": 40, "de-AT": 5, "de-CH": 3, "en": 40, "sr": 20, "sr-Latn": 4, "tlh": 2}
SOURCES = [Source(name, "CC0-1.0") for name in ("menus.whl", "names.zip")]


def _records() -> list[Record]:
    """Numbers in words of each language; the first of two sources has every third."""
    return [
        Record(f"{tag} zahl {n:04b}".replace("0", "nul ").replace("1", "een "), tag, f"{n}", f"{source}:{n}")
        for tag, size in SIZES.items()
        for n in range(size)
        for source in [("menus.whl" if n % 3 == 0 else "names.zip")]
    ]


def _import(folder: Path, small: SmallLanguages, tests: tuple[Path, ...] = ()) -> Manifest:
    notes = ImportNotes()
    decontaminator = Decontaminator(read_test_sets(tests, notes)) if tests else None
    options = ImportOptions(
        SplitSizes(dev=0, test=0), min_language_records=10, small_languages=small, near_threshold=1.0
    )
    found = import_corpus(_records(), folder, options, SOURCES, decontaminator=decontaminator, notes=notes)
    assert found == Manifest.read(folder)
    return found


def test_small_languages_are_joined_into_their_kin_or_left_out(tmp_path: Path) -> None:
    manifest = _import(tmp_path / "c", "join")
    assert manifest.languages == ("de", "en", "sr")
    assert manifest.merged == {"de": {"de-AT": 5, "de-CH": 3}}
    assert manifest.removed == {"rare language": {"sr-Latn": 4, "tlh": 2}}
    assert manifest.splits["train"].languages["de"].records == 48
    records = list(open_corpus(tmp_path / "c").records("train"))
    assert {record.language for record in records if record.text.startswith("de-AT ")} == {"de"}
    assert [record.text for record in records] == [
        record.text for record in _records() if record.language not in ("sr-Latn", "tlh")
    ]
    assert joined_languages(manifest) == [
        "joined into their kin: 2 languages with fewer than 10 texts",
        "  into de: de-AT 5, de-CH 3",
    ]
    assert rare_languages(manifest) == ["left out: 2 languages with fewer than 10 texts: sr-Latn 4, tlh 2"]
    assert sorted(path.name for path in (tmp_path / "c").iterdir()) == [
        "dev.jsonl.gz", "manifest.json", "test.jsonl.gz", "train.jsonl.gz",
    ]  # fmt: skip


def test_small_languages_are_dropped(tmp_path: Path) -> None:
    manifest = _import(tmp_path / "c", "drop")
    assert manifest.merged == {}
    assert manifest.removed == {"rare language": {"de-AT": 5, "de-CH": 3, "sr-Latn": 4, "tlh": 2}}
    assert joined_languages(manifest) == []


def test_joined_texts_that_their_kin_has_are_duplicates(tmp_path: Path) -> None:
    records = [Record(f"wort {n}", "de", f"{n}", "menus.whl:1") for n in range(12)]
    records += [Record(f"wort {n}", "de-AT", f"{n}", "menus.whl:2") for n in range(3)]
    options = ImportOptions(
        SplitSizes(dev=0, test=0), min_language_records=10, small_languages="join", near_threshold=1.0
    )
    manifest = import_corpus(records, tmp_path / "c", options, SOURCES)
    assert manifest.removed == {"duplicate": {"de": 3}}


def test_texts_and_bytes_are_counted_by_source_and_language(tmp_path: Path) -> None:
    manifest = _import(tmp_path / "c", "join")
    found = manifest.splits["train"].sources
    assert list(found) == ["menus.whl", "names.zip"]
    for name, by_language in found.items():
        for language, (texts, n_bytes) in by_language.items():
            mine = [
                record.text
                for record in open_corpus(tmp_path / "c").records("train")
                if record.source.startswith(name) and record.language == language
            ]
            assert (texts, n_bytes) == (len(mine), sum(len(text.encode()) for text in mine))
    assert sum(texts for row in found.values() for texts, _ in row.values()) == 108


def test_each_test_set_says_what_it_removed(tmp_path: Path) -> None:
    folder = tmp_path / "captions"
    folder.mkdir()
    (folder / "test.de").write_text(_records()[7].text + "\nEtwas anderes ganz und gar.\n", encoding="utf-8")
    (tmp_path / "far.en").write_text("Nothing of this is in the corpus.\n", encoding="utf-8")
    manifest = _import(tmp_path / "c", "drop", (folder, tmp_path / "far.en"))
    near = sum(manifest.removed["near overlap with captions"].values())
    assert near > 0
    assert manifest.test_sets == {
        "captions": {"texts": 2, "exact": 1, "near": near, "n-gram": 0},
        "far.en": {"texts": 1, "exact": 0, "near": 0, "n-gram": 0},
    }
    assert manifest.removed["exact overlap with captions"] == {"de": 1}
    how = f"(1 exact, {near} near, 0 n-gram)"
    assert kept_apart(manifest) == [
        f"kept apart from captions, 2 texts: {near + 1} texts left out that repeat it {how}",
        "kept apart from far.en, 1 text: 0 texts left out that repeat it (0 exact, 0 near, 0 n-gram)",
    ]


@pytest.mark.parametrize("small", ["drop", "join"])
def test_the_same_records_give_the_same_bytes(tmp_path: Path, small: SmallLanguages) -> None:
    for name in ("a", "b"):
        _import(tmp_path / name, small)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
