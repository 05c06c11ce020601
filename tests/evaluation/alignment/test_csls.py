"""CSLS by hand: a hub that cosines retrieve, and CSLS does not."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from xformer.evaluation.alignment.csls import Csls
from xformer.evaluation.retrieval import retrieval


def at(*degrees: float) -> torch.Tensor:
    angles = torch.tensor(degrees, dtype=torch.float64).deg2rad()
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def test_similarities_by_hand() -> None:
    vectors, language = at(0, 90, 0, 60), np.array([0, 0, 1, 1])
    # k = 1: r of the candidate at 0° is cos 0 = 1, of the one at 60° cos 30°, to the one at 90°.
    given = Csls(vectors, language, k=1).with_keys(np.array([2, 3]))(np.array([0, 1]))
    near = math.cos(math.radians(30))
    expected = [[2 - 1, 1 - near], [0 - 1, 2 * near - near]]
    torch.testing.assert_close(given, torch.tensor(expected, dtype=torch.float64))


def test_a_hub_is_not_retrieved() -> None:
    # The candidate at 45° is nearest to both queries; that at 72° is the translation of the one at 60°.
    vectors, language, group = at(40, 60, 45, 72), np.array([1, 1, 0, 0]), np.array([0, 1, 0, 1])
    vectors[1] = at(57)[0]
    plain = retrieval(vectors, group, language, 0, min_messages=1).languages[0]
    scaled = retrieval(Csls(vectors, language, k=2), group, language, 0, min_messages=1).languages[0]
    assert plain.to_pivot.top1 == 0.5
    assert scaled.to_pivot.top1 == 1.0


def test_more_languages_than_two_are_refused() -> None:
    with pytest.raises(ValueError, match="expected candidates in one language"):
        Csls(at(0, 1, 2), np.array([0, 1, 2])).with_keys(np.array([0, 1]))
    with pytest.raises(ValueError, match="texts in another"):
        Csls(at(0, 1), np.array([0, 0])).with_keys(np.array([0]))
