"""Which models other libraries hold, and what is said of those that none does."""

from __future__ import annotations

from typing import Any

import pytest

from xformer.errors import InputError
from xformer.model.config import ModelConfig
from xformer.model.families import family_of, held_by_none
from xformer.runs.config import RunConfig


def test_what_is_trained_by_default_is_a_modernbert() -> None:
    config = RunConfig()
    assert family_of(config.model) == "modernbert"
    assert held_by_none(config.model, config.objectives.pooling) is None


@pytest.mark.parametrize(
    ("kind", "family"), [("bert", "bert"), ("xlm_r", "xlm-roberta"), ("modernbert", "modernbert")]
)
def test_each_family_is_its_own(kind: str, family: str) -> None:
    config: ModelConfig = getattr(ModelConfig, kind)()
    assert family_of(config) == family
    assert held_by_none(config, "mean") is None


@pytest.mark.parametrize(
    ("settings", "pooling", "name"),
    [
        ({"bigrams": 4}, "mean", "model.bigrams"),
        ({"positions": "alibi"}, "mean", "model.positions"),
        ({"norm": "rmsnorm"}, "mean", "model.norm"),
        ({"activation": "relu"}, "mean", "model.activation"),
        ({"pool_after_norm": False}, "mean", "model.pool_after_norm"),
        ({}, "weighted", "objectives.pooling"),
    ],
)
def test_what_only_the_laboratory_holds_is_named(settings: dict[str, Any], pooling: str, name: str) -> None:
    why = held_by_none(ModelConfig(**settings), pooling)
    assert why is not None
    assert why.startswith(f"{name}:")


def test_bert_without_segments_is_distilbert() -> None:
    assert family_of(ModelConfig.bert(n_segments=0)) == "distilbert"
    assert family_of(ModelConfig.bert(activation="relu", tie_embeddings=False)) == "bert"
    for wrong in ({"norm_eps": 1e-5}, {"activation": "relu2"}):
        with pytest.raises(InputError, match=f"model.{next(iter(wrong))}: DistilBERT needs"):
            family_of(ModelConfig.bert(n_segments=0, **wrong))
    with pytest.raises(InputError, match="XLM-R needs 'gelu'"):
        family_of(ModelConfig.xlm_r(activation="relu"))
