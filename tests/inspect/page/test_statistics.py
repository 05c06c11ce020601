"""Numbers of heads, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from xformer.inspect.page.statistics import LABELS, head_statistics

IDS = np.array([0, 7, 7, 1])
SPECIAL = [True, False, False, True]
# Rows of the special tokens do not count.
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
        ("entropy", [(1.75 + 1) / 2, 0]),
        ("distance", [(0.5 + 0.125 + 0.25 + 0.5) / 2, 1]),
        ("largest", [0.5, 1]),
        ("previous", [(0.5 + 0.5) / 2, 0.5]),
        ("next", [(0.125 + 0) / 2, 0.5]),
        ("itself", [(0.25 + 0.5) / 2, 0]),
        ("same", [(0.125 + 0.5) / 2, 1]),
        ("special", [(0.5 + 0.125 + 0) / 2, 0]),
    ],
)
def test_by_hand(name: str, expected: list[float]) -> None:
    np.testing.assert_allclose(head_statistics(WEIGHTS, IDS, SPECIAL)[name], expected, rtol=1e-12)


def test_there_is_a_label_for_each() -> None:
    assert list(head_statistics(WEIGHTS, IDS, SPECIAL)) == list(LABELS)


def test_where_all_tokens_are_special_all_rows_count() -> None:
    assert head_statistics(WEIGHTS, IDS, [True] * 4)["itself"] == pytest.approx(
        [(1 + 0.25 + 0.5 + 1) / 4, 0.5]
    )
