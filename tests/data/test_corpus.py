"""Imported corpora: groups, splits, duplicates, damage and memory.

Covers xformer.data.background, batches, import_plan, leaks, record_file, record_index,
reporting and split_writer, too.
"""

from __future__ import annotations

import gzip
import itertools
import json
import os
import random
import tempfile
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xformer.data.corpus import import_corpus, open_corpus
from xformer.data.decontaminate import Decontaminator
from xformer.data.dedup_keys import DedupKeys
from xformer.data.import_plan import ImportOptions
from xformer.data.manifest import MANIFEST_NAME, Manifest, Source
from xformer.data.record import Record
from xformer.data.split import SPLITS, SplitSizes
from xformer.data.trigrams import trigrams
from xformer.errors import InputError

SOURCES = (Source("by hand", "CC0-1.0"),)
# Few words, so that texts repeat one another exactly, nearly, and across groups and languages.
WORDS = ["save", "Save", "page", "pages", "the", "now", "%s", "3", "ऊपर", "保存"]
TEXTS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join)
RECORDS = st.lists(
    st.builds(
        Record,
        text=TEXTS,
        language=st.sampled_from(["en", "de", "pt-BR", "pt-PT"]),
        group=st.sampled_from([f"g{number}" for number in range(12)]),
        source=st.just("s"),
        id=st.none() | st.just("7"),
    ),
    min_size=1,
    max_size=60,
)
THIRDS = ImportOptions(SplitSizes(dev=0.3, test=0.3))


@pytest.fixture(autouse=True)
def _quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files need not survive a power cut here."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _splits(folder: Path) -> dict[str, list[Record]]:
    corpus = open_corpus(folder, verify=True)
    return {split: list(corpus.records(split)) for split in SPLITS}


@settings(max_examples=70)
@given(RECORDS, st.integers(0, 3))
def test_held_out_text_is_unseen(records: list[Record], seed: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "corpus")
        manifest = import_corpus(records, folder, ImportOptions(THIRDS.splits, seed), SOURCES)
        splits = _splits(folder)
    assert manifest.splits.keys() == set(SPLITS)

    groups = {split: {record.group for record in part} for split, part in splits.items()}
    for first, second in itertools.combinations(SPLITS, 2):
        assert not groups[first] & groups[second]

    make_key = DedupKeys()
    for seen, unseen in (("train", "dev"), ("train", "test"), ("dev", "test")):
        for ours, theirs in itertools.product(splits[seen], splits[unseen]):
            first, second = make_key(ours.text), make_key(theirs.text)
            assert first != second
            if ours.language[:2] == theirs.language[:2]:
                a, b = trigrams(first), trigrams(second)
                assert len(a & b) / len(a | b) < 0.7

    assert all(count == 1 for count in Counter((r.language, r.text) for r in splits["train"]).values())
    for split in ("dev", "test"):
        keys = Counter((record.language, make_key(record.text)) for record in splits[split])
        assert all(count == 1 for count in keys.values())


@settings(max_examples=25)
@given(RECORDS)
def test_every_record_is_kept_as_it_was_or_counted_as_removed(records: list[Record]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "corpus")
        manifest = import_corpus(records, folder, THIRDS, SOURCES)
        splits = _splits(folder)
        assert Manifest.read(folder) == manifest
    kept = [record for part in splits.values() for record in part]
    removed = Counter[str]()
    for by_language in manifest.removed.values():
        removed.update(by_language)
    assert Counter(r.language for r in kept) + removed == Counter(r.language for r in records)
    fields = Counter((r.text, r.language, r.id) for r in records)
    assert Counter((r.text, r.language, r.id) for r in kept) <= fields
    assert {r.group for r in kept} <= {r.group for r in records}
    for split, part in splits.items():
        entry = manifest.splits[split]
        assert entry.groups == len({record.group for record in part})
        for tag, counts in entry.languages.items():
            texts = [record.text for record in part if record.language == tag]
            assert counts.records == len(texts)
            assert counts.chars == sum(map(len, texts))
            assert counts.bytes == sum(len(text.encode()) for text in texts)


@settings(max_examples=15)
@given(RECORDS, st.randoms())
def test_the_same_records_give_the_same_bytes_and_any_order_the_same_splits(
    records: list[Record], shuffler: random.Random
) -> None:
    shuffled = list(records)
    shuffler.shuffle(shuffled)
    with tempfile.TemporaryDirectory() as name:
        first, again, other = (Path(name, part) for part in ("first", "again", "other"))
        import_corpus(records, first, THIRDS, SOURCES)
        import_corpus(iter(records), again, THIRDS, SOURCES)
        import_corpus(shuffled, other, THIRDS, SOURCES)
        assert _contents(first) == _contents(again)
        home = {record.group: split for split, part in _splits(first).items() for record in part}
        for split, part in _splits(other).items():
            assert all(home.get(record.group, split) == split for record in part)


