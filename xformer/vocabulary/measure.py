"""What another vocabulary does to a run: how texts are cut, what is computed, and what is found.

Shapes: V pieces before, K after.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from xformer.data.reporting import ProgressCallback
from xformer.data.shard_writer import Sharding, write_shards
from xformer.data.shards import TokenShards
from xformer.embedding.encode import encode_tokens
from xformer.evaluation.plan import RetrievalTexts, settle_pivot, shared_messages
from xformer.model.multilingual import MultilingualModel
from xformer.model.packed import pack
from xformer.progress import Progress
from xformer.tokenizer import Tokenizer
from xformer.tokenizer.interface import TextTokenizer

_BATCH = 4096
_PROBED, _PROBED_TOKENS = 64, 64
"""Texts on which outputs are compared, and how many of their tokens."""


@dataclass(frozen=True)
class Segmentation:
    """How two vocabularies cut the same texts.

    Attributes:
        texts: number of texts.
        same: how many of them both cut alike.
        tokens_before: of all texts, by the vocabulary before.
        tokens: by the new one.
        first: a text that they cut differently; empty where there is none.
    """

    texts: int
    same: int
    tokens_before: int
    tokens: int
    first: str = ""

    @property
    def share(self) -> float | None:
        """Share of texts that are cut alike; None without texts."""
        return self.same / self.texts if self.texts else None


def compare_cuts(
    texts: Iterable[str],
    before: TextTokenizer,
    after: TextTokenizer,
    old_ids: NDArray[np.int64],
    progress: Callable[[int], None] = lambda done: None,
) -> Segmentation:
    """Cut texts by both vocabularies.

    Args:
        texts: in any number.
        before: V pieces.
        after: K pieces.
        old_ids: (K,) the id before of each piece; -1 for a new one.
        progress: called with the number of texts done.
    """
    count = same = n_before = n_after = 0
    first, iterator = "", iter(texts)
    while batch := list(islice(iterator, _BATCH)):
        for text, old, new in zip(batch, before.encode_batch(batch), after.encode_batch(batch), strict=True):
            equal = len(old) == len(new) and bool((old_ids[new] == old).all())
            same, n_before, n_after = same + equal, n_before + len(old), n_after + len(new)
            if not equal and not first:
                first = text
        count += len(batch)
        progress(count)
    return Segmentation(count, same, n_before, n_after, first)


def output_difference(
    before: MultilingualModel,
    after: MultilingualModel,
    cuts: tuple[Tokenizer, Tokenizer],
    old_ids: NDArray[np.int64],
    texts: Iterable[str],
    max_length: int,
) -> float | None:
    """The largest difference of hidden states and of logits of kept pieces, as a share of the largest value.

    None without texts.

    Args:
        before: with V rows.
        after: with K rows.
        cuts: the vocabularies of both.
        old_ids: (K,) the row before of each row; -1 for a new one.
        texts: that both cut alike; the first are taken.
        max_length: tokens of a text that are read.
    """
    some = [text for text in islice(texts, _PROBED) if text.strip()]
    if not some:
        return None
    batches = [pack([ids[:max_length] for ids in cut.encode_batch(some)], sort=False) for cut in cuts]
    selected = torch.arange(batches[0].n_tokens)[:_PROBED_TOKENS]
    with torch.no_grad():
        hidden = [model.encoder(batch) for model, batch in zip((before, after), batches, strict=True)]
        logits = [
            model.masked_lm(states, selected, model.encoder.token_embedding)
            for model, states in zip((before, after), hidden, strict=True)
        ]
    had = torch.from_numpy(old_ids)
    logits = [logits[0][:, had[had >= 0]], logits[1][:, had >= 0]]
    return max(float((b - a).abs().max() / b.abs().max()) for b, a in (hidden, logits))


def top1_retrieval(
    model: MultilingualModel,
    tokenizer: Tokenizer,
    corpus: Path,
    pivot: str,
    layer: int,
    max_length: int,
    progress: Progress,
) -> float | None:
    """Mean top-1 retrieval on the test split of a corpus; None where no message is in two languages.

    Args:
        model: of the tokenizer.
        tokenizer: cuts the texts.
        corpus: its folder.
        pivot: tag of the language that the others are compared with; replaced where the split lacks it.
        layer: number of blocks after which vectors are taken.
        max_length: longest sequence in tokens.
        progress: where to report.
    """
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch) / "test"
        write_shards(Sharding(corpus, "test", tokenizer, max_length=max_length), place, progress=progress)
        shards = TokenShards.open(place, verify=False)
        if not (shared := shared_messages(shards)):
            return None
        texts = RetrievalTexts.of(shards, settle_pivot(shards, pivot, None, shared)[0])
        vectors = encode_tokens(model, texts.sequences(), n_layers=layer, progress=progress)
        return texts.retrieval(vectors).mean_top1


def counted(progress: ProgressCallback, what: str) -> Callable[[int], None]:
    """Reports the number of texts done, of an unknown number."""
    return lambda done: progress(what, done, None)
