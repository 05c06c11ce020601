"""Settings that would do nothing beside others: which, and that they are refused.

That a rule is true of the model is tested on a model: with the need unmet, a change of the setting changes no
weight and no result; with it met, it does.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from xformer.errors import InputError
from xformer.model.config import ModelConfig
from xformer.model.multilingual import MultilingualModel
from xformer.model.packed import pack
from xformer.runs.config import RunConfig
from xformer.runs.effects import NEEDS, TRAINING_NEEDS, evaluation_only, require_effect, without_effect
from xformer.storage.describe import describe, value_of
from xformer.storage.toml import overridden

SETTINGS = {one.name: one for one in describe(RunConfig)}

ALONE = {
    # Settings that need another one: what they are set to, and others beside which they do nothing.
    "model.d_ff": ("64", "model.n_layers=0"),
    "model.activation": ("swiglu", "model.n_layers=0"),
    "model.norm_position": ("post", "model.n_layers=0"),
    "model.attention_dropout": ("0.1", "model.n_layers=0"),
    "model.rotary_base": ("100.0", "model.positions=alibi"),
    "model.rotary_base_local": ("100.0", "model.window=none"),
    "model.t5_buckets": ("16", ""),
    "model.t5_max_distance": ("64", ""),
    "model.position_offset": ("2", ""),
    "model.gelu": ("tanh", "model.activation=swiglu model.head_activation_norm=false"),
    "model.window": ("64", "model.n_layers=1"),
    "model.global_every": ("2", "model.window=none"),
    "model.global_layers": ("[1]", "model.window=none"),
    **{name: ("", "data.tokenizer=mine.model") for name in SETTINGS if name.startswith("tokenizer.")},
    **{name: ("", "data.corpus=mine") for name in SETTINGS if "_groups" in name or ".held_out" in name},
    "data.min_language_texts": ("2", "data.corpus=mine"),
    "data.small_languages": ("join", "data.corpus=mine"),
    "data.decontaminate": ('["captions"]', "data.corpus=mine"),
    "objectives.masking.rate": ("0.2", "objectives.masked_lm_tokens=0"),
    "objectives.masking.unit": ("word", "objectives.masked_lm_tokens=0"),
    "objectives.masking.span_mean": ("2.0", ""),
    "objectives.masking.span_max": ("4", "objectives.masking.unit=word"),
    "objectives.masking.replacement": ("80-10-10", "objectives.masked_lm_tokens=0"),
    "objectives.sampled_softmax_size": ("100", "objectives.masked_lm_tokens=0"),
    "objectives.masked_lm_weight": ("1.0", "objectives.masked_lm_tokens=0"),
    "objectives.translation_lm_weight": ("1.0", ""),
    "objectives.embedding_warmup_share": ("0.1", "objectives.alignment_tokens=0"),
    "objectives.alignment_weight": ("2.0", "objectives.alignment_tokens=0"),
    "objectives.distillation_weight": ("2.0", "objectives.alignment_tokens=0"),
    "optimizer.embedding_lr": ("0.02", "objectives.embedding_warmup_share=0.0"),
    "optimizer.bigram_lr": ("0.02", ""),
    "optimizer.full_bigram_lr": ("0.02", ""),
    "optimizer.final_lr": ("0.5", "optimizer.decay=0.0"),
}
OFF = {
    # Values that say what is so without the need as well, which are not refused.
    "model.zero_init_residual": ("false", "model.n_layers=0"),
    "model.skip_first_norm": ("false", "model.norm_position=post"),
    "model.window": ("none", "model.n_layers=1"),
    "tokenizer.vocabulary_size": ("65536", "data.tokenizer=mine.model"),
    "objectives.sampled_softmax_size": ("0", "objectives.masked_lm_tokens=0"),
    "objectives.embedding_warmup_share": ("0.0", "objectives.alignment_tokens=0"),
    "objectives.alignment_weight": ("0.0", "objectives.alignment_tokens=0"),
    "objectives.distillation_weight": ("0.0", "objectives.alignment_tokens=0"),
}


def config(*changes: str) -> RunConfig:
    return overridden({}, [one for change in changes for one in change.split()], RunConfig, "--set")


def another(name: str) -> str:
    """Another value than the default."""
    one = SETTINGS[name]
    if one.choices:
        return next(choice for choice in one.choices if choice != one.default)
    return str(one.default * 0.96 if isinstance(one.default, float) else (one.default or 1000) + 1)


def test_all_settings_that_need_another_are_there_and_are_settings() -> None:
    assert set(NEEDS) == set(ALONE) | set(OFF)
    assert set(NEEDS) | set(TRAINING_NEEDS) <= set(SETTINGS)
    assert not set(NEEDS) & set(TRAINING_NEEDS)


@pytest.mark.parametrize("name", ALONE)
def test_what_does_nothing_is_refused_where_it_was_given(name: str) -> None:
    value, others = ALONE[name]
    changed = config(f"{name}={value or another(name)}", others)
    with pytest.raises(InputError, match=rf"^mine\.toml: {name}=\S+ would do nothing: .* default"):
        require_effect(changed, {name: "mine.toml"})
    require_effect(changed, {})
    require_effect(changed, {name: "mine.toml"}, run=changed)
    require_effect(config(others), {name: "mine.toml"})


@pytest.mark.parametrize("name", OFF)
def test_what_is_switched_off_twice_is_not_refused(name: str) -> None:
    value, others = OFF[name]
    changed = config(f"{name}={value}", others)
    assert not NEEDS[name].met(changed)
    require_effect(changed, {name: "--set"})


def test_all_settings_act_in_some_run() -> None:
    """Each need is met by the defaults, or by these."""
    runs = [RunConfig()]
    runs += [config(f"model.positions={positions}") for positions in ("t5", "learned")]
    runs += [config("model.bigrams=4")]
    runs += [config("objectives.masking.unit=span", "objectives.translation_lm_tokens=64")]
    for name, need in (NEEDS | TRAINING_NEEDS).items():
        assert any(need.met(run) for run in runs), name


def test_all_that_do_nothing_are_said_at_once() -> None:
    changed = config("data.corpus=mine data.min_language_texts=5 optimizer.bigram_lr=1.0")
    given = {"data.min_language_texts": "mine.toml", "optimizer.bigram_lr": "--set"}
    with pytest.raises(InputError) as caught:
        require_effect(changed, given)
    first, second = str(caught.value).split("; --set: ")
    assert first.startswith("mine.toml: data.min_language_texts=5 would do nothing")
    assert "`xformer data import`" in first
    assert second.startswith("optimizer.bigram_lr=1.0 would do nothing")


def test_what_evaluation_alone_uses() -> None:
    assert evaluation_only(RunConfig()) == set()
    assert evaluation_only(config("data.pivot_share=0.0")) == {"data.pivot"}
    assert evaluation_only(config("objectives.embedding_warmup_share=0.0")) == {
        "objectives.embedding_warmup_tokens"
    }
    assert evaluation_only(config("objectives.alignment_tokens=0")) == set(TRAINING_NEEDS)


TINY = ModelConfig(vocab_size=300, d_model=16, n_layers=3, n_heads=2, d_ff=16, window=4, global_every=2)
VALUES: dict[str, Any] = {
    "d_ff": 24, "activation": "relu2", "norm_position": "post", "attention_dropout": 0.5, "rotary_base": 3.0,
    "rotary_base_local": 3.0, "t5_buckets": 8, "t5_max_distance": 9, "position_offset": 2, "gelu": "tanh",
    "window": 6, "global_every": 3, "global_layers": (1,), "zero_init_residual": False,
    "skip_first_norm": False,
}  # fmt: skip
# For each: settings with which it acts, and with which it does nothing.
MODELS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    **dict.fromkeys(("d_ff", "activation", "norm_position", "attention_dropout"), ({}, {"n_layers": 0})),
    "zero_init_residual": ({}, {"n_layers": 0}),
    "rotary_base": ({}, {"positions": "sinusoidal"}),
    "rotary_base_local": ({}, {"window": None}),
    "t5_buckets": ({"positions": "t5"}, {}),
    "t5_max_distance": ({"positions": "t5", "t5_buckets": 8}, {}),
    "position_offset": ({"positions": "learned"}, {}),
    "gelu": ({}, {"activation": "swiglu", "head_activation_norm": False}),
    "window": ({}, {"n_layers": 1}),
    "global_every": ({}, {"window": None}),
    "global_layers": ({}, {"window": None}),
    "skip_first_norm": ({}, {"norm_position": "post"}),
}


def results(model_config: ModelConfig) -> dict[str, torch.Tensor]:
    """All weights, the residual stream and the head's input, with dropout."""
    torch.manual_seed(0)
    model = MultilingualModel(model_config, "mean")
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with torch.no_grad():
        for parameter in model.parameters():  # no block stays the identity
            parameter.add_(0.5 * torch.randn_like(parameter))
    batch = pack([range(270, 290), range(280, 289)])
    torch.manual_seed(1)
    ((_, states),) = model.residual_streams([batch], n_layers=None)
    return weights | {"states": states, "head": model.masked_lm.head(states)}


@pytest.mark.parametrize("field", MODELS)
def test_the_model_agrees(field: str) -> None:
    acting, idle = MODELS[field]
    need = NEEDS[f"model.{field}"]
    for others, acts in (acting, True), (idle, False):
        before = replace(TINY, **others)
        after = replace(before, **{field: VALUES[field]})
        assert need.met(replace(RunConfig(), model=replace(before, vocab_size=32_768))) == acts
        one, other = results(before), results(after)
        same = one.keys() == other.keys() and all(
            one[name].shape == other[name].shape and torch.equal(one[name], other[name]) for name in one
        )
        assert same != acts, field


def test_each_rule_of_the_model_is_held_against_the_model() -> None:
    assert {f"model.{field}" for field in MODELS} == {name for name in NEEDS if name.startswith("model.")}


def test_a_setting_that_was_not_given_is_never_named() -> None:
    changed = config("optimizer.bigram_lr=1.0")
    assert [name for name, _ in without_effect(changed, ["optimizer.bigram_lr"])] == ["optimizer.bigram_lr"]
    assert not list(without_effect(changed, ["optimizer.lr"]))
    assert value_of(changed, "optimizer.bigram_lr") == 1.0
