"""Made-up data, for which nothing is fetched: a corpus in three languages, with settings for a run of seconds
on it, and token shards of the usual lengths.

For commands that prove or measure something about training on any machine, not about what is learned.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from pathlib import Path

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
from xformer.tokenizer.special import FIRST_BYTE_ID


def made_up_records() -> Iterator[Record]:
    """150 sentences in English, German and Greek: who does what with which thing."""
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
            yield Record(" ".join(sentence), language, f"sentence {number}", "made up")


def made_up_corpus(folder: Path) -> Path:
    """Import the sentences into `folder`, 10 held out for development and 10 for testing; the folder."""
    # Sentences that differ in one word are near duplicates to the importer, and are wanted here.
    options = ImportOptions(SplitSizes(dev=10, test=10, min_languages=2), near_threshold=1.0)
    import_corpus(made_up_records(), folder, options, [Source("made up", "CC0-1.0")])
    return folder


def made_up_config(corpus: Path, steps: int) -> RunConfig:
    """A run with everything that has to be remembered from one step to the next.

    Dropout draws on the random state, half of the checkpoints fall between two lines of the log, blocks join
    after a quarter, and spikes are watched for.

    Args:
        corpus: the folder with the sentences.
        steps: length of the run.
    """
    model = ModelConfig(
        vocab_size=344,
        d_model=16,
        n_layers=2,
        n_heads=2,
        d_ff=16,
        max_length=64,
        dropout=0.1,
        attention_dropout=0.1,
    )
    return RunConfig(
        model=model,
        tokenizer=TokenizerOptions(vocabulary_size=340, threads=1),
        data=DataConfig(corpus=str(corpus), max_length=40),
        objectives=ObjectivesConfig(
            masked_lm_tokens=96, translation_lm_tokens=96, alignment_tokens=192, bag_tokens=192
        ),
        training=TrainingConfig(
            budget=None, steps=steps, precision="fp32", log_steps=2, spike_factor=1.5, non_finite="skip"
        ),
    )


def made_up_shards(config: RunConfig) -> TokenShards:
    """Random tokens in 16,000 texts of 8 languages, their lengths as those of the default corpus.

    A log-normal distribution: 7 tokens at the median, 11 on average, 61 at the 99th percentile (there 71).
    """
    languages, groups = 8, 2_000
    rng = np.random.default_rng(config.training.seed)
    vocabulary, longest = config.tokenizer.vocabulary_size, config.data.max_length
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
