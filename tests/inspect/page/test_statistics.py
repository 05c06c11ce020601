"""Numbers of heads, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from xformer.inspect.page.statistics import LABELS, head_statistics

IDS = np.array([0, 7, 7, 1])
SPECIAL = [True, False, False, True]
WEIGHTS = np.array(
    [
        [[1, 0, 0, 0], [0.5, 0.25, 0.125, 0.125], [0, 0.5, 0.5, 0], [0, 0, 0, 1]],
        [[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]],
    ],
    dtype=np.float32,
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("entropy", [(1.75 + 1) * math.log(2) / 4, 0]),
        ("distance", [(0.5 + 0.125 + 0.25 + 0.5) / 4, 2 / 4]),
        ("largest", [(1 + 0.5 + 0.5 + 1) / 4, 1]),
        ("sink", [0, 0]),
        ("previous", [(0.5 + 0.5 + 0) / 3, 1 / 3]),
        ("next", [(0 + 0.125 + 0) / 3, 1 / 3]),
        ("itself", [(1 + 0.25 + 0.5 + 1) / 4, 2 / 4]),
        ("same", [(0.125 + 0.5) / 4, 2 / 4]),
        ("special", [(1 + 0.625 + 0 + 1) / 4, 2 / 4]),
    ],
)
def test_by_hand(name: str, expected: list[float]) -> None:
    np.testing.assert_allclose(head_statistics(WEIGHTS, IDS, SPECIAL)[name], expected, rtol=1e-12)


def test_there_is_a_label_for_each() -> None:
    assert list(head_statistics(WEIGHTS, IDS, SPECIAL)) == list(LABELS)


def test_one_token_has_no_neighbours() -> None:
    alone = head_statistics(np.ones((2, 1, 1), dtype=np.float32), IDS[:1], [False])
    assert np.isnan(alone["previous"]).all()
    assert np.isnan(alone["next"]).all()
    assert alone["itself"].tolist() == [1, 1]
