"""How differently two models attend over the same text, also where they cut it into other tokens.

Letters: n tokens of a text, S segments of it, L layers, H heads.

A segment is the smallest stretch of the text that both models' tokens fill: it begins and ends where tokens
of both do. Attention is brought to segments: what a query gives to the tokens of a segment is added up, the
queries of a segment are averaged, and what goes to special tokens is one more column. Two heads then differ
by the share of attention that lies elsewhere, the total variation distance

    d = mean over segments s of  ½ Σ_t |A[s, t] - B[s, t]|                                        in [0, 1]
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from xformer.inspect.page.blobs import Blobs
from xformer.inspect.page.collect import Traced
from xformer.inspect.page.payload import JSON
from xformer.inspect.page.text import utf16_offsets
from xformer.inspect.tokenised import TokenisedText


def segments(
    a: TokenisedText, b: TokenisedText
) -> tuple[list[tuple[int, int]], NDArray[np.int64], NDArray[np.int64]]:
    """The common segments of two ways to cut a text.

    Returns:
        Begin and end of each of the S segments in characters, and for the tokens of `a` and of `b` which
        segment each lies in; S for those that no character gave.
    """
    spans = [
        [
            span
            for span, special in zip(one.spans, one.special, strict=True)
            if not special and span[0] < span[1]
        ]
        for one in (a, b)
    ]
    characters = sorted(set().union(*(range(*span) for side in spans for span in side)))
    joined = set().union(*(range(start + 1, end) for side in spans for start, end in side))
    found: list[list[int]] = []
    for place in characters:
        if found and place == found[-1][1] and place in joined:
            found[-1][1] = place + 1
        else:
            found.append([place, place + 1])
    starts = np.array([start for start, _ in found], dtype=np.int64)

    def where(one: TokenisedText) -> NDArray[np.int64]:
        begins = np.array([begin for begin, _ in one.spans], dtype=np.int64)
        inside = np.searchsorted(starts, begins, side="right") - 1
        none = np.array([s or begin == end for s, (begin, end) in zip(one.special, one.spans, strict=True)])
        return np.where(none, len(found), inside)

    return [(start, end) for start, end in found], where(a), where(b)


def merged(weights: NDArray[np.floating], of: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """Attention between segments: (H, S, S + 1), the last column what goes to special tokens.

    Args:
        weights: (H, n, n).
        of: (n) the segment of each token; `count` for special ones.
        count: S.
    """
    member = (of[:, None] == np.arange(count + 1)).astype(np.float64)
    sizes = np.maximum(member[:, :count].sum(axis=0), 1)
    to = weights.astype(np.float64) @ member
    return np.einsum("hnt,ns->hst", to, member[:, :count] / sizes)


def moved(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance of each head of `a` from each of `b`: (G, S, S + 1) and (H, S, S + 1) to (G, H)."""
    if a.shape[1] == 0:
        return np.zeros((len(a), len(b)))
    return np.stack([np.abs(one - b).sum(axis=2).mean(axis=1) / 2 for one in a])


def compare(first: Traced, other: Traced, text: int, blobs: Blobs) -> JSON:
    """The part `compare` of the other run, for one text that both have traced with `attn.weights`.

    Returns:
        `segments`, begin and end of each in UTF-16 units; `first` and `other`, the segment of each token
        of the two; `same`, whether both have the same tokens; the blob `distance`
        (layers and heads of the first, layers and heads of the other).
    """
    a, b = first.texts[text], other.texts[text]
    found, of_a, of_b = segments(a, b)
    both = [
        np.concatenate([merged(weights, of, len(found)) for weights in _weights(trace, text)])
        for trace, of in ((first, of_a), (other, of_b))
    ]
    distance = moved(both[0], both[1])
    shape = [*_shape(first), *_shape(other)]
    units = utf16_offsets(a.text, [place for span in found for place in span])
    return {
        "segments": [list(pair) for pair in zip(units[::2], units[1::2], strict=True)],
        "first": of_a.tolist(),
        "other": of_b.tolist(),
        "same": a.pieces == b.pieces,
        "distance": blobs.add(distance.reshape(shape).astype(np.float32)),
    }


def _shape(trace: Traced) -> tuple[int, int]:
    return trace.subject.config.n_layers, trace.subject.config.n_heads


def _weights(trace: Traced, text: int) -> Sequence[NDArray[np.floating]]:
    layers = range(trace.subject.config.n_layers)
    with torch.no_grad():
        return [trace[f"layers.{layer}.attn.weights"][text].float().cpu().numpy() for layer in layers]