def _parallel(n: int) -> list[Record]:
    """Messages of random letters in two languages: nothing repeats."""
    draw = random.Random(0)
    return [
        Record("".join(draw.choices("abcdefghijklmnop ", k=40)), tag, f"g{number}", "s")
        for number in range(n)
        for tag in ("en", "de")
    ]


def _import(folder: Path, records: list[Record], **options: object) -> Manifest:
    return import_corpus(records, folder, ImportOptions(**options), SOURCES)  # type: ignore[arg-type]


def test_a_near_duplicate_takes_its_whole_group_out_of_training(tmp_path: Path) -> None:
    records = _parallel(40)
    sizes = SplitSizes(dev=0, test=1)
    _import(tmp_path / "first", records, splits=sizes)
    (held_out, _) = open_corpus(tmp_path / "first").records("test")
    # A new message, its English nearly that of the test message, its German worded differently.
    twin = [Record(held_out.text + "!x", "en", "twin", "s"), Record("ganz anders gesagt", "de", "twin", "s")]
    manifest = _import(tmp_path / "second", records + twin, splits=sizes)
    assert manifest.removed == {"near duplicate of test": {"en": 1}, "says the same as test": {"de": 1}}


def test_groups_that_say_the_same_are_one_and_bear_one_name(tmp_path: Path) -> None:
    records = [
        Record("E-mail address", "en", "1", "s"),
        Record("E-Mail-Adresse", "de", "1", "s"),
        Record("Email address", "en", "2", "s"),
        Record("E-Mail-Adresse", "de", "2", "s"),
        Record("correo", "es", "2", "s"),
        Record("Name", "en", "3", "s"),
    ]
    manifest = _import(tmp_path / "c", records, splits=SplitSizes(dev=0, test=0))
    kept = list(open_corpus(tmp_path / "c").records("train"))
    assert len({record.group for record in kept}) == 2
    assert [record.text for record in kept] == [records[place].text for place in (0, 1, 2, 4, 5)]
    assert len({record.group for record in kept[:4]}) == 1
    assert manifest.joined == {"groups": 3, "sets": 2, "largest": 2}
    assert manifest.removed == {"duplicate": {"de": 1}}


def test_rare_languages_and_empty_texts_are_left_out(tmp_path: Path) -> None:
    records = [*_parallel(5), Record("ja", "nl", "g0", "s"), Record(" \n", "en", "g1", "s")]
    manifest = _import(tmp_path / "c", records, splits=SplitSizes(dev=0, test=0), min_language_records=2)
    assert manifest.languages == ("de", "en")
    assert manifest.removed == {"no text": {"en": 1}, "rare language": {"nl": 1}}


def test_test_sets_are_kept_out_of_every_split(tmp_path: Path) -> None:
    records = _parallel(30)
    tool = Decontaminator([("flickr", records[:4])])
    manifest = import_corpus(records, tmp_path / "c", THIRDS, SOURCES, decontaminator=tool)
    assert manifest.removed == {"exact overlap with flickr": {"de": 2, "en": 2}}


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    import_corpus(_parallel(3), tmp_path / "c", THIRDS, SOURCES, progress=lambda *step: told.append(step))
    assert [stage for stage, _, _ in told] == [
        "read",
        "collect held-out text",
        "compare with held-out text",
        "write",
    ]


def test_line_separators_that_are_text_survive(tmp_path: Path) -> None:
    text = 'one\u2028two\u0085three\x0bfour\r\nfive\tsix \\ "seven" \x00'
    _import(
        tmp_path / "c", [Record(text, "en", "g", "s", id="", label="0")], splits=SplitSizes(dev=0, test=0)
    )
    (record,) = open_corpus(tmp_path / "c").records("train")
    assert record == Record(text, "en", "g", "s", id="", label="0")


def test_an_import_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[Record]:
        yield from _parallel(5)
        raise InputError("deu.txt: line 6: expected two columns, found one")

    with pytest.raises(InputError, match="line 6"):
        import_corpus(broken(), tmp_path / "deep" / "corpus", THIRDS, SOURCES)
    with pytest.raises(InputError, match="expected 3 groups for dev and test"):
        _import(tmp_path / "deep" / "corpus", _parallel(2), splits=SplitSizes(dev=1, test=2))
    with pytest.raises(InputError, match="by hand: expected records, but none are left of 0"):
        _import(tmp_path / "deep" / "corpus", [])
    with pytest.raises(InputError, match=r"deu\.txt: expected text that UTF-8 can encode"):
        _import(tmp_path / "deep" / "corpus", [Record("a\ud800", "en", "g", "deu.txt")])
    assert list((tmp_path / "deep").iterdir()) == []


