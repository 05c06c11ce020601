"""The corpus of many sources: what is recorded of them, and how small sources of the same forms are read.

Covers `corpus`, `tags` and `repeats`.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import get_args

import pytest

from tests.data.embedded.packing import package, tar, wheel
from xformer.data.embedded import EmbeddedName, corpus, is_embedded
from xformer.data.embedded import sources as source_module
from xformer.data.embedded.corpus import fetch_embedded, import_embedded, named_or_read
from xformer.data.embedded.gettext import gettext_wheels
from xformer.data.embedded.packages import Package
from xformer.data.embedded.repeats import without_repeats
from xformer.data.embedded.sources import EmbeddedSource, sources_of
from xformer.data.embedded.tags import is_variant_of_english, same_language, with_usual_script
from xformer.data.import_notes import ImportNotes
from xformer.data.import_plan import ImportOptions
from xformer.data.readers.cldr import CLDR_KINDS
from xformer.data.record import Record, normalize_language
from xformer.data.split import SplitSizes
from xformer.errors import InputError


def messages(**languages: str) -> dict[str, str]:
    return {f"made/{tag}.json": json.dumps({"a": text}) for tag, text in languages.items()}


DOG = wheel(
    messages(en="a dog", de_DE="ein Hund", en_GB="a dogge", zh_CN="一只狗", pt="um cão", sr_Cyrl="пас")
)
AGAIN = tar(messages(en="a dog", de="ein Hund", es="un perro"))


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[EmbeddedSource, ...]:
    """Two small sources, which are in the cache, and one of a registry that this machine has no tool for."""
    monkeypatch.setenv("XFORMER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "cache" / "broad").mkdir(parents=True)
    dogs, again = package("pypi", "dogs", DOG), package("npm", "again", AGAIN, "ISC")
    for each, content in ((dogs, DOG), (again, AGAIN)):
        (tmp_path / "cache" / "broad" / each.filename).write_bytes(content)
    made = (
        EmbeddedSource("animals", "dogs", "messages", (dogs,), rename={"pt-PT": "pt-BR"}),
        EmbeddedSource("games", "stories", "messages", (package("debian", "story", b""), again)),
        EmbeddedSource("manuals", "manuals", "messages", (package("debian", "manual", b""),)),
    )
    monkeypatch.setattr(corpus, "sources_of", lambda name: made)
    return made


def test_sources_are_read_with_their_names_and_licences(sources: tuple[EmbeddedSource, ...]) -> None:
    said: list[str] = []
    made = fetch_embedded("broad", say=said.append)
    assert [(each.name, each.licence, each.sha256, each.size) for each in made.sources] == [
        ("animals/dogs-1.0-py3-none-any.whl", "MIT", sources[0].packages[0].sha256, len(DOG)),
        ("games/again-1.0.tgz", "ISC", sources[1].packages[1].sha256, len(AGAIN)),
    ]
    records = list(made.records(ImportNotes()))
    assert {(record.language, record.text) for record in records} == {
        ("en", "a dog"),
        ("de", "ein Hund"),
        ("zh-Hans", "一只狗"),
        ("pt-PT", "um cão"),
        ("sr", "пас"),
        ("es", "un perro"),
    }
    assert len(records) == 6  # what comes again is one text
    assert len({record.group for record in records}) == 1
    names = {each.name for each in made.sources}
    assert {record.source.partition(":")[0] for record in records} == names


def test_what_this_machine_cannot_have_is_said(sources: tuple[EmbeddedSource, ...]) -> None:
    said: list[str] = []
    made = fetch_embedded("broad", say=said.append)
    reason = "apt-get is not on this machine"
    assert made.left_out == {
        "games/story_1.0_all.deb": reason,
        "manuals/manual_1.0_all.deb": reason,
    }
    assert f"games: left out 1 of 2 packages: {reason}" in said
    assert f"manuals: left out 1 of 1 packages: {reason}" in said


def test_a_source_may_name_a_language_otherwise(sources: tuple[EmbeddedSource, ...]) -> None:
    changed = dataclasses.replace(sources[0], rename={"pt": "pt-BR"})
    fetched, _ = source_module.fetch_sources([changed], say=lambda _: None)
    assert {
        r.language for r in source_module.read_source(fetched[0], ImportNotes()) if r.text == "um cão"
    } == {"pt-BR"}


def test_what_is_no_text_is_stripped(sources: tuple[EmbeddedSource, ...]) -> None:
    changed = dataclasses.replace(sources[0], strip="^um |^a dog$")
    fetched, _ = source_module.fetch_sources([changed], say=lambda _: None)
    notes = ImportNotes()
    texts = {record.text for record in source_module.read_source(fetched[0], notes)}
    assert "cão" in texts
    assert not {"um cão", "a dog", ""} & texts
    assert notes.left_out["no text"] == {"en": 1}


def test_an_unknown_reader(sources: tuple[EmbeddedSource, ...]) -> None:
    changed = dataclasses.replace(sources[0], reader="poems")
    fetched, _ = source_module.fetch_sources([changed], say=lambda _: None)
    with pytest.raises(ValueError, match="source animals: unknown reader 'poems'"):
        list(source_module.read_source(fetched[0], ImportNotes()))


def test_the_sources_of_the_program() -> None:
    found = sources_of("broad") + sources_of("declaration")
    names = [source.name for source in found]
    assert len(set(names)) == len(names)
    assert all(source.packages and source.about for source in found)
    every = {each for source in found for each in source.packages}  # two sources may share one
    assert len({each.filename for each in every}) == len(every)
    assert {kind for source in found for kind in source.kinds} <= CLDR_KINDS
    assert next(source for source in found if source.name == "gettext").packages == gettext_wheels()
    for source in found:
        for given, tag in source.rename.items():
            assert (normalize_language(given), normalize_language(tag)) == (given, tag)


@pytest.mark.parametrize(
    "source", sources_of("broad") + sources_of("declaration"), ids=lambda source: source.name
)
def test_every_reader_is_known_and_refuses_what_is_not_its_format(
    source: EmbeddedSource, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=f"^{tmp_path}: expected"):
        list(source_module._read(source, [tmp_path], ImportNotes()))


def test_names_of_corpora() -> None:
    assert all(is_embedded(name) for name in get_args(EmbeddedName))
    assert not any(is_embedded(name) for name in ("", "Gettext", "broad/", "./broad"))


def test_tags() -> None:
    for given, tag in same_language().items():
        assert normalize_language(given) == given
        assert same_language().get(tag, tag) == tag  # in one step
    assert [is_variant_of_english(tag) for tag in ("en", "en-GB", "en-Latn-US", "enm")] == [
        False,
        True,
        True,
        False,
    ]
    tags = {
        "sr-Cyrl": "sr",
        "sr-Latn": "sr-Latn",
        "sr-Cyrl-ME": "sr-ME",
        "zh-Hans": "zh-Hans",
        "zh-HK": "zh-Hant-HK",
        "zh": "zh-Hans",
        "de": "de",
        "hi-Latn": "hi-Latn",
        "hi-Deva": "hi",
    }
    # Battle for Wesnoth has two Valencians, and other packages have one under a third name.
    names = ("racv", "ca_ES@valencia", "ca@valencia")
    assert {same_language().get(tag, tag) for tag in map(normalize_language, names)} == {"ca-valencia"}
    assert {tag: with_usual_script(tag) for tag in tags} == tags


def test_repeats_of_another_group_or_language_stay() -> None:
    records = [
        Record("no", "en", "1", "a"),
        Record("no", "en", "1", "b"),
        Record("no", "es", "1", "c"),
        Record("no", "en", "2", "d"),
        Record("\ud800", "en", "2", "e"),
    ]
    assert [record.source for record in without_repeats(records)] == ["a", "c", "d", "e"]


def test_packages_may_be_keys() -> None:
    one: Package = package("pypi", "dogs", DOG)
    assert {one: 1}[package("pypi", "dogs", DOG)] == 1


def test_the_page_has_each_source_with_its_packages_and_licences() -> None:
    page = Path(__file__).parents[3].joinpath("docs", "corpora.md").read_text(encoding="utf-8")
    rows = {}
    for line in page.split("\n"):
        if line.startswith("| `"):
            name, _, packages, licence, *_ = (cell.strip() for cell in line.strip("|").split("|"))
            rows[name.strip("`")] = packages, licence
    found = sources_of("broad") + sources_of("declaration")
    assert list(rows) == [source.name for source in found]
    for source in found:
        packages, licence = rows[source.name]
        assert licence == ", ".join(dict.fromkeys(each.licence for each in source.packages))
        if len(source.packages) < 5:
            assert all(f"`{each.name}`" in packages for each in source.packages)
        else:
            assert packages.startswith(str(len(source.packages)))


def test_test_sets_by_name_and_by_path(sources: tuple[EmbeddedSource, ...], tmp_path: Path) -> None:
    (tmp_path / "test.de").write_text("eine Katze\n", encoding="utf-8")
    notes = ImportNotes()
    found = named_or_read(["declaration", tmp_path / "test.de"], notes, say=lambda _: None)
    texts = {name: {record.text for record in records} for name, records in found}
    assert texts["test.de"] == {"eine Katze"}
    assert {"a dog", "ein Hund", "un perro"} <= texts["declaration"]
    assert notes.test_sets == {name: len(its) for name, its in texts.items()}


def test_a_corpus_is_imported_without_what_overlaps(
    sources: tuple[EmbeddedSource, ...], tmp_path: Path
) -> None:
    (tmp_path / "test.de").write_text("ein Hund\n", encoding="utf-8")
    options = ImportOptions(SplitSizes(dev=0, test=0))
    manifest = import_embedded(
        "broad", tmp_path / "corpus", options, [tmp_path / "test.de"], say=lambda _: None
    )
    assert "de" not in manifest.languages
    assert "es" in manifest.languages
    assert manifest.sources[0].name == "animals/dogs-1.0-py3-none-any.whl"
