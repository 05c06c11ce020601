"""Token shards, written and read by one process.

Covers xformer.data.shard_index, shard_writer and xformer.storage.mapped, too.
"""

from __future__ import annotations

import os
import random
import tempfile
import tracemalloc
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xformer.data.corpus import import_corpus, open_corpus
from xformer.data.groups import group_hash
from xformer.data.import_plan import ImportOptions
from xformer.data.manifest import Source
from xformer.data.record import Record
from xformer.data.shard_index import COLUMNS, INDEX_NAME, ShardsInfo
from xformer.data.shard_writer import Sharding, write_shards
from xformer.data.shards import TokenShards
from xformer.data.split import SplitSizes
from xformer.errors import InputError
from xformer.tokenizer import TokenizerOptions, train_tokenizer


@pytest.fixture(autouse=True)
def _quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files need not survive a power cut here."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


class ByteEncoder:
    """A token per byte, from number `first` up; spaces alone are nothing."""

    def __init__(self, vocab_size: int = 300, first: int = 0) -> None:
        self.vocab_size = vocab_size
        self._first = first

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        raw = [b"" if text == "nothing" else text.encode() for text in texts]
        return [np.frombuffer(text, dtype=np.uint8).astype(np.int32) + self._first for text in raw]

    def byte_lengths(self) -> np.ndarray:
        return np.ones(self.vocab_size, dtype=np.int64)

    def fingerprint(self) -> str:
        return f"bytes-{self._first}"


def _corpus(folder: Path, texts: Iterable[str]) -> Path:
    records = [
        Record(text, ("de", "en", "zh-Hans")[number % 3], f"g{number // 3}", "s")
        for number, text in enumerate(texts)
    ]
    options = ImportOptions(SplitSizes(dev=0, test=0))
    import_corpus(records, folder, options, [Source("by hand", "CC0-1.0")])
    return folder


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


VISIBLE = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30).filter(str.strip)


