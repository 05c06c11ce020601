"""Lengths as in real text."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from xformer.benchmarks.kernels.operations.lengths import LengthDistribution, descriptions, messages


@pytest.mark.parametrize(
    ("corpus", "median", "mean"),
    [(messages(), 8, 12.5), (descriptions(), 120, 156.2)],
    ids=lambda x: str(x)[:40],
)
def test_drawn_lengths_are_those_of_the_corpus(corpus: LengthDistribution, median: int, mean: float) -> None:
    """Straight lines between the quantiles: the mean, which wasn't given, comes out right as well."""
    lengths = np.array(corpus.draw(20_000, longest=10_000))
    assert np.median(lengths) == pytest.approx(median, rel=0.07)
    assert lengths.mean() == pytest.approx(mean, rel=0.05)
    assert np.quantile(lengths, 0.99) == pytest.approx(corpus.lengths[corpus.shares.index(0.99)], rel=0.1)
    assert lengths.min() >= 1
    assert lengths.max() <= corpus.lengths[-1]


def test_the_same_seed_gives_the_same() -> None:
    assert messages().draw(50, 512) == messages().draw(50, 512) != messages().draw(50, 512, seed=1)


def test_cut_off_and_sorted() -> None:
    lengths = descriptions().draw(1000, longest=128)
    assert max(lengths) == 128
    assert list(lengths) == sorted(lengths, reverse=True)


@pytest.mark.parametrize("n_tokens", [1, 100, 16_384])
def test_filled_up_to_a_number_of_tokens(n_tokens: int) -> None:
    lengths = messages().fill(n_tokens, 512)
    assert n_tokens <= sum(lengths) < n_tokens + 512
    assert list(lengths) == sorted(lengths, reverse=True)


def test_real_descriptions_are_as_ragged(shared_data: Path) -> None:
    """In characters, since the vocabulary isn't at hand: lengths over their median spread alike."""
    with gzip.open(shared_data / "debian" / "dev.en.jsonl.gz", "rt", encoding="utf-8") as file:
        characters = np.array([len(json.loads(line)["description"]) for line in file])
    corpus = descriptions()
    for share in (0.1, 0.3, 0.7, 0.9, 0.98):
        ours = corpus.lengths[corpus.shares.index(share)] / corpus.lengths[corpus.shares.index(0.5)]
        assert np.quantile(characters, share) / np.median(characters) == pytest.approx(ours, rel=0.35)
