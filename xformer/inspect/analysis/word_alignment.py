"""Word alignment from a matrix of similarities or of attention: which word is a translation of which.

Shapes: n tokens of the left text, m of the right one, N and M their words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from xformer.errors import InputError
from xformer.inspect.analysis.alignment_links import Links

Symmetrisation = Literal["intersection", "union", "grow-diag-final-and"]

_NEIGHBOURS = ((-1, 0), (0, -1), (1, 0), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1))


def best_of_rows(scores: Tensor) -> Links:
    """A link from each left token to its best right one. `scores`: (n, m); ties go to the first."""
    if not scores.numel():
        return frozenset()
    return frozenset(enumerate(scores.argmax(dim=1).tolist()))


def best_of_columns(scores: Tensor) -> Links:
    """A link from each right token to its best left one. `scores`: (n, m); ties go to the first."""
    return _turned(best_of_rows(scores.T))


def mutual_argmax(similarity: Tensor) -> Links:
    """Links between tokens that are each other's nearest: SimAlign's Argmax (Jalili Sabet et al. 2020).

    Args:
        similarity: (n, m).
    """
    return best_of_rows(similarity) & best_of_columns(similarity)


def itermax(similarity: Tensor, *, rounds: int = 2, discount: float = 0.9) -> Links:
    """Mutual argmax, again and again: SimAlign's Itermax (Jalili Sabet et al. 2020, section 2.2).

    After each round similarities are multiplied by 1 where neither token has a link, by `discount` where one
    has, by 0 where both have; a link to a similarity of 0 is none. So a token may get a second link, but only
    to a token that clearly prefers it.

    Args:
        similarity: (n, m), not negative; for cosines (1 + cos) / 2.
        rounds: at least 1, which is mutual argmax; the paper takes 2.
        discount: from 0 to 1.

    Raises:
        ValueError: a similarity is negative, so that a discount would raise it.
    """
    if similarity.numel() and float(similarity.min()) < 0:
        raise ValueError("itermax: expected similarities from 0, as (1 + cosine) / 2, got a negative one")
    links = mutual_argmax(similarity)
    for _ in range(rounds - 1):
        left, right = torch.zeros(similarity.shape[0]), torch.zeros(similarity.shape[1])
        for i, j in links:
            left[i] = right[j] = 1
        taken = left[:, None] + right[None, :]
        weight = torch.where(taken == 0, 1.0, torch.where(taken == 1, discount, 0.0)).to(similarity)
        discounted = similarity * weight
        new = {(i, j) for i, j in mutual_argmax(discounted) if discounted[i, j] > 0} - links
        if not new:
            break
        links |= new
    return links


def mutual_softmax(scores: Tensor, *, threshold: float = 1e-3) -> Links:
    """Links whose probability is above a threshold in both directions (Dou and Neubig 2021, section 2.1).

    The probability of j given i is a softmax over row i, that of i given j one over column j. The paper's
    scores are inner products of hidden states, its threshold 0.001.

    Args:
        scores: (n, m).
        threshold: from 0 to 1, not included.
    """
    forward, backward = scores.softmax(dim=1), scores.softmax(dim=0)
    both = (forward > threshold) & (backward > threshold)
    return frozenset((i, j) for i, j in both.nonzero().tolist())


def symmetrise(forward: Links, backward: Links, how: Symmetrisation = "grow-diag-final-and") -> Links:
    """Make one alignment of two directed ones.

    Args:
        forward: the links of each left token.
        backward: the links of each right token, as (left, right) too.
        how: `"intersection"`: links of both. `"union"`: links of either. `"grow-diag-final-and"`: see there.

    Raises:
        InputError: `how` is none of these.
    """
    if how == "intersection":
        return forward & backward
    if how == "union":
        return forward | backward
    if how == "grow-diag-final-and":
        return grow_diag_final_and(forward, backward)
    raise InputError(f"symmetrise: expected intersection, union or grow-diag-final-and, got {how!r}")


def grow_diag_final_and(forward: Links, backward: Links) -> Links:
    """Grow from the intersection towards the union (Koehn et al. 2005).

    Grow-diag: a link of the union that touches a link, also diagonally, is added if one of its two tokens has
    none yet, until nothing changes. Final-and: then links of the forward, then of the backward alignment
    are added whose tokens both have none.
    """
    union = forward | backward
    links = set(forward & backward)
    left, right = {i for i, _ in links}, {j for _, j in links}

    def add(i: int, j: int) -> None:
        links.add((i, j))
        left.add(i)
        right.add(j)

    grown = True
    while grown:
        grown = False
        for i, j in sorted(links):
            for down, along in _NEIGHBOURS:
                near = i + down, j + along
                if near in union and near not in links and (near[0] not in left or near[1] not in right):
                    add(*near)
                    grown = True
    for directed in (forward, backward):
        for i, j in sorted(directed):
            if i not in left and j not in right:
                add(i, j)
    return frozenset(links)


def cosines(left: Tensor, right: Tensor) -> Tensor:
    """(n, m) cosines of the states of two texts, (n, C) and (m, C)."""
    return F.normalize(left, dim=1) @ F.normalize(right, dim=1).T


def links_of_words(links: Links, left: Sequence[int], right: Sequence[int]) -> Links:
    """Links between words that have a link between any of their tokens (Jalili Sabet et al. 2020).

    Args:
        links: between tokens.
        left: the word of each left token; -1 for tokens of none, whose links are left out.
        right: the same for right tokens.
    """
    words = {(left[i], right[j]) for i, j in links}
    return frozenset((i, j) for i, j in words if i >= 0 and j >= 0)


def attention_of_words(weights: Tensor, left: Sequence[int], right: Sequence[int]) -> Tensor:
    """Attention between words: summed over the tokens of the key's word, averaged over the query's.

    So the weights of a query's word still sum to 1 over all that it attends to (Clark et al. 2019,
    section 4.1).

    Args:
        weights: (..., n, m), rows are queries.
        left: the word of each row; -1 for rows that are left out.
        right: the word of each column; -1 for columns that are left out.

    Returns:
        (..., N, M), N and M one more than the largest number of a word.
    """
    rows, columns = _membership(left, weights), _membership(right, weights)
    share = rows / rows.sum(dim=0, keepdim=True).clamp(min=1)
    return share.T @ weights @ columns


def diagonal_alignment(left: int, right: int) -> Links:
    """The baseline that knows lengths alone: word i of N beside word ⌊(i + ½) M / N⌋, and the other way.

    Args:
        left: N words.
        right: M words.
    """
    forward = {(i, (2 * i + 1) * right // (2 * left)) for i in range(left)} if right else set()
    backward = {((2 * j + 1) * left // (2 * right), j) for j in range(right)} if left else set()
    return frozenset(forward & backward)


def _membership(words: Sequence[int], like: Tensor) -> Tensor:
    """(n, N): 1 where a token belongs to a word."""
    found = like.new_zeros(len(words), max(words, default=-1) + 1)
    for token, word in enumerate(words):
        if word >= 0:
            found[token, word] = 1
    return found


def _turned(links: Links) -> Links:
    return frozenset((j, i) for i, j in links)