@pytest.mark.slow
@settings(max_examples=40)
@given(st.lists(VISIBLE, min_size=1, max_size=25), st.integers(1, 12), st.integers(1, 80), st.integers(1, 9))
def test_every_text_comes_back_and_nothing_depends_on_the_batch(
    texts: list[str], max_length: int, bytes_per_shard: int, batch_size: int
) -> None:
    with tempfile.TemporaryDirectory() as name:
        corpus = _corpus(Path(name, "corpus"), texts)
        write = partial(
            write_shards,
            Sharding(corpus, "train", ByteEncoder(), max_length=max_length, bytes_per_shard=bytes_per_shard),
        )
        info = write(Path(name, "one"), batch_size=batch_size)
        write(Path(name, "two"))
        assert _contents(Path(name, "one")) == _contents(Path(name, "two"))

        shards = TokenShards.open(Path(name, "one"), fingerprint="bytes-0")
        assert shards.info == info
        assert shards.languages == open_corpus(corpus).manifest.languages
        assert len(shards) == shards.n_examples == len(shards.n_tokens)
        records = list(open_corpus(corpus).records("train"))
        pieces: list[list[bytes]] = [[] for _ in records]
        for example, tokens in enumerate(shards):
            assert tokens.dtype == np.int32
            assert len(tokens) == shards.n_tokens[example] == shards.n_bytes[example] <= max_length
            record = records[shards.record[example]]
            assert shards.languages[shards.language[example]] == record.language
            assert shards.group[example] == group_hash(record.group)
            pieces[shards.record[example]].append(bytes(tokens.astype(np.uint8)))
            assert shards.n_chunks[example] == -(-len(record.text.encode()) // max_length)
        asked = np.random.default_rng(len(texts)).integers(0, len(shards), size=2 * len(shards))
        expected = [token for example in asked.tolist() for token in shards[example].tolist()]
        assert shards.tokens_of(asked).tolist() == expected
        for record, parts in zip(records, pieces, strict=True):
            assert b"".join(parts).decode() == record.text
            assert max(map(len, parts)) - min(map(len, parts)) <= 1
        for shard in info.shards[:-1]:
            assert shard.text_bytes >= bytes_per_shard
        assert sum(shard.text_bytes for shard in info.shards) == shards.n_bytes.sum()


@pytest.mark.parametrize(("vocab_size", "dtype"), [(65_536, "<u2"), (65_537, "<u4"), (250_000, "<u4")])
def test_tokens_take_two_bytes_while_they_fit(tmp_path: Path, vocab_size: int, dtype: str) -> None:
    corpus = _corpus(tmp_path / "c", ["highest"])
    encoder = ByteEncoder(vocab_size, first=vocab_size - 256)
    info = write_shards(Sharding(corpus, "train", encoder), tmp_path / "s")
    assert info.dtype == dtype
    shards = TokenShards.open(tmp_path / "s")
    assert (shards[0] - (vocab_size - 256)).tolist() == list(b"highest")


def test_examples_are_numbered_like_a_sequence(tmp_path: Path) -> None:
    write_shards(
        Sharding(_corpus(tmp_path / "c", ["a", "bc", "def"]), "train", ByteEncoder(), bytes_per_shard=1),
        tmp_path / "s",
    )
    shards = TokenShards.open(tmp_path / "s")
    assert len(shards.info.shards) == 3
    assert shards[-1].tolist() == shards[2].tolist() == list(b"def")
    taken = shards.take(np.array([2, 0, 2]))
    assert [bytes(ids.tolist()) for ids in taken] == [b"def", b"a", b"def"]
    assert shards.take(np.array([], dtype=np.int64)) == []
    taken[0][0] = 7  # a copy as well
    for number in (3, -4):
        with pytest.raises(IndexError, match=f"example {number}: expected less than 3"):
            shards[number]
    shards[0][0] = 7  # a copy: the files are as they were
    assert shards[0].tolist() == list(b"a")
    with pytest.raises(ValueError, match="read-only"):
        shards.language[0] = 1


def test_a_piece_has_its_share_of_the_bytes_of_its_text(tmp_path: Path) -> None:
    class Halving(ByteEncoder):
        """A token per byte that claims to stand for another number of bytes, as after normalisation."""

        def byte_lengths(self) -> np.ndarray:
            return np.where(np.arange(self.vocab_size) == ord("x"), 0, 3)

    write_shards(
        Sharding(_corpus(tmp_path / "c", ["aaaaxxxx", "xxxx"]), "train", Halving(), max_length=2),
        tmp_path / "s",
    )
    shards = TokenShards.open(tmp_path / "s")
    assert shards.n_bytes.tolist() == [4, 4, 0, 0, 0, 4]


def test_a_real_tokenizer_decodes_what_it_encoded(tmp_path: Path) -> None:
    texts = [f"Häuser und Straßen, {number} 保存 {word}" for number, word in enumerate(("a", "b", "c") * 20)]
    options = TokenizerOptions(vocabulary_size=300, model="bpe", threads=1)
    tokenizer = train_tokenizer([("de", text) for text in texts], options)
    corpus = _corpus(tmp_path / "c", texts)
    write_shards(Sharding(corpus, "train", tokenizer), tmp_path / "s", batch_size=7)
    shards = TokenShards.open(tmp_path / "s", fingerprint=tokenizer.fingerprint())
    kept = [record.text for record in open_corpus(corpus).records("train")]
    assert [tokenizer.decode(tokens) for tokens in shards] == kept
    assert shards.n_bytes.tolist() == [len(text.encode()) for text in kept]


def test_texts_that_encode_to_nothing_are_counted(tmp_path: Path) -> None:
    info = write_shards(
        Sharding(_corpus(tmp_path / "c", ["a", "nothing", "b"]), "train", ByteEncoder()), tmp_path / "s"
    )
    assert info.empty_records == 1
    assert TokenShards.open(tmp_path / "s").record.tolist() == [0, 2]


def test_an_empty_split_makes_empty_shards(tmp_path: Path) -> None:
    write_shards(Sharding(_corpus(tmp_path / "c", ["a"]), "test", ByteEncoder()), tmp_path / "s")
    shards = TokenShards.open(tmp_path / "s")
    assert len(shards) == 0
    assert list(shards) == []


def test_any_changed_byte_is_found_and_its_file_named(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    write_shards(
        Sharding(_corpus(tmp_path / "c", ["abc", "de"]), "train", ByteEncoder(), bytes_per_shard=3), folder
    )
    columns = ShardsInfo.read(folder).column_types
    assert len(list(folder.iterdir())) == 2 + len(columns) + 1
    for path in folder.iterdir():
        whole = path.read_bytes()
        for place in range(0, len(whole), 3 if path.name == INDEX_NAME else 1):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << place % 8
            path.write_bytes(damaged)
            with pytest.raises(InputError, match=path.name):
                TokenShards.open(folder)
        for cut in (whole[:-1], whole + b"\0", b""):
            path.write_bytes(cut)
            with pytest.raises(InputError, match=path.name):
                TokenShards.open(folder, verify=False)
        path.unlink()
        with pytest.raises(InputError, match=f"{path.name}: missing"):
            TokenShards.open(folder, verify=False)
        path.write_bytes(whole)
    assert len(TokenShards.open(folder)) == 2


def test_damage_is_told_with_what_was_expected_and_found(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    info = write_shards(Sharding(_corpus(tmp_path / "c", ["abc"]), "train", ByteEncoder()), folder)
    entry = info.shards[0].file
    (folder / entry.name).write_bytes(b"\0" * entry.size)
    with pytest.raises(
        InputError, match=rf"tokens-00000\.bin: damaged; expected sha256 {entry.sha256}, found [0-9a-f]+"
    ):
        TokenShards.open(folder)
    (folder / entry.name).write_bytes(b"\0")
    with pytest.raises(InputError, match=r"tokens-00000\.bin: expected 6 bytes, found 1"):
        TokenShards.open(folder)


def test_the_wrong_tokenizer_is_refused(tmp_path: Path) -> None:
    write_shards(Sharding(_corpus(tmp_path / "c", ["a"]), "train", ByteEncoder()), tmp_path / "s")
    with pytest.raises(InputError, match=r"shards\.json: encoded by the tokenizer bytes-0, expected other"):
        TokenShards.open(tmp_path / "s", fingerprint="other")


def test_sharding_that_fails_leaves_nothing(tmp_path: Path) -> None:
    class Failing(ByteEncoder):
        def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
            if "d" in texts:
                raise RuntimeError("out of memory")
            return super().encode_batch(texts)

    corpus = _corpus(tmp_path / "c", "abcdef")
    with pytest.raises(RuntimeError, match="out of memory"):
        write_shards(
            Sharding(corpus, "train", Failing(), bytes_per_shard=1), tmp_path / "deep" / "s", batch_size=1
        )
    assert list((tmp_path / "deep").iterdir()) == []
    with pytest.raises(ValueError, match="an id outside 0 to 49 for 'a'"):
        write_shards(Sharding(corpus, "train", ByteEncoder(vocab_size=50)), tmp_path / "deep" / "s")
    with pytest.raises(InputError, match="expected one of dev, test, train, got 'valid'"):
        write_shards(Sharding(corpus, "valid", ByteEncoder()), tmp_path / "deep" / "s")
    assert list((tmp_path / "deep").iterdir()) == []


def test_shards_are_written_once(tmp_path: Path) -> None:
    corpus = _corpus(tmp_path / "c", "abc")
    write_shards(Sharding(corpus, "train", ByteEncoder()), tmp_path / "s")
    before = _contents(tmp_path / "s")
    with pytest.raises(InputError, match="s: already exists"):
        write_shards(Sharding(corpus, "train", ByteEncoder()), tmp_path / "s")
    assert _contents(tmp_path / "s") == before


@pytest.mark.parametrize("name", ["max_length", "bytes_per_shard"])
def test_impossible_sizes_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}: expected 1 to"):
        Sharding(tmp_path, "train", ByteEncoder(), **{name: 0})


def test_an_impossible_batch_size_is_refused(tmp_path: Path) -> None:
    sharding = Sharding(_corpus(tmp_path / "c", "a"), "train", ByteEncoder())
    with pytest.raises(ValueError, match="batch_size: expected 1 to"):
        write_shards(sharding, tmp_path / "s", batch_size=0)
    assert not (tmp_path / "s").exists()


def test_progress_is_told_batch_by_batch(tmp_path: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    write_shards(
        Sharding(_corpus(tmp_path / "c", "abcde"), "train", ByteEncoder()),
        tmp_path / "s",
        batch_size=2,
        progress=lambda *step: told.append(step),
    )
    assert told == [("encode train", 2, 5), ("encode train", 4, 5), ("encode train", 5, 5)]


def test_memory_holds_a_batch_only(tmp_path: Path) -> None:
    draw = random.Random(0)
    corpus = _corpus(tmp_path / "c", ("".join(draw.choices("abcdefgh", k=5_000)) for _ in range(600)))
    tracemalloc.start()
    try:
        write_shards(Sharding(corpus, "train", ByteEncoder()), tmp_path / "s", batch_size=8)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1_500_000  # of 3,000,000 tokens in one shard


@pytest.mark.parametrize(
    "name", ["tokens-00001.bin", *(f"{column}.bin" for column in (*COLUMNS, "source", "chars"))]
)
def test_a_file_that_is_cut_short_while_it_is_in_use_is_named(tmp_path: Path, name: str) -> None:
    corpus = _corpus(tmp_path / "c", ["a", "bc", "def"])
    write_shards(Sharding(corpus, "train", ByteEncoder(), bytes_per_shard=1), tmp_path / "s")
    shards, file = TokenShards.open(tmp_path / "s"), tmp_path / "s" / name
    size = file.stat().st_size
    os.truncate(file, size - 1)  # to nothing, reading would be SIGBUS
    with pytest.raises(InputError, match=rf"{name}: expected {size} bytes, found {size - 1}; it was changed"):
        shards.take(np.array([0, 1]))
    # A shard that is not read is not asked about, and one that is replaced is kept by its map.
    if name.startswith("tokens"):
        assert shards[2].tolist() == list(b"def")
    file.rename(file.with_suffix(".old"))
    os.truncate(file.with_suffix(".old"), size)
    file.write_bytes(b"")
    assert len(shards.take(np.array([0, 1]))) == 2