def test_what_exists_is_never_overwritten(tmp_path: Path) -> None:
    _import(tmp_path / "c", _parallel(3))
    before = _contents(tmp_path / "c")
    with pytest.raises(InputError, match="c: already exists; expected a new or an empty folder"):
        _import(tmp_path / "c", _parallel(4))
    assert _contents(tmp_path / "c") == before
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    _import(tmp_path / "c", _parallel(3))
    assert open_corpus(tmp_path / "c").manifest.languages == ("de", "en")


def test_any_changed_byte_of_a_corpus_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    _import(folder, _parallel(2), splits=SplitSizes(dev=0, test=0))
    for path in folder.iterdir():
        whole = path.read_bytes()
        for place in range(0, len(whole), 3):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << place % 8
            path.write_bytes(damaged)
            with pytest.raises(InputError, match=path.name):
                open_corpus(folder, verify=True)
        path.write_bytes(whole[:-1])
        with pytest.raises(InputError, match=path.name):
            open_corpus(folder)
        path.unlink()
        with pytest.raises(InputError, match=f"{path.name}: missing"):
            open_corpus(folder)
        path.write_bytes(whole)
    open_corpus(folder, verify=True)


def test_damage_is_found_while_reading_too(tmp_path: Path) -> None:
    _import(tmp_path / "c", _parallel(50), splits=SplitSizes(dev=0, test=0))
    path = tmp_path / "c" / "train.jsonl.gz"
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(InputError, match=r"train.jsonl.gz: line \d+: expected a record"):
        list(open_corpus(tmp_path / "c").records("train"))
    with gzip.open(path, "wb") as file:
        file.write(json.dumps({"text": "a", "lang": "en"}).encode())
    with pytest.raises(InputError, match=r"train.jsonl.gz: expected [\d,]+ bytes, found"):
        list(open_corpus(tmp_path / "c").records("train"))


def test_what_is_no_corpus_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: expected the folder of a corpus"):
        open_corpus(tmp_path / "nowhere")
    with pytest.raises(InputError, match=rf"{MANIFEST_NAME}: missing"):
        open_corpus(tmp_path)
    _import(tmp_path / "c", _parallel(3))
    with pytest.raises(InputError, match="split: expected one of dev, test, train, got 'valid'"):
        list(open_corpus(tmp_path / "c").records("valid"))


@pytest.mark.parametrize("options", [{"near_threshold": 0.0}, {"min_language_records": 0}])
def test_impossible_options_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        ImportOptions(**options)  # type: ignore[arg-type]


@pytest.mark.slow
def test_text_is_never_all_in_memory(tmp_path: Path) -> None:
    """Twice as many texts need no more memory: a batch of them is what is looked at together."""
    letters = "".join(random.Random(0).choices("abcdefgh ", k=50_000))

    def endless(n: int) -> Iterator[Record]:
        for number in range(n):
            begin = 79 * number % 45_000
            yield Record(letters[begin : begin + 5_000], "en", f"g{number}", "s")

    def peak(n: int) -> int:
        tracemalloc.start()
        try:
            options = ImportOptions(SplitSizes(dev=0, test=0))
            import_corpus(endless(n), tmp_path / str(n), options, SOURCES)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(100)  # what is kept for the next import
    few = peak(200)
    assert peak(400) < 1.1 * few  # of 2,000,000 and 1,000,000 characters


def test_real_descriptions_leak_nothing(shared_data: Path, tmp_path: Path) -> None:
    """Debian package descriptions, N-way parallel and full of boilerplate; not part of the project."""
    records: list[Record] = []
    for tag in ("en", "de", "ja", "pt_BR"):
        with gzip.open(shared_data / "debian" / f"dev.{tag}.jsonl.gz") as file:
            for row in map(json.loads, itertools.islice(file, 400)):
                records.append(Record(row["synopsis"], tag.replace("_", "-"), row["id"], "debian"))
    manifest = _import(tmp_path / "c", records, splits=SplitSizes(dev=40, test=40, min_languages=2), seed=1)
    make_key = DedupKeys()
    splits = {
        split: [(record.language, make_key(record.text)) for record in part]
        for split, part in _splits(tmp_path / "c").items()
    }
    for unseen in ("dev", "test"):
        held_out = [(tag, key, trigrams(key)) for tag, key in splits[unseen]]
        for tag, key in splits["train"]:
            grams = trigrams(key)
            for other_tag, other, other_grams in held_out:
                assert key != other
                shared = len(grams & other_grams)
                assert tag != other_tag or shared < 0.7 * (len(grams) + len(other_grams) - shared)
    assert any("near" in reason for reason in manifest.removed)
