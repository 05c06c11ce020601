"""Selections of texts, tokens, heads and dimensions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from xformer.errors import InputError
from xformer.inspect.layout import indices


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (slice(1, None), [1, 2, 3, 4]),
        (slice(None, None, -2), [4, 2, 0]),
        (slice(9, 12), []),
        (np.array([True, False, False, True, False]), [0, 3]),
        (torch.tensor([False] * 4 + [True]), [4]),
        (np.array([-1, 0]), [4, 0]),
        (torch.tensor(2), [2]),
        (range(2), [0, 1]),
        (None, [0, 1, 2, 3, 4]),
    ],
)
def test_a_selection_is_numbers_a_slice_or_a_mask(given: object, found: list[int]) -> None:
    assert indices("tokens", given, 5, "tokens") == found


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        (np.array([True, False]), r"expected a mask of 5 tokens, got shape \(2,\)"),
        (slice("a", None), "expected a slice of whole numbers"),
        (slice(None, None, 0), "expected a slice of whole numbers"),
        ([True, False], "expected a whole number, got True"),
        (5, "expected 0 to 4"),
    ],
)
def test_what_is_no_selection_is_named(given: object, answer: str) -> None:
    with pytest.raises(InputError, match=answer):
        indices("tokens", given, 5, "tokens")
