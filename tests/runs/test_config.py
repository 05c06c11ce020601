"""Settings of a run: what is refused, and what the refusal says.

Covers xformer.model.config, xformer.runs.data_config and xformer.storage.rules, too.
"""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest

from xformer.model.config import ModelConfig
from xformer.runs.config import (
    DataConfig,
    MaskingConfig,
    ObjectivesConfig,
    OptimizerConfig,
    RunConfig,
    TrainingConfig,
)

NAN = float("nan")

INF = float("inf")
# Without end: the gradient's largest norm, how often a text is repeated, the time between two checkpoints.
FINITE: dict[type, tuple[str, ...]] = {
    OptimizerConfig: (
        "lr",
        "embedding_lr",
        "full_embedding_lr",
        "bigram_lr",
        "full_bigram_lr",
        "vector_lr",
        "weight_decay",
        "final_lr",
    ),
    ObjectivesConfig: (
        "masked_lm_weight",
        "translation_lm_weight",
        "alignment_weight",
        "distillation_weight",
        "logit_scale",
    ),
}

REFUSED: list[tuple[type, dict[str, Any], str]] = [
    (DataConfig, {"dev_groups": 0}, "data.dev_groups"),
    (DataConfig, {"test_groups": -1}, "data.test_groups"),
    (DataConfig, {"held_out_languages": 1}, "data.held_out_languages"),
    (DataConfig, {"held_out_chars": 0}, "data.held_out_chars"),
    (DataConfig, {"min_language_texts": 0}, "data.min_language_texts"),
    (DataConfig, {"alpha": 1.1}, "data.alpha"),
    (DataConfig, {"alpha": NAN}, "data.alpha"),
    (DataConfig, {"max_repeats": 0.5}, "data.max_repeats"),
    (DataConfig, {"max_length": 1}, "data.max_length"),
    (DataConfig, {"shards": "made"}, "data.tokenizer"),
    (MaskingConfig, {"rate": 0.0}, "objectives.masking.rate"),
    (MaskingConfig, {"rate": 1.0}, "objectives.masking.rate"),
    (MaskingConfig, {"unit": "sentence"}, "objectives.masking.unit"),
    (MaskingConfig, {"span_mean": 0.5}, "objectives.masking.span_mean"),
    (MaskingConfig, {"span_max": 0}, "objectives.masking.span_max"),
    (MaskingConfig, {"replacement": "90-10"}, "objectives.masking.replacement"),
    (ObjectivesConfig, {"masked_lm_tokens": -1}, "objectives.masked_lm_tokens"),
    (ObjectivesConfig, {"embedding_warmup_tokens": 0}, "objectives.embedding_warmup_tokens"),
    (ObjectivesConfig, {"alignment_weight": -0.1}, "objectives.alignment_weight"),
    (ObjectivesConfig, {"translation_lm_weight": NAN}, "objectives.translation_lm_weight"),
    (ObjectivesConfig, {"logit_scale": 0.0}, "objectives.logit_scale"),
    (ObjectivesConfig, {"margin": 1.0}, "objectives.margin"),
    (ObjectivesConfig, {"pooling": "last"}, "objectives.pooling"),
    (
        ObjectivesConfig,
        {"masked_lm_tokens": 0, "translation_lm_tokens": 0, "alignment_tokens": 0},
        "objectives.alignment_tokens",
    ),
    (OptimizerConfig, {"lr": 0.0}, "optimizer.lr"),
    (OptimizerConfig, {"embedding_lr": -1.0}, "optimizer.embedding_lr"),
    (OptimizerConfig, {"weight_decay": -1.0}, "optimizer.weight_decay"),
    (OptimizerConfig, {"max_grad_norm": NAN}, "optimizer.max_grad_norm"),
    (OptimizerConfig, {"final_lr": -0.1}, "optimizer.final_lr"),
    (OptimizerConfig, {"beta1": 1.0}, "optimizer.beta1"),
    (OptimizerConfig, {"beta2": -0.1}, "optimizer.beta2"),
    (OptimizerConfig, {"full_embedding_lr": 0.0}, "optimizer.full_embedding_lr"),
    (OptimizerConfig, {"vector_lr": -1.0}, "optimizer.vector_lr"),
    (OptimizerConfig, {"warmup": 0.7, "decay": 0.4}, "optimizer.decay"),
    *((OptimizerConfig, {name: INF}, f"optimizer.{name}") for name in FINITE[OptimizerConfig]),
    *((ObjectivesConfig, {name: INF}, f"objectives.{name}") for name in FINITE[ObjectivesConfig]),
    (MaskingConfig, {"span_mean": INF}, "objectives.masking.span_mean"),
    (ModelConfig, {"norm_eps": INF}, "model.norm_eps"),
    *[
        (ModelConfig, {name: value}, f"model.{name}")
        for name in ("rotary_base", "rotary_base_local")
        for value in (-1.0, 0.0, NAN, INF)
    ],
    (ModelConfig, {"init_std": INF}, "model.init_std"),
    (ModelConfig, {"init_std": -1.0}, "model.init_std"),
    (TrainingConfig, {"steps": 5}, "training.budget, training.steps"),
    (TrainingConfig, {"budget": None}, "training.budget, training.steps"),
    (TrainingConfig, {"budget": None, "steps": 0}, "training.steps"),
    (TrainingConfig, {"budget": "soon"}, "training.budget"),
    (ObjectivesConfig, {"embedding_warmup_share": 1.5}, "objectives.embedding_warmup_share"),
    (TrainingConfig, {"precision": "fp8"}, "training.precision"),
    (TrainingConfig, {"sharding": "some"}, "training.sharding"),
    (TrainingConfig, {"checkpoint_every": 0.0}, "training.checkpoint_every"),
    (TrainingConfig, {"keep_checkpoints": 0}, "training.keep_checkpoints"),
    (TrainingConfig, {"log_every": -1.0}, "training.log_every"),
    (TrainingConfig, {"log_steps": 0}, "training.log_steps"),
    (TrainingConfig, {"spike_factor": 1.0}, "training.spike_factor"),
    (TrainingConfig, {"spike_factor": NAN}, "training.spike_factor"),
    (TrainingConfig, {"non_finite": "ignore"}, "training.non_finite"),
    (TrainingConfig, {"seed": -1}, "training.seed"),
]


