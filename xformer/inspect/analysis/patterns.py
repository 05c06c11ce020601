"""What a head looks at: entropy, distance, sinks, neighbours, delimiters, rare tokens.

Shapes: H heads, n tokens of one text, M of its queries (rows of the weights), S scores.

With the weights A[h, i, j] of query i on key j, whose rows sum to 1:

    entropy[h, i]  = - sum_j A log A                        in nats, from 0 to log n
    distance[h, i] =   sum_j A |j - i|                      in tokens
    received[h, j] =   sum_i A                              1 on average: a key's fair share
    offset d       =   mean_i A[h, i, i + d]                previous -1, itself 0, next 1
    same           =   mean_i sum_j A[h, i, j]              over other j of the same entry of the vocabulary
    mass on keys K =   mean_i sum_{j in K} A = sum_{j in K} received[h, j] / n

Clark et al. (2019), "What Does BERT Look At?", measure distance, entropy, and the weights on the current, the
previous and the next token, on delimiters and on special tokens. Voita et al. (2019), "Analyzing Multi-Head
Self-Attention", find heads of neighbours and of rare tokens. Xiao et al. (2023) name the sink.

`entropy`, `distance` and `received` also come from `xformer.kernels.attention_statistics` without the matrix;
what is computed from `received` takes either. All scores say where weight lies, not what the head is for:
weight on a token is no measure of its influence (Jain and Wallace 2019).
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

SCORES = ("entropy", "distance", "sink", "previous", "next", "itself", "same", "delimiter", "rare")
"""Names of the scores of a head, in the order of `head_scores`."""
UNITS = {"entropy": "nats", "distance": "tokens"}
"""Units of scores; those that are not here are shares of the head's weight, from 0 to 1."""


def entropy(weights: Tensor) -> Tensor:
    """Entropy of each row in nats: (H, M) of weights (H, M, n)."""
    return torch.special.entr(weights).sum(dim=-1)


def distance(weights: Tensor, first: int = 0) -> Tensor:
    """Mean distance between a query and its keys in tokens: (H, M).

    Args:
        weights: (H, M, n).
        first: the token that is the first row.
    """
    rows, keys = weights.shape[-2:]
    places = torch.arange(keys, device=weights.device)
    apart = (places - (first + places.new_tensor(range(rows)))[:, None]).abs()
    return (weights * apart).sum(dim=-1)


def received(weights: Tensor) -> Tensor:
    """Weight that each key receives from all rows together: (H, n) of weights (H, M, n)."""
    return weights.sum(dim=-2)


def at_offset(weights: Tensor, offset: int, first: int = 0) -> Tensor:
    """Sum of the weights of each row on the token that lies `offset` places after it: (H,).

    Args:
        weights: (H, M, n).
        offset: -1 for the previous token, 0 for the query's own, 1 for the next. Rows without one add
            nothing; of all n rows n - |offset| have one.
        first: the token that is the first row.
    """
    return weights.diagonal(first + offset, dim1=-2, dim2=-1).sum(dim=-1)


def on_same(weights: Tensor, ids: Tensor, first: int = 0) -> Tensor:
    """Sum over the rows of the weight on the same piece elsewhere in the text: (H,).

    Args:
        weights: (H, M, n).
        ids: (n,) of the tokens.
        first: the token that is the first row.
    """
    same = ids[first : first + weights.shape[-2], None] == ids
    return (weights * same).sum(dim=(-2, -1)) - at_offset(weights, 0, first)


def sinks(received: Tensor, share: float = 0.3, times: float = 3.0) -> Tensor:
    """Keys that receive far more than their share: (H, n) bool.

    A key is a sink of a head if the mean weight on it is more than `share` (ε of Gu et al. 2025, "When
    Attention Sink Emerges", who take 0.3), and if it receives more than `times` what a key does on average.
    The second keeps texts of three tokens from being all sinks.

    Args:
        received: (H, n) weight that each key receives from all n queries.
        share: of the weight of all queries, from 0 to 1.
        times: a multiple of the mean, which is 1.
    """
    return (received / received.shape[-1] > share) & (received > times)


