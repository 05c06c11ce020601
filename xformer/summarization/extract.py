"""Summaries made of a text's own sentences: those whose vectors lie nearest to the text's.

The text is the mean of its sentences (the centroid: Radev et al. 2004; with vectors of neural networks:
Rossiello et al. 2017). Further sentences are those that are near it and unlike the ones already taken
(maximal marginal relevance: Carbonell and Goldstein 1998).

Shapes: S sentences of a text, D vector width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xformer.summarization.sentences import split_sentences

Encode = Callable[[list[str]], NDArray[np.float32]]
"""Makes vectors (S, D) of unit length."""

RELEVANCE = 0.5
"""Weight of a sentence's likeness to the text; the rest is that of its likeness to sentences taken before."""


@dataclass(frozen=True)
class Summary:
    """A summary of a text.

    Attributes:
        text: the summary; empty for a text without sentences.
        sentences: places of its sentences in the text, from 0, in order; none where a run wrote the summary.
    """

    text: str
    sentences: tuple[int, ...]


def summaries(texts: Sequence[str], encode: Encode, n_sentences: int = 1) -> Iterator[Summary]:
    """Summarize texts by their own sentences.

    Args:
        texts: in any language.
        encode: makes vectors of sentences; it is called once with the sentences of all texts.
        n_sentences: of each summary; a text with fewer is its own summary.

    Yields:
        Of each text a summary, whose sentences are in the order of the text.
    """
    split = [split_sentences(text) for text in texts]
    asked = [sentences for sentences in split if len(sentences) > n_sentences]
    vectors = encode([sentence for sentences in asked for sentence in sentences]) if asked else None
    begin = 0
    for sentences in split:
        chosen: tuple[int, ...] = tuple(range(len(sentences)))
        if len(sentences) > n_sentences:
            assert vectors is not None
            chosen = central(vectors[begin : begin + len(sentences)], n_sentences)
            begin += len(sentences)
        yield Summary(joined([sentences[i] for i in chosen]), chosen)


def central(vectors: NDArray[np.float32], n_sentences: int) -> tuple[int, ...]:
    """Places of the sentences that stand for a text, in order.

    Args:
        vectors: (S, D) of unit length; zeros for a sentence without a vector.
        n_sentences: how many; at most S.
    """
    centre = vectors.mean(axis=0)
    relevance = vectors @ (centre / max(float(np.linalg.norm(centre)), 1e-12))
    chosen = [int(relevance.argmax())]
    while len(chosen) < min(n_sentences, len(vectors)):
        known = (vectors @ vectors[chosen].T).max(axis=1)
        worth = RELEVANCE * relevance - (1 - RELEVANCE) * known
        worth[chosen] = -np.inf
        chosen.append(int(worth.argmax()))
    return tuple(sorted(chosen))


def joined(sentences: Sequence[str]) -> str:
    """Sentences as one text: with spaces between, but for Chinese and Japanese."""
    return "".join(
        sentence if not number or sentences[number - 1][-1] in "。！？．｡" else f" {sentence}"
        for number, sentence in enumerate(sentences)
    )