@pytest.mark.parametrize(("kind", "fields", "named"), REFUSED)
def test_a_setting_out_of_its_range_is_refused_by_name_and_value(
    kind: type, fields: dict[str, Any], named: str
) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        kind(**fields)
    name, said = str(caught.value).split(": ", 1)
    assert named in name
    assert any(repr(value) in said for value in fields.values())


def test_the_defaults_are_accepted_and_cannot_be_changed_afterwards() -> None:
    config = RunConfig()
    with pytest.raises(FrozenInstanceError):
        config.data.alpha = 1.0  # type: ignore[misc]


def test_texts_fit_the_model() -> None:
    with pytest.raises(ValueError, match=r"data\.max_length: expected at most model\.max_length=64, got 65"):
        RunConfig(model=ModelConfig(max_length=64), data=DataConfig(max_length=65))


def test_joined_pairs_fit_learned_positions() -> None:
    data, short = DataConfig(max_length=64), ModelConfig(max_length=128, positions="learned")
    joined = ObjectivesConfig(translation_lm_tokens=512)
    with pytest.raises(ValueError, match=r"data\.max_length: expected at most 63"):
        RunConfig(model=short, data=data, objectives=joined)
    RunConfig(model=short, data=data, objectives=replace(joined, translation_lm_tokens=0))
    RunConfig(model=ModelConfig(max_length=129, positions="learned"), data=data, objectives=joined)
    RunConfig(model=ModelConfig(max_length=64), data=data, objectives=joined)  # rotary positions have no end
