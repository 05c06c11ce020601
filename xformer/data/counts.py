"""Token counts per language.

Shapes: E examples, L languages, V vocabulary.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from xformer.data.reporting import ProgressCallback
from xformer.data.shards import TokenShards

_TOKENS_AT_ONCE = 1 << 20


def count_tokens(
    shards: TokenShards,
    kept: NDArray[np.bool_] | None = None,
    *,
    rank: int = 0,
    world: int = 1,
    progress: ProgressCallback | None = None,
) -> NDArray[np.int64]:
    """Count the tokens of a split, about a million at a time.

    Args:
        shards: the split.
        kept: (E,) the examples to count; None for all.
        rank: this process's number; each process counts a share, and the shares add up to all.
        world: number of processes.
        progress: called with ("count tokens", texts done, texts in all).

    Returns:
        (L, V) counts.
    """
    vocabulary = shards.info.vocab_size
    counts = np.zeros(len(shards.languages) * vocabulary, dtype=np.int64)
    examples = np.arange(len(shards)) if kept is None else np.flatnonzero(kept)
    examples = examples[len(examples) * rank // world : len(examples) * (rank + 1) // world]
    lengths = np.asarray(shards.n_tokens)[examples]
    begins = np.cumsum(lengths, dtype=np.int64) - lengths
    edges = np.searchsorted(begins, np.arange(0, int(lengths.sum(dtype=np.int64)), _TOKENS_AT_ONCE))
    for start, stop in pairwise([*edges.tolist(), len(examples)]):
        if start == stop:
            continue
        tokens = shards.tokens_of(examples[start:stop])
        offset = np.asarray(shards.language)[examples[start:stop]].astype(np.int64) * vocabulary
        counts += np.bincount(tokens + np.repeat(offset, lengths[start:stop]), minlength=len(counts))
        if progress:
            progress("count tokens", stop, len(examples))
    return counts.reshape(len(shards.languages), vocabulary)
