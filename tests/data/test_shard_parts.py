"""Token shards by many workers have the same bytes as those by one."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xformer.data.corpus import import_corpus
from xformer.data.import_plan import ImportOptions
from xformer.data.manifest import Source
from xformer.data.record import Record
from xformer.data.shard_parts import join_shards, write_shard_parts
from xformer.data.shard_writer import Sharding, write_shards
from xformer.data.shards import TokenShards
from xformer.data.split import SplitSizes
from xformer.errors import InputError


@pytest.fixture(autouse=True)
def _quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files need not survive a power cut here."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


class ByteEncoder:
    """A token per byte; the text "nothing" is nothing."""

    vocab_size = 300

    def __init__(self, name: str = "bytes") -> None:
        self._name = name
        self.encoded: list[str] = []

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        self.encoded += texts
        raw = [b"" if text == "nothing" else text.encode() for text in texts]
        return [np.frombuffer(text, dtype=np.uint8).astype(np.int32) for text in raw]

    def byte_lengths(self) -> np.ndarray:
        return np.ones(self.vocab_size, dtype=np.int64)

    def fingerprint(self) -> str:
        return self._name


def _corpus(folder: Path, texts: Sequence[str]) -> Path:
    records = [Record(text, ("de", "en")[n % 2], f"g{n // 2}", "s") for n, text in enumerate(texts)]
    options = ImportOptions(SplitSizes(dev=0, test=0))
    import_corpus(records, folder, options, [Source("by hand", "CC0-1.0")])
    return folder


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


TEXTS = ["one", "nothing", "two and three", "four", "ü" * 9, "five", "six", "seven", "eight"]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return _corpus(tmp_path / "corpus", TEXTS)


@pytest.fixture
def alone(corpus: Path, tmp_path: Path) -> dict[str, bytes]:
    """What one worker writes."""
    write_shards(Sharding(corpus, "train", ByteEncoder(), **HOW), tmp_path / "alone")
    return _contents(tmp_path / "alone")


HOW: dict[str, Any] = {"max_length": 4, "bytes_per_shard": 6}
WORDS = st.text("abcdeü ", min_size=1, max_size=30).filter(str.strip)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=20), st.integers(1, 40), st.randoms())
def test_any_number_of_workers_in_any_order_give_the_same_bytes(
    texts: list[str], bytes_per_shard: int, random: Any
) -> None:
    with tempfile.TemporaryDirectory() as name:
        corpus = _corpus(Path(name, "corpus"), texts)
        how: dict[str, Any] = {"max_length": 5, "bytes_per_shard": bytes_per_shard}
        write_shards(Sharding(corpus, "train", ByteEncoder(), **how), Path(name, "alone"))
        expected = _contents(Path(name, "alone"))
        for of in (1, 2, 3):
            out = Path(name, f"by-{of}")
            encoders = [ByteEncoder() for _ in range(of)]
            for worker in random.sample(range(of), of):
                write_shard_parts(
                    Sharding(corpus, "train", encoders[worker], **how), out, worker=worker, of=of
                )
            # Each text was encoded once, by whoever it belongs to.
            together = sorted(text for encoder in encoders for text in encoder.encoded)
            alone = ByteEncoder()
            write_shards(Sharding(corpus, "train", alone, **how), Path(name, f"count-{of}"))
            assert together == sorted(alone.encoded)
            join_shards(Sharding(corpus, "train", ByteEncoder(), **how), out)
            assert _contents(out) == expected
            assert not out.with_name(f"{out.name}.parts").exists()


def test_workers_may_be_repeated_and_renumbered(
    corpus: Path, alone: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "out"

    def work(encoder: ByteEncoder, worker: int, of: int) -> int:
        return write_shard_parts(Sharding(corpus, "train", encoder, **HOW), out, worker=worker, of=of)

    first = work(ByteEncoder(), worker=1, of=2)
    assert first > 1
    again = ByteEncoder()
    assert work(again, worker=1, of=2) == 0
    assert again.encoded == []
    # The other half by three workers, who pass over what is there.
    rest = sum(work(ByteEncoder(), worker=worker, of=3) for worker in range(3))
    join_shards(Sharding(corpus, "train", ByteEncoder(), **HOW), out)
    assert _contents(out) == alone
    assert first + rest == len([name for name in alone if name.startswith("tokens-")])
    # And now that all is done, nothing is left to do.
    assert work(again, worker=0, of=1) == 0
    join_shards(Sharding(corpus, "train", again, **HOW), out)
    assert again.encoded == []
    assert _contents(out) == alone


def test_a_worker_that_dies_leaves_whole_shards_and_is_made_up_for(
    corpus: Path, alone: dict[str, bytes], tmp_path: Path
) -> None:
    class Dying(ByteEncoder):
        def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
            if "six" in texts:
                raise KeyboardInterrupt
            return super().encode_batch(texts)

    out, dying = tmp_path / "out", Dying()
    with pytest.raises(KeyboardInterrupt):
        write_shard_parts(Sharding(corpus, "train", dying, **HOW), out, worker=0, of=1)
    with pytest.raises(InputError, match=r"out\.parts/shard-\d+: missing; expected the shard that begins at"):
        join_shards(Sharding(corpus, "train", ByteEncoder(), **HOW), out)
    assert not out.exists()
    # What a worker that was killed had begun has another name.
    (tmp_path / "out.parts" / ".shard-00000.abc").mkdir()
    other = ByteEncoder()
    write_shard_parts(Sharding(corpus, "train", other, **HOW), out, worker=0, of=1)
    assert not set(other.encoded) & set(dying.encoded)
    join_shards(Sharding(corpus, "train", ByteEncoder(), **HOW), out)
    assert _contents(out) == alone


@pytest.mark.parametrize("harm", ["cut", "gone", "index", "tokens", "group"])
def test_a_damaged_shard_is_made_again(
    corpus: Path, alone: dict[str, bytes], tmp_path: Path, harm: str
) -> None:
    out = tmp_path / "out"
    write_shard_parts(Sharding(corpus, "train", ByteEncoder(), **HOW), out, worker=0, of=1)
    part = tmp_path / "out.parts" / "shard-00001"
    match harm:
        case "cut":
            (part / "tokens-00001.bin").write_bytes(b"")
        case "gone":
            (part / "group.bin").unlink()
        case "index":
            (part / "part.json").write_bytes((part / "part.json").read_bytes().replace(b"1", b"2", 1))
        case name:  # another byte, in a file of the same size
            path = next(part.glob(f"{name}*.bin"))
            path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])
    with pytest.raises(InputError, match=r"shard-00001/\S+: .*\. It is part of the shard that begins"):
        join_shards(Sharding(corpus, "train", ByteEncoder(), **HOW), out)
    assert not out.exists()
    said: list[str] = []
    work = partial(
        write_shard_parts, Sharding(corpus, "train", ByteEncoder(), **HOW), out, of=2, say=said.append
    )
    assert work(worker=0) == 0
    assert said == []
    assert work(worker=1) == 1
    (line,) = said
    assert re.search(r"shard-00001/\S+: .*\. It is made again$", line)
    join_shards(Sharding(corpus, "train", ByteEncoder(), **HOW), out)
    assert _contents(out) == alone


def test_mixtures_are_refused(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_shard_parts(Sharding(corpus, "train", ByteEncoder(), **HOW), out, worker=0, of=2)
    others: list[tuple[Any, dict[str, Any], str]] = [
        (ByteEncoder(), HOW | {"max_length": 5}, "made with max_length=4, expected max_length=5"),
        (ByteEncoder(), HOW | {"bytes_per_shard": 7}, "made with bytes_per_shard=6, expected"),
        (ByteEncoder("others"), HOW, "made with tokenizer=bytes, expected tokenizer=others"),
    ]
    for encoder, how, said in others:
        with pytest.raises(InputError, match=f"shard-00000: {said}"):
            write_shard_parts(Sharding(corpus, "train", encoder, **how), out, worker=1, of=2)
        with pytest.raises(InputError, match=f"shard-00000: {said}"):
            join_shards(Sharding(corpus, "train", encoder, **how), out)
    another = _corpus(tmp_path / "another", [*TEXTS, "nine"])
    with pytest.raises(InputError, match="shard-00000: made with split_sha256="):
        write_shard_parts(Sharding(another, "train", ByteEncoder(), **HOW), out, worker=1, of=2)
    write_shard_parts(Sharding(corpus, "train", ByteEncoder(), **HOW), out, worker=1, of=2)
    join_shards(Sharding(corpus, "train", ByteEncoder(), **HOW), out)
    with pytest.raises(InputError, match="out: made with max_length=4, expected max_length=5"):
        write_shard_parts(
            Sharding(corpus, "train", ByteEncoder(), **HOW | {"max_length": 5}), out, worker=1, of=2
        )


def test_of_a_split_without_texts_the_index_is_all(corpus: Path, tmp_path: Path) -> None:
    assert (
        write_shard_parts(Sharding(corpus, "test", ByteEncoder(), **HOW), tmp_path / "out", worker=0, of=2)
        == 0
    )
    join_shards(Sharding(corpus, "test", ByteEncoder(), **HOW), tmp_path / "out")
    write_shards(Sharding(corpus, "test", ByteEncoder(), **HOW), tmp_path / "alone")
    assert _contents(tmp_path / "out") == _contents(tmp_path / "alone")
    assert len(TokenShards.open(tmp_path / "out")) == 0


def test_where_files_cannot_be_linked_they_are_copied(
    corpus: Path, alone: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: object, target: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    out = tmp_path / "out"
    write_shard_parts(Sharding(corpus, "train", ByteEncoder(), **HOW), out, worker=0, of=1)
    join_shards(Sharding(corpus, "train", ByteEncoder(), **HOW), out)
    assert _contents(out) == alone


@pytest.mark.parametrize(("worker", "of"), [(-1, 2), (2, 2), (0, 0)])
def test_a_worker_that_cannot_be_is_refused(corpus: Path, tmp_path: Path, worker: int, of: int) -> None:
    with pytest.raises(ValueError, match="expected a worker from 0 to of - 1"):
        write_shard_parts(Sharding(corpus, "train", ByteEncoder()), tmp_path / "out", worker=worker, of=of)
    assert not (tmp_path / "out.parts").exists()
