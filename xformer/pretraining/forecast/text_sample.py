"""What a run's texts will be like before they are prepared: some of its corpus's texts, encoded at once.

What a step takes depends on how long texts are, how they share out among languages, and how often the same
tokens come. So a forecast wants the corpus's own texts; it does not want the run's own vocabulary, which
takes minutes. Byte-pair encoding of the same size is trained on the sample in seconds, and cuts text about as
short (of the default corpus 3.96 bytes a token, where the run's has 3.91).
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from xformer.data.corpus import Corpus
from xformer.data.groups import group_hash
from xformer.data.record import Record
from xformer.data.shard_index import COLUMNS, shard_settings
from xformer.data.shard_writer import encode_records
from xformer.data.shards import TokenShards
from xformer.tokenizer import Tokenizer, TokenizerError, TokenizerOptions, train_tokenizer
from xformer.tokenizer.special import SMALLEST_VOCABULARY

READ = 1 << 26
"""Bytes of text that are read of a corpus, at most: some seconds."""

KEPT = 1 << 22
"""Bytes of text that are encoded, about."""


def sample_shards(
    corpus: Corpus, tokenizer: Tokenizer | None, options: TokenizerOptions, max_length: int
) -> tuple[TokenShards, Tokenizer]:
    """Encode some texts of a corpus's training split, in memory.

    Of a corpus of more than `READ` bytes they are from its beginning.

    Args:
        corpus: where they are from.
        tokenizer: the run's; None where it is still to be trained.
        options: how it is to be trained.
        max_length: longest example, in tokens.

    Returns:
        The shards, and the tokenizer that they were encoded with.

    Raises:
        InputError: the corpus is damaged.
        TokenizerError: the vocabulary cannot be trained on this corpus.
    """
    records, whole = _draw(corpus)
    if tokenizer is None:
        tokenizer = _quick_tokenizer(records, options, whole)
    return _encode(corpus, records, tokenizer, max_length), tokenizer


def _draw(corpus: Corpus) -> tuple[list[Record], bool]:
    """Records of groups chosen by their hash, so that translations stay together; whether they are all."""
    split = corpus.manifest.split("train")
    in_all = split.total.bytes
    share = KEPT / max(min(in_all, READ), 1)
    records: list[Record] = []
    read, first = 0, None
    for record in corpus.records("train"):
        if read >= READ:
            break
        read += len(record.text.encode())
        first = record.group if first is None else first  # of few groups none may have the luck
        if record.group == first or group_hash(record.group) < share * 2**63:
            records.append(record)
    translated = split.total.records > split.groups and len(corpus.manifest.languages) > 1
    if read < in_all and translated and not _has_pairs(records):
        # Translations lie further apart than was read, as where one language follows the other.
        tags = corpus.manifest.languages[:2]
        records = [
            replace(record, language=tags[number % 2], group=str(number // 2))
            for number, record in enumerate(records)
        ]
    return records, read >= in_all and share >= 1


def _has_pairs(records: Sequence[Record]) -> bool:
    """Whether there are texts of one group in two languages."""
    languages = {record.group: record.language for record in records}
    return any(languages[record.group] != record.language for record in records)


def _quick_tokenizer(records: Sequence[Record], options: TokenizerOptions, whole: bool) -> Tokenizer:
    """A vocabulary of the size asked for or, where the sample cannot fill that, of a half or less of it."""

    def texts() -> Iterator[tuple[str, str]]:
        return ((record.language, record.text) for record in records)

    quick = replace(options, model="bpe", sample_bytes=min(options.sample_bytes, KEPT))
    failure, size = None, options.vocabulary_size
    while size >= SMALLEST_VOCABULARY:
        try:
            return train_tokenizer(texts, replace(quick, vocabulary_size=size))
        except TokenizerError as error:
            if whole:  # few texts: as the run will do it, or fail to
                return train_tokenizer(texts, options)
            failure = failure or error
            size //= 2
    raise failure or TokenizerError(f"vocabulary_size: expected at least {SMALLEST_VOCABULARY}, got {size}")


def _encode(corpus: Corpus, records: Sequence[Record], tokenizer: Tokenizer, max_length: int) -> TokenShards:
    """Encode records into token shards in memory."""
    settings = shard_settings(corpus.folder, "train", tokenizer, max_length, bytes_per_shard=READ)
    tokens, files = io.BytesIO(), {name: io.BytesIO() for name in COLUMNS}
    found = encode_records(records, tokenizer, settings, tokens, files, 0, len(records))
    columns = {name: np.frombuffer(files[name].getvalue(), dtype=kind) for name, kind in COLUMNS.items()}
    info = replace(settings, empty_records=found.empty_records)
    return TokenShards.in_memory(np.frombuffer(tokens.getvalue(), dtype=settings.dtype), columns, info)