def mass_on(received: Tensor, keys: Tensor) -> Tensor:
    """Mean weight of the rows on some of the keys together: (H,), from 0 to 1.

    Args:
        received: (H, n) weight that each key receives from all n queries.
        keys: (n,) or (H, n) bool.
    """
    return (received * keys).sum(dim=-1) / received.shape[-1]


def delimiters(texts: Sequence[str], special: Sequence[bool]) -> Tensor:
    """Which tokens separate others: special tokens and punctuation in any script, (n,) bool.

    Args:
        texts: the characters of each token; spaces around them don't count.
        special: whether each is a special token, such as `[SEP]` or `</s>`.
    """
    bare = [text.strip() for text in texts]
    return torch.tensor(
        [
            known or (bool(text) and all(unicodedata.category(letter).startswith("P") for letter in text))
            for text, known in zip(bare, special, strict=True)
        ],
        dtype=torch.bool,
    )


def rarest(counts: Tensor, eligible: Tensor) -> Tensor:
    """Which tokens of a text are its rarest: (n,) bool, several where they are equally rare.

    Args:
        counts: (n,) how often each token's entry of the vocabulary occurs in the corpus.
        eligible: (n,) bool; the others are never the rarest. Special tokens and punctuation are mostly left
            out.
    """
    if not bool(eligible.any()):
        return torch.zeros_like(eligible)
    return eligible & (counts == counts[eligible].min())


def head_scores(blocks: Iterable[Tensor], ids: Tensor, delimiter: Tensor, rare: Tensor) -> Tensor:
    """Scores of the heads of a layer on one text: (S, H), in the order of `SCORES`, in fp64.

    entropy and distance are means over the rows; sink is the share of all weight that lies on `sinks`;
    previous and next are means over the rows that have such a token, so NaN in a text of one token; itself
    and same are the mean weight on the query's own token, and on the same piece elsewhere; delimiter is that
    on all delimiters together, rare that on one rarest token, NaN where there is none.

    Args:
        blocks: weights (H, M, n), rows from the first to the last, in one piece or in several. So the matrix
            of a long text never lies in memory as a whole.
        ids: (n,) of the tokens.
        delimiter: (n,) bool, `delimiters`.
        rare: (n,) bool, `rarest`.

    Raises:
        ValueError: the rows are not all n, or the keys are not as many as there are marks.
    """
    n, rows = len(delimiter), 0
    sums: Tensor | None = None
    arrived: Tensor | None = None
    for block in blocks:
        if block.shape[-1] != n or rare.shape != delimiter.shape:
            raise ValueError(f"head_scores: expected {n} keys, got {block.shape[-1]} and {len(rare)} marks")
        weights = block.double()
        near = [at_offset(weights, offset, rows) for offset in (-1, 1, 0)]
        near.append(on_same(weights, ids.to(weights.device), rows))
        here = torch.stack([entropy(weights).sum(-1), distance(weights, rows).sum(-1), *near])
        sums = here if sums is None else sums + here
        arrived = received(weights) if arrived is None else arrived + received(weights)
        rows += block.shape[-2]
    if sums is None or arrived is None or rows != n:
        raise ValueError(f"head_scores: expected weights of {n} rows, got {rows}")
    others = float("nan") if n == 1 else 1.0 / (n - 1)
    per_row = sums * sums.new_tensor([1 / n, 1 / n, others, others, 1 / n, 1 / n])[:, None]
    marks = [mass_on(arrived, keys.to(arrived.device)) for keys in (delimiter, rare)]
    marks[1] = marks[1] / rare.sum()
    sink = mass_on(arrived, sinks(arrived))
    return torch.stack([per_row[0], per_row[1], sink, *per_row[2:], *marks])


def uniform_scores(ids: Tensor, delimiter: Tensor, rare: Tensor) -> Tensor:
    """The scores of a head that attends to all n tokens alike: (S,) fp64. A head is held beside them."""
    n, none = len(ids), float("nan")
    pairs = torch.unique(ids, return_counts=True)[1].square().sum() - n
    near = 1 / n if n > 1 else none
    on_one = 1 / n if bool(rare.any()) else none
    shares = [near, near, 1 / n, float(pairs) / n**2, float(delimiter.sum()) / n, on_one]
    return torch.tensor([math.log(n), (n * n - 1) / (3 * n), 0.0, *shares], dtype=torch.float64)
