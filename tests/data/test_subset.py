"""A part of a corpus: the texts of some languages, and a manifest that counts them."""

from __future__ import annotations

from pathlib import Path

import pytest

from xformer.data.corpus import open_corpus
from xformer.data.manifest import Counts
from xformer.data.subset import languages_of, write_subset
from xformer.errors import InputError


def test_texts_stay_in_their_split_and_order(corpus: Path, tmp_path: Path) -> None:
    whole = open_corpus(corpus)
    part = write_subset(whole, ["de", "el"], tmp_path / "part")
    for split in whole.manifest.splits:
        expected = [record for record in whole.records(split) if record.language in ("de", "el")]
        assert list(part.records(split)) == expected
    assert part.manifest.languages == ("de", "el")
    assert open_corpus(tmp_path / "part", verify=True).manifest == part.manifest


def test_the_manifest_counts_what_is_there(corpus: Path, tmp_path: Path) -> None:
    part = write_subset(open_corpus(corpus), ["de", "el"], tmp_path / "part")
    entry, texts = part.manifest.split("train"), [*part.records("train")]
    german = [record.text for record in texts if record.language == "de"]
    assert entry.languages["de"] == Counts(
        len(german), sum(map(len, german)), sum(len(text.encode()) for text in german)
    )
    groups: dict[str, set[str]] = {}
    for record in texts:
        groups.setdefault(record.group, set()).add(record.language)
    assert entry.groups == len(groups)
    assert entry.translated == sum(len(tags) > 1 for tags in groups.values()) > 0
    assert entry.sources["synthetic"]["de"] == (len(german), entry.languages["de"].bytes)
    assert part.manifest.options["of_languages"] == ["de", "el"]


def test_all_languages_are_the_same_texts(corpus: Path, tmp_path: Path) -> None:
    whole = open_corpus(corpus)
    part = write_subset(whole, whole.manifest.languages, tmp_path / "all")
    assert part.manifest.splits == whole.manifest.splits
    assert part.manifest.sources == whole.manifest.sources


def test_languages_are_found_by_tag_and_name(corpus: Path) -> None:
    whole = open_corpus(corpus)
    assert languages_of(whole, ["German", "el"]) == ("de", "el")
    assert languages_of(whole, []) == whole.manifest.languages
    with pytest.raises(InputError, match=r"--languages: .* has no 'fr'; it has de, el, en"):
        languages_of(whole, ["fr"])
