"""Synthetic corpora as token shards in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from xformer.data.shard_index import ShardsInfo
from xformer.data.shards import TokenShards
from xformer.model.config import ModelConfig
from xformer.tokenizer.special import FIRST_BYTE_ID

FIRST_WORD = FIRST_BYTE_ID + 256
CONCEPTS = 40
LANGUAGES = ("de", "en", "fr", "pl")
VOCABULARY = FIRST_WORD + CONCEPTS * len(LANGUAGES)

MakeShards = Callable[..., TokenShards]


def _shards(
    sequences: Sequence[Sequence[int]],
    language: Sequence[int],
    group: Sequence[int],
    *,
    languages: tuple[str, ...] = LANGUAGES,
    vocab_size: int = VOCABULARY,
    pieces: Sequence[int] | None = None,
    record: Sequence[int] | None = None,
    split: str = "test",
) -> TokenShards:
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.uint32)
    tokens = np.concatenate([np.array(sequence, dtype=np.uint16) for sequence in sequences])
    info = ShardsInfo(
        split=split,
        split_sha256="1" * 64,
        tokenizer="synthetic",
        vocab_size=vocab_size,
        dtype="<u2",
        max_length=int(lengths.max()),
        bytes_per_shard=1 << 20,
        languages=languages,
        empty_records=0,
        shards=(),
        columns={},
    )
    columns: dict[str, NDArray[np.integer]] = {
        "n_tokens": lengths,
        "n_bytes": lengths,
        "language": np.array(language, dtype=np.uint16),
        "group": np.array(group, dtype=np.int64),
        "record": np.arange(len(sequences)) if record is None else np.array(record),
        "pieces": np.array([1] * len(sequences) if pieces is None else pieces, dtype=np.uint32),
    }
    return TokenShards.in_memory(tokens, columns, info)


@pytest.fixture(scope="session")
def make_shards() -> MakeShards:
    """Token shards of sequences, their languages and their groups."""
    return _shards


def _parallel(n_messages: int, seed: int, split: str) -> TokenShards:
    """Messages of three to seven concepts; each language has a word of its own for each, and its own
    order.
    """
    rng = np.random.default_rng(seed)
    sequences, language, group = [], [], []
    for message in range(n_messages):
        concepts = rng.choice(CONCEPTS, size=int(rng.integers(3, 8)), replace=False)
        for number in range(len(LANGUAGES)):
            words = FIRST_WORD + number * CONCEPTS + rng.permutation(concepts)
            sequences.append(words.tolist())
            language.append(number)
            group.append(seed * 100_000 + message)
    return _shards(sequences, language, group, split=split)


@pytest.fixture(scope="session")
def parallel_train() -> TokenShards:
    """600 messages in four languages, word for word."""
    return _parallel(600, 1, "train")


@pytest.fixture(scope="session")
def parallel_test() -> TokenShards:
    """150 other messages."""
    return _parallel(150, 2, "test")


@pytest.fixture(scope="session")
def tiny_model() -> ModelConfig:
    """An architecture for the synthetic corpus."""
    return ModelConfig(
        vocab_size=VOCABULARY,
        d_model=32,
        n_layers=2,
        n_heads=2,
        d_ff=32,
        max_length=32,
        bigrams=4,
        pool_after_norm=False,
    )
