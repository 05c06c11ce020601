"""The language probe: languages that lie apart, that do not, and what it may not know."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from xformer.evaluation.alignment.probe import language_probe

MESSAGES, LANGUAGES = 60, 3
GROUP = np.repeat(np.arange(MESSAGES), LANGUAGES)
LANGUAGE = np.tile(np.arange(LANGUAGES), MESSAGES)


def noise(width: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(MESSAGES * LANGUAGES, width, generator=torch.Generator().manual_seed(seed))


def test_languages_that_lie_apart_are_told() -> None:
    vectors = 0.1 * noise(4)
    vectors[:, :3] += torch.eye(3)[torch.from_numpy(LANGUAGE)]
    found = language_probe(vectors, LANGUAGE, GROUP)
    assert (found.accuracy, found.low, found.high) == (1.0, 1.0, 1.0)
    assert found.chance == pytest.approx(1 / 3)


def test_without_a_language_in_the_vectors_it_is_at_chance() -> None:
    found = language_probe(noise(4), LANGUAGE, GROUP)
    assert found.low is not None
    assert found.high is not None
    assert found.low < 1 / 3 < found.high
    assert found.low < found.accuracy < found.high


def test_a_message_is_not_known_from_its_translations() -> None:
    """A vector that says the message alone, and by it nothing of the language."""
    vectors = torch.eye(MESSAGES)[torch.from_numpy(GROUP)]
    assert language_probe(vectors, LANGUAGE, GROUP).accuracy == pytest.approx(1 / 3)


def test_chance_is_that_of_the_commonest_language() -> None:
    keep = (LANGUAGE == 0) | (GROUP % 2 == 0) & (LANGUAGE == 1)
    found = language_probe(torch.zeros(int(keep.sum()), 2), LANGUAGE[keep], GROUP[keep], seed=3)
    assert found.accuracy == found.chance
    assert 0.5 < found.chance < 1


def test_what_cannot_be_probed_is_refused() -> None:
    vectors = noise(2)
    with pytest.raises(ValueError, match="a language and a message for each"):
        language_probe(vectors, LANGUAGE[:3], GROUP)
    with pytest.raises(ValueError, match="two languages or more"):
        language_probe(vectors, np.zeros_like(LANGUAGE), GROUP)
