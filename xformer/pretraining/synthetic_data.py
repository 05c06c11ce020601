"""Synthetic data: a small parallel corpus, settings for a short run on it, and random token shards.

Commands that check or time training use it where no corpus was downloaded. The trained model is of no use.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xformer.data.corpus import import_corpus
from xformer.data.import_plan import ImportOptions
from xformer.data.manifest import Source
from xformer.data.record import Record
from xformer.data.shard_index import ShardsInfo
from xformer.data.shards import TokenShards
from xformer.data.split import SplitSizes
from xformer.model.config import ModelConfig
from xformer.runs.config import DataConfig, ObjectivesConfig, RunConfig, TrainingConfig
from xformer.tokenizer import TokenizerOptions
from xformer.tokenizer.options import LARGEST_SUITABLE
from xformer.tokenizer.special import FIRST_BYTE_ID


def synthetic_records() -> Iterator[Record]:
    """150 sentences in English, German and Greek: subject, verb, object."""
    words = {
        "en": ("girl boy dog bird king", "sees wants draws finds sells", "tree house boat song lamp stone"),
        "de": (
            "Mädchen Junge Hund Vogel König",
            "sieht will malt findet verkauft",
            "Baum Haus Boot Lied Lampe Stein",
        ),
        "el": (
            "κορίτσι αγόρι σκύλος πουλί βασιλιάς",
            "βλέπει θέλει σχεδιάζει βρίσκει πουλάει",
            "δέντρο σπίτι βάρκα τραγούδι λάμπα πέτρα",
        ),
    }
    for language, parts in words.items():
        for number, sentence in enumerate(product(*(part.split() for part in parts))):
            yield Record(" ".join(sentence), language, f"sentence {number}", "synthetic")


def synthetic_corpus(folder: Path) -> Path:
    """Import the sentences into `folder`, with 10 in the dev and 10 in the test split; return the folder."""
    # Sentences that differ in one word would be removed as near duplicates.
    options = ImportOptions(SplitSizes(dev=10, test=10, min_languages=2), near_threshold=1.0)
    import_corpus(synthetic_records(), folder, options, [Source("synthetic", "CC0-1.0")])
    return folder


def synthetic_config(corpus: Path, steps: int) -> RunConfig:
    """Settings of a run with every kind of state that a checkpoint must hold.

    Dropout uses the random state, half of the checkpoints fall between two lines of the log, the embedding
    warm-up stage ends after a quarter of the steps, and spikes are detected.

    Args:
        corpus: folder of the synthetic corpus.
        steps: length of the run.
    """
    sizes: dict[str, Any] = dict(vocab_size=344, d_model=16, n_layers=2, n_heads=2, d_ff=16, max_length=64)
    model = ModelConfig(**sizes, dropout=0.1, attention_dropout=0.1)
    return RunConfig(
        model=model,
        tokenizer=TokenizerOptions(vocabulary_size=340, threads=1),
        data=DataConfig(corpus=str(corpus), max_length=40),
        objectives=ObjectivesConfig(
            masked_lm_tokens=96, translation_lm_tokens=96, alignment_tokens=192, embedding_warmup_tokens=192
        ),
        training=TrainingConfig(
            budget=None, steps=steps, precision="fp32", log_steps=2, spike_factor=1.5, non_finite="skip"
        ),
    )


def synthetic_shards(config: RunConfig) -> TokenShards:
    """16,000 texts of random tokens in 8 languages, with about the lengths of the default corpus.

    Lengths are log-normal: median 7 tokens, mean 11, 99th percentile 61 (in the default corpus 71).
    """
    languages, groups = 8, 2_000
    rng = np.random.default_rng(config.training.seed)
    vocabulary, longest = config.tokenizer.vocabulary_size or LARGEST_SUITABLE, config.data.max_length
    drawn = np.rint(rng.lognormal(math.log(7), 0.93, size=languages * groups))
    lengths = drawn.clip(1, longest).astype(np.uint32)
    kind = np.uint16 if vocabulary <= 2**16 else np.uint32
    tokens: NDArray[np.unsignedinteger] = rng.integers(
        FIRST_BYTE_ID, vocabulary, size=int(lengths.sum()), dtype=kind
    )
    count = len(lengths)
    names = (config.data.pivot, *(f"x-{number}" for number in range(1, languages)))
    columns: dict[str, NDArray[np.integer]] = {
        "n_tokens": lengths,
        "n_bytes": 4 * lengths,
        "language": np.tile(np.arange(languages, dtype=np.uint16), groups),
        "group": np.repeat(np.arange(groups, dtype=np.int64), languages),
        "record": np.arange(count, dtype=np.int64),
        "pieces": np.ones(count, dtype=np.uint32),
    }
    info = ShardsInfo(
        split="train",
        split_sha256="",
        tokenizer="",
        vocab_size=vocabulary,
        dtype=tokens.dtype.str,
        max_length=longest,
        bytes_per_shard=tokens.nbytes,
        languages=names,
        empty_records=0,
        shards=(),
        columns={},
    )
    return TokenShards.in_memory(tokens, columns, info)
