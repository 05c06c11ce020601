"""The texts that a forecast is measured on: the run's shards, or a sample of its corpus, encoded in memory.

The time of a step depends on the lengths of the texts, on their languages, and on how often tokens repeat. So
a forecast needs texts of the run's own corpus. It does not need the run's own vocabulary, which takes minutes
to train: byte-pair encoding of the same size is trained on the sample in seconds and gives texts of about the
same length (for the default corpus 3.96 bytes per token, where the run's has 3.91). Where the sample is the
whole training split, the run's own vocabulary is trained, which tells how many pieces the text can fill.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from xformer.data.corpus import Corpus
from xformer.data.groups import group_hash
from xformer.data.record import Record
from xformer.data.shard_writer import Sharding
from xformer.data.shards import TokenShards
from xformer.errors import InputError
from xformer.pretraining.checks import StartChecks
from xformer.pretraining.load import open_tokenizer
from xformer.pretraining.prepare import (
    find_corpus,
    given_tokenizer,
    made_shards,
    open_shards,
    require_same_corpus,
)
from xformer.pretraining.resolve import tokenizer_options
from xformer.pretraining.synthetic_data import synthetic_shards
from xformer.progress import Progress
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory
from xformer.tokenizer import Tokenizer, TokenizerError, TokenizerOptions, fit_tokenizer, suitable_vocabulary

READ = 1 << 26
"""Most bytes of a corpus that are read: some seconds."""

KEPT = 1 << 22
"""Bytes of text that are encoded, about."""


@dataclass(frozen=True)
class ForecastTexts:
    """Encoded texts, and what they are called.

    Attributes:
        name: says which texts these are.
        train: texts of the training split, or like them.
        dev: the dev split; None if the run has no shards.
        starts_word: (V,) whether a token begins a word.
        pieces: number of pieces of the run's vocabulary; that of these texts may have fewer.
    """

    name: str
    train: TokenShards
    dev: TokenShards | None
    starts_word: NDArray[np.bool_]
    pieces: int

    @classmethod
    def of(cls, run: RunDirectory, config: RunConfig, progress: Progress) -> ForecastTexts:
        """The shards of the run or of its settings; else a sample of its corpus; else synthetic texts.

        Raises:
            InputError: shards, corpus or tokenizer are missing or damaged, or do not fit the settings.
        """
        if run.tokenizer.is_file() and all(run.shards(split).is_dir() for split in ("train", "dev")):
            tokenizer = open_tokenizer(run)
            train, dev = (open_shards(run, split, tokenizer) for split in ("train", "dev"))
            name = f"the shards of {run.path}"
            return cls(name, train, dev, tokenizer.starts_word(), tokenizer.vocab_size)
        corpus = find_corpus(run, config.data, verify=False)
        if corpus is None:
            shards = synthetic_shards(config)
            words = np.random.default_rng(0).random(shards.info.vocab_size) < 0.5
            name = f"synthetic texts as long as those of gettext; {config.data.corpus} is not imported yet"
            return cls(name, shards, None, words, shards.info.vocab_size)
        require_same_corpus(run, corpus)
        try:
            given = open_tokenizer(run) if run.tokenizer.is_file() else given_tokenizer(config)
            if given is not None and (made := made_shards(config.data, "train", corpus, given)):
                train = TokenShards.open(made, fingerprint=given.fingerprint(), verify=False)
                return cls(f"the shards of {made}", train, None, given.starts_word(), given.vocab_size)
            progress.say(f"dry run: encoding a sample of {corpus.folder}")
            options = tokenizer_options(config, corpus.manifest.split("train").total.bytes)
            train, used, pieces = sample_shards(corpus, given, options, config.data.max_length)
        except TokenizerError as error:
            raise InputError(str(error)) from error
        name = f"a sample of {corpus.folder}, {len(train):,} texts"
        return cls(name, train, None, used.starts_word(), pieces)


def sample_shards(
    corpus: Corpus, tokenizer: Tokenizer | None, options: TokenizerOptions, max_length: int
) -> tuple[TokenShards, Tokenizer, int]:
    """Encode some texts of a corpus's training split, in memory.

    From a corpus of more than `READ` bytes, they are taken from its beginning.

    Args:
        corpus: the corpus.
        tokenizer: of the run; None if it is not trained yet.
        options: the settings of its training.
        max_length: longest example, in tokens.

    Returns:
        The shards, the tokenizer that encoded them, and the number of pieces of the run's own.

    Raises:
        InputError: the corpus is damaged.
        TokenizerError: the vocabulary cannot be trained on this corpus.
    """
    records, complete = _draw(corpus)
    pieces = None
    if tokenizer is None and complete:
        tokenizer = fit_tokenizer(partial(_texts, records), options)
    elif tokenizer is None:
        pieces = options.vocabulary_size or suitable_vocabulary(corpus.manifest.split("train").total.bytes)
        quick = replace(
            options, vocabulary_size=pieces, model="bpe", sample_bytes=min(options.sample_bytes, KEPT)
        )
        tokenizer = fit_tokenizer(partial(_texts, records), quick)
    sharding = Sharding(corpus.folder, "train", tokenizer, max_length=max_length, bytes_per_shard=READ)
    types = sharding.settings.column_types
    tokens, files = io.BytesIO(), {name: io.BytesIO() for name in types}
    found = sharding.encode(records, tokens, files)
    columns = {name: np.frombuffer(files[name].getvalue(), dtype=kind) for name, kind in types.items()}
    info = replace(sharding.settings, empty_records=found.empty_records)
    shards = TokenShards.in_memory(np.frombuffer(tokens.getvalue(), dtype=info.dtype), columns, info)
    return shards, tokenizer, pieces or tokenizer.vocab_size


def for_sample(config: RunConfig, texts: ForecastTexts, checks: StartChecks | None) -> RunConfig:
    """The settings for texts that may be fewer than the run's.

    A language that has too few texts in the run has as few of a sample in proportion. Synthetic texts come
    from no source, so rules about sources and small languages do nothing there.

    Args:
        config: the settings.
        texts: what is measured on.
        checks: of the run's corpus; None where there is none yet.
    """
    data = config.data
    if checks is None and texts.dev is None:
        return replace(config, data=replace(data, sources=(), min_sampled_texts=1))
    if checks is None or texts.dev is not None or data.min_sampled_texts == 1:
        return config
    share = min(1.0, len(np.unique(texts.train.record)) / checks.texts)
    floor = max(1, round(data.min_sampled_texts * share))
    return replace(config, data=replace(data, min_sampled_texts=floor))


def _draw(corpus: Corpus) -> tuple[list[Record], bool]:
    """Records of the groups with the smallest hashes, and whether these are all of the split.

    With whole groups, translations stay together.
    """
    split = corpus.manifest.split("train")
    in_all = split.total.bytes
    share = KEPT / max(min(in_all, READ), 1)
    records: list[Record] = []
    read, first = 0, None
    for record in corpus.records("train"):
        if read >= READ:
            break
        read += len(record.text.encode())
        first = record.group if first is None else first  # of few groups, maybe none has a small hash
        if record.group == first or group_hash(record.group) < share * 2**63:
            records.append(record)
    languages = {record.group: record.language for record in records}
    has_pairs = any(languages[record.group] != record.language for record in records)
    translated = split.total.records > split.groups and len(corpus.manifest.languages) > 1
    if read < in_all and translated and not has_pairs:
        # The translations are further on, as in a corpus with one language after the other: make pairs up.
        tags = corpus.manifest.languages[:2]
        records = [
            replace(record, language=tags[number % 2], group=str(number // 2))
            for number, record in enumerate(records)
        ]
    return records, read >= in_all and share >= 1


def _texts(records: Sequence[Record]) -> Iterator[tuple[str, str]]:
    return ((record.language, record.text) for record in records)
