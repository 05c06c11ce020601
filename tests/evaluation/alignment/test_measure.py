"""Spaces that are known: one point for each message, and languages pushed apart."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from xformer.data.shards import TokenShards
from xformer.evaluation.alignment.measure import language_places, measure_alignment
from xformer.evaluation.parallel_texts import ParallelTexts

MakeShards = Callable[..., TokenShards]
TAGS = 3


@pytest.fixture
def texts(make_shards: MakeShards) -> ParallelTexts:
    """Twelve messages in three languages, each of its own token."""
    sequences = [[10 + 3 * message + tag] for message in range(12) for tag in range(TAGS)]
    languages = [tag for _ in range(12) for tag in range(TAGS)]
    groups = [message for message in range(12) for _ in range(TAGS)]
    return ParallelTexts.of(make_shards(sequences, languages, groups), "de")


def points(texts: ParallelTexts) -> torch.Tensor:
    """Each message at a place of its own, whatever its language; the last three coordinates are 0."""
    places = torch.randn(12, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    places[:, 13:] = 0
    unit = torch.nn.functional.normalize(places, dim=-1)
    return unit[torch.from_numpy(np.unique(texts.group, return_inverse=True)[1])]


def pushed(texts: ParallelTexts, amount: float) -> torch.Tensor:
    vectors = points(texts)
    vectors[:, 13:] += amount * torch.eye(TAGS)[torch.from_numpy(texts.language)]
    return torch.nn.functional.normalize(vectors, dim=-1)


def test_one_point_for_each_message_is_neutral(texts: ParallelTexts) -> None:
    found = measure_alignment(texts, [points(texts)], 0)
    layer = found.layers[0]
    assert layer.centroid_gap == pytest.approx(0.0, abs=1e-9)
    assert (layer.top1, layer.centred_top1, layer.csls_top1) == (1.0, 1.0, 1.0)
    assert layer.cka == pytest.approx(1.0)
    assert layer.cosine > 0.8
    assert layer.probe.accuracy == layer.probe.chance
    assert [(one.x, one.y) for one in found.languages.values()] == [(0.0, 0.0)] * 2
    assert found.pivot_place == (0.0, 0.0)


def test_languages_that_are_pushed_apart_are_told_and_still_lie_alike(texts: ParallelTexts) -> None:
    found = measure_alignment(texts, [points(texts), pushed(texts, 2.0)], 1)
    near, far = found.layers
    assert near.centroid_gap < 1 < far.centroid_gap
    assert far.probe.accuracy == 1.0
    # The shift is the same for all messages of a language: nothing between messages has changed.
    assert far.cka == pytest.approx(1.0)
    assert far.top1 == 1.0
    assert {one.messages for one in found.languages.values()} == {12}


def test_places_by_hand(texts: ParallelTexts) -> None:
    """Languages at the corners of a triangle with equal sides; two dimensions show all of it."""
    places, variance = language_places(texts, pushed(texts, 1.0))
    assert variance == pytest.approx(1.0)
    # Both coordinates of the shift are 1/√2 before, so two languages are √2/√2 = 1 apart.
    apart = [np.hypot(*np.subtract(places[a], places[b])) for a, b in ((0, 1), (0, 2), (1, 2))]
    assert apart == pytest.approx([1.0, 1.0, 1.0])
