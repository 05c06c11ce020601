"""Samples follow the model's distribution, and depend on seed, source and number alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.generation.test_beam import SOURCES, all_targets, both, log_probabilities, model_of
from xformer.generation.generate import generate
from xformer.generation.options import GenerationOptions
from xformer.generation.sampling import kept_probabilities

END = 2


def test_samples_follow_the_distribution() -> None:
    """Chi-squared of 1,000 targets against their probabilities."""
    model, source = model_of(5), [1, 3]
    options = GenerationOptions(method="sample", max_length=4, n_best=1000, seed=7)
    (drawn,) = generate(model, [source], options)
    targets = [tuple(target) for target in all_targets()]
    probability = log_probabilities(model, source, [], targets).exp().detach().numpy()
    assert probability.sum() == pytest.approx(1)
    counts = dict.fromkeys(targets, 0)
    for one in drawn:
        counts[(*one.tokens, *[END] * one.ended)] += 1
        assert one.log_probability == pytest.approx(
            np.log(probability[targets.index((*one.tokens, *[END] * one.ended))]), abs=1e-9
        )
    expected = 1000 * probability
    common = expected >= 5
    observed = np.array(list(counts.values()), dtype=float)
    cells = np.append(expected[common], expected[~common].sum())
    found = np.append(observed[common], observed[~common].sum())
    chi_squared = ((found - cells) ** 2 / cells).sum()
    freedom = len(cells) - 1
    assert chi_squared < freedom + 4 * (2 * freedom) ** 0.5
    assert chi_squared > freedom - 4 * (2 * freedom) ** 0.5


@pytest.mark.parametrize("width", [1, 3])
def test_samples_depend_on_seed_source_and_number_alone(width: int) -> None:
    model = model_of(3, "modern", vocab_size=29)
    options = GenerationOptions(method="sample", max_length=12, n_best=width, top_p=0.9, seed=1)
    first = generate(model, SOURCES, options)
    assert first == generate(model, SOURCES, options)
    for batch_size in (1, 2, 5):
        other = generate(model, SOURCES, options, batch_size=batch_size)
        assert [[one.tokens for one in its] for its in other] == [
            [one.tokens for one in its] for its in first
        ]
    more = generate(model, SOURCES, replace(options, n_best=width + 1))
    assert [its[:width] for its in map(_tokens, more)] == [_tokens(its) for its in first]
    assert first != generate(model, SOURCES, replace(options, seed=2))
    # The same source at another place draws other numbers.
    assert first[1] != first[4]
    both(model, SOURCES[:1], options)


def _tokens(hypotheses: list) -> list[tuple[int, ...]]:
    return [one.tokens for one in hypotheses]


def test_what_is_left_out_follows_the_definitions() -> None:
    probability = torch.tensor([[0.4, 0.3, 0.15, 0.1, 0.05]], dtype=torch.float64)
    logits = probability.log()

    def kept(**settings: float) -> list[float]:
        options = GenerationOptions(method="sample", **settings)  # type: ignore[arg-type]
        share = kept_probabilities(logits, options)
        return (share / share.sum())[0].tolist()

    assert kept() == pytest.approx([0.4, 0.3, 0.15, 0.1, 0.05])
    assert kept(top_k=2) == pytest.approx([4 / 7, 3 / 7, 0, 0, 0])
    assert kept(top_p=0.7) == pytest.approx([4 / 7, 3 / 7, 0, 0, 0])
    assert kept(top_p=0.71) == pytest.approx([8 / 17, 6 / 17, 3 / 17, 0, 0])
    assert kept(min_p=0.3) == pytest.approx([8 / 17, 6 / 17, 3 / 17, 0, 0])
    squares = [p * p for p in (0.4, 0.3, 0.15, 0.1, 0.05)]
    assert kept(temperature=0.5) == pytest.approx([p / sum(squares) for p in squares])
    assert kept(top_k=3, top_p=0.5) == pytest.approx([4 / 7, 3 / 7, 0, 0, 0])
    assert kept(top_p=1e-9) == [1, 0, 0, 0, 0]
