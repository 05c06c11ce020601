"""The map of a space: which texts are on it, how they are projected, and its numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from tests.synthetic_shards import FIRST_WORD
from xformer.data.shards import TokenShards
from xformer.evaluation.parallel_texts import ParallelTexts
from xformer.evaluation.space_map import (
    LANGUAGES,
    MESSAGES,
    MapChoice,
    measure_map,
    principal_plane,
    space_map,
)
from xformer.model.config import ModelConfig
from xformer.model.multilingual import MultilingualModel


def decode(tokens: Sequence[Any]) -> str:
    return " ".join(f"w{int(token) - FIRST_WORD}" for token in tokens)


def test_the_plane_is_that_of_most_variance() -> None:
    rng = np.random.default_rng(0)
    flat = rng.standard_normal((30, 2)) * (3.0, 1.0)
    turned, _ = np.linalg.qr(rng.standard_normal((8, 8)))
    places, variance = principal_plane(flat @ turned[:2] + 5.0)
    assert variance == pytest.approx(1.0)
    # Distances are kept, and the order of texts changes no place.
    apart = np.linalg.norm(flat[:, None] - flat, axis=-1)
    assert np.linalg.norm(places[:, None] - places, axis=-1) == pytest.approx(apart, abs=1e-9)
    assert principal_plane((flat @ turned[:2] + 5.0)[::-1])[0][::-1] == pytest.approx(places)
    places, variance = principal_plane(np.ones((3, 4)))
    assert not places.any()
    assert variance == 1.0
    noisy = flat @ turned[:2] + rng.standard_normal((30, 8))
    assert 0.3 < principal_plane(noisy)[1] < 0.95


def test_messages_in_all_languages_are_chosen_evenly(parallel_test: TokenShards) -> None:
    texts = ParallelTexts.of(parallel_test, "en")
    choice = MapChoice.of(texts, decode)
    assert [texts.tag(number) for number in choice.languages] == ["en", "de", "fr", "pl"]
    assert len(choice.rows) == 4 * MESSAGES
    assert choice.group.tolist() == [number // 4 for number in range(4 * MESSAGES)]
    assert set(texts.language[choice.rows[::4]]) == {texts.pivot}
    assert len(choice.needed(texts)) == len(texts.examples)


def test_languages_of_other_scripts_come_first(make_shards: Callable[..., TokenShards]) -> None:
    tags = ("cs", "de", "el", "en", "es", "fr", "it", "ja", "nl", "pt", "ru")
    group = [number for number in range(20) for _ in tags]
    texts = [[FIRST_WORD + number, FIRST_WORD + place] for number in range(20) for place in range(len(tags))]
    language = [place for _ in range(20) for place in range(len(tags))]
    parallel = ParallelTexts.of(make_shards(texts, language, group, languages=tags), "en")
    chosen = [parallel.tag(number) for number in MapChoice.of(parallel, decode).languages]
    assert len(chosen) == LANGUAGES
    assert {"el", "ja", "ru"} < set(chosen)


def test_the_numbers_are_those_of_all_pairs(parallel_test: TokenShards) -> None:
    texts = ParallelTexts.of(parallel_test, "en")
    choice = MapChoice.of(texts, decode)
    rng = np.random.default_rng(3)
    of_group = {group: rng.standard_normal(16) for group in np.unique(texts.group).tolist()}
    near = np.array([of_group[group] + 0.1 * rng.standard_normal(16) for group in texts.group.tolist()])
    vectors = torch.from_numpy(near / np.linalg.norm(near, axis=1, keepdims=True))
    found = space_map(texts, choice, vectors, decode)
    left, right = texts.with_pivot(0)
    cosines = (vectors[left] @ vectors[right].T).numpy()
    assert found.pairs == 3 * 150
    assert found.translations == pytest.approx(1 - cosines.diagonal().mean(), abs=0.01)
    assert found.others == pytest.approx(1 - cosines[~np.eye(150, dtype=bool)].mean(), abs=0.01)
    assert found.languages == ["en", "de", "fr", "pl"]
    first = found.texts[0]
    assert (first.language, first.group) == ("en", 0)
    assert first.text == decode(parallel_test[int(texts.examples[choice.rows[0]])].tolist())


def test_a_model_is_mapped_or_there_is_nothing_to_map(
    tiny_model: ModelConfig, parallel_test: TokenShards, make_shards: Callable[..., TokenShards]
) -> None:
    torch.manual_seed(0)
    model = MultilingualModel(tiny_model)
    found = measure_map(model, parallel_test, "en", 1, decode)
    assert found is not None
    assert 0 < found.variance <= 1
    assert found == measure_map(model, parallel_test, "en", 1, decode)
    assert measure_map(model, make_shards([[300]], [0], [0]), "de", 1, decode) is None
