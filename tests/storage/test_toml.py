"""Settings as TOML: strict types, and all errors at once; covers xformer.storage.structure, too."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xformer.errors import InputError
from xformer.model.config import ModelConfig
from xformer.runs.config import (
    DataConfig,
    MaskingConfig,
    ObjectivesConfig,
    OptimizerConfig,
    RunConfig,
    TrainingConfig,
)
from xformer.storage.toml import from_table, load_toml, overridden, read_toml, save_toml
from xformer.tokenizer import TokenizerOptions

# Any text but lone surrogates, which no file in UTF-8 can hold.
TEXT = st.text(st.characters(codec="utf-8"))
SHARES = st.floats(0, 1)
SIZES = st.integers(1, 10**6)


@st.composite
def configs(draw: st.DrawFn) -> RunConfig:
    timed = draw(st.booleans())
    return RunConfig(
        model=ModelConfig(
            d_model=draw(st.sampled_from([8, 16])),
            window=draw(st.none() | st.integers(2, 512)),
            positions=draw(st.sampled_from(["rotary", "alibi", "none"])),
            bias=draw(st.booleans()),
            rotary_base=draw(st.floats(min_value=1, allow_infinity=False)),
        ),
        tokenizer=TokenizerOptions(
            alpha=draw(SHARES), model=draw(st.sampled_from(["unigram", "bpe"])), seed=draw(SIZES)
        ),
        data=DataConfig(corpus=draw(TEXT), pivot=draw(TEXT), alpha=draw(SHARES), dev_groups=draw(SIZES)),
        objectives=ObjectivesConfig(
            masking=MaskingConfig(unit=draw(st.sampled_from(["token", "word", "span"]))),
            margin=draw(st.floats(0, 1, exclude_max=True)),
        ),
        optimizer=OptimizerConfig(lr=draw(st.floats(0, exclude_min=True, allow_infinity=False))),
        training=TrainingConfig(
            budget=draw(st.sampled_from(["90s", "10m", "1.5h"])) if timed else None,
            steps=None if timed else draw(SIZES),
            log_every=draw(st.floats(0, 100)),
        ),
    )


@given(configs())
@settings(max_examples=30)
def test_any_settings_survive_a_file(config: RunConfig) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.toml"
        save_toml(path, config)
        assert load_toml(path, RunConfig) == config


def test_what_a_file_leaves_out_keeps_its_default(tmp_path: Path) -> None:
    path = tmp_path / "some.toml"
    path.write_text("[model]\nd_model = 64\n[objectives.masking]\nrate = 0.3\n", encoding="utf-8")
    defaults = RunConfig()
    assert load_toml(path, RunConfig) == replace(
        defaults,
        model=replace(defaults.model, d_model=64),
        objectives=replace(defaults.objectives, masking=MaskingConfig(rate=0.3)),
    )


def test_every_field_is_in_the_file_and_none_is_spelled_out(tmp_path: Path) -> None:
    save_toml(tmp_path / "all.toml", RunConfig(model=ModelConfig(window=None)))
    table = read_toml(tmp_path / "all.toml")
    assert set(table) == {"model", "tokenizer", "data", "objectives", "optimizer", "training"}
    assert table["model"]["window"] == "none"
    assert table["training"]["steps"] == "none"
    assert set(table["objectives"]["masking"]) == {"rate", "unit", "span_mean", "span_max", "replacement"}


WRONG = [
    ("modle = 1", "modle: unknown key, did you mean model or tokenizer.model?"),
    ("[modle]\nd_model = 1", "modle: unknown key, did you mean model or tokenizer.model?"),
    (
        "[model]\nhue = 3\ncolour = 2",
        "model.colour: unknown key; model.hue: unknown key. `xformer settings` lists all",
    ),
    (
        "[optimizer]\nlerning_rate = 0.1",
        "optimizer.lerning_rate: unknown key, did you mean optimizer.lr or optimizer.embedding_lr or",
    ),
    ("d_model = 64", "d_model: unknown key, did you mean model.d_model?"),
    ("[objectives]\nrate = 0.2", "objectives.rate: unknown key, did you mean objectives.masking.rate?"),
    (
        "[training]\nprecision = 'bf6'",
        "training.precision: expected one of auto, fp32, bf16, got 'bf6', did you mean bf16?",
    ),
    ("[objectives.masking]\nratio = 0.2", "objectives.masking.ratio: unknown key, did you mean"),
    ("[model]\nd_model = '64'", "model.d_model: expected int, got '64'"),
    ("[model]\nd_model = 64.0", "model.d_model: expected int, got 64.0"),
    ("[model]\nd_model = true", "model.d_model: expected int, got True"),
    ("[model]\nbias = 1", "model.bias: expected bool, got 1"),
    ("[model]\nwindow = 'wide'", "model.window: expected int, got 'wide'"),
    ("[data]\nalpha = true", "data.alpha: expected float, got True"),
    ("[data]\ncorpus = 1979-05-27", "data.corpus: expected str, got datetime.date(1979, 5, 27)"),
    ("[training]\nbudget = 600", "training.budget: expected str, got 600"),
    (
        "[objectives.masking]\nunit = 'line'",
        "objectives.masking.unit: expected one of token, word, span, got 'line'",
    ),
    ("[objectives]\npooling = 3", "objectives.pooling: expected one of mean, weighted, got 3"),
    ("model = 3", "model: expected a table, got 3"),
    ("model = 'base'", "model: expected a table, got 'base'"),
    ("[[model]]\nd_model = 64", "model: expected a table, got [{'d_model': 64}]"),
    ("[objectives]\nmasking = 'word'", "objectives.masking: expected a table, got 'word'"),
    (
        "[objectives.masking]\nrate = 2",
        "objectives.masking.rate: expected a share between 0 and 1, got 2.0",
    ),
    ("[tokenizer]\nvocabulary_size = 3", "tokenizer.vocabulary_size: expected a whole number of at least"),
    ("[model]\nd_model = 30", "model.d_model: expected a multiple of n_heads=4, got 30"),
    ("[data]\nmax_length = 600", "data.max_length: expected at most model.max_length=512, got 600"),
]


@pytest.mark.parametrize(("text", "problem"), WRONG)
def test_what_is_wrong_is_refused_with_its_file_and_key(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_toml(path, RunConfig)
    assert str(caught.value).startswith(f"{path}: {problem}")


def test_all_that_is_wrong_is_named_at_once() -> None:
    table = {"model": {"d_model": "x", "colour": 1}, "data": {"alpha": 7.0}, "tokenizer": {"alpha": 3.0}}
    with pytest.raises(InputError) as caught:
        from_table(table, RunConfig, "settings")
    for name in ("model.d_model", "model.colour", "data.alpha", "tokenizer.alpha"):
        assert name in str(caught.value)


@dataclass(frozen=True)
class _Listed:
    names: tuple[str, ...]
    sizes: tuple[int, ...] = (1,)


def test_what_is_wrong_in_a_file_and_in_a_single_setting_is_said_of_each() -> None:
    with pytest.raises(InputError) as caught:
        _set("model.n_heds=2", "data.alpha=x", table={"data": {"alhpa": 0.5}})
    assert str(caught.value) == (
        "--set: data.alpha: expected float, got 'x'; model.n_heds: unknown key, did you mean model.n_heads?;"
        " run.toml: data.alhpa: unknown key, did you mean data.alpha or tokenizer.alpha?"
    )


def test_lists_and_fields_without_a_default(tmp_path: Path) -> None:
    save_toml(tmp_path / "listed.toml", _Listed(("a", "b")))
    assert load_toml(tmp_path / "listed.toml", _Listed) == _Listed(("a", "b"), (1,))
    for table, problem in (
        ({}, "names: missing"),
        ({"names": "a"}, "names: expected a list, got 'a'"),
        ({"names": [], "sizes": [2, "x"]}, "sizes: expected int, got 'x'"),
    ):
        with pytest.raises(InputError, match=f"^settings: {problem}$"):
            from_table(table, _Listed, "settings")


def test_a_file_that_is_missing_or_not_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.toml: No such file"):
        load_toml(tmp_path / "gone.toml", RunConfig)
    for content in (b"model = ", b"\xff\xfe", b"a = 1\na = 2"):
        (tmp_path / "bad.toml").write_bytes(content)
        with pytest.raises(InputError, match=r"bad\.toml: expected TOML"):
            load_toml(tmp_path / "bad.toml", RunConfig)


def _set(*changes: str, table: dict[str, Any] | None = None) -> RunConfig:
    return overridden(table or {}, changes, RunConfig, "run.toml")


def test_single_settings_go_over_a_table_which_stays_as_it_was() -> None:
    table: dict[str, Any] = {"model": {"d_model": 64, "n_layers": 3}}
    config = _set("model.n_layers=6", "objectives.masking.unit=word", "data.alpha=1", table=table)
    assert (config.model.d_model, config.model.n_layers) == (64, 6)
    assert config.objectives.masking.unit == "word"
    assert config.data.alpha == 1.0
    assert isinstance(config.data.alpha, float)
    assert table == {"model": {"d_model": 64, "n_layers": 3}}


def test_single_settings_are_toml_or_else_words() -> None:
    assert _set("data.corpus=corpora/mine").data.corpus == "corpora/mine"
    assert _set("data.corpus='3'").data.corpus == "3"
    assert _set("data.corpus=a=b").data.corpus == "a=b"
    assert _set("model.bias=true").model.bias is True
    assert _set("model.window=none").model.window is None
    config = _set("training.budget=none", "training.steps=7")
    assert (config.training.budget, config.training.steps) == (None, 7)


def test_a_single_setting_is_one_setting() -> None:
    with pytest.raises(InputError, match=r"data\.alpha: expected float, got '0\.5"):
        _set("data.alpha=0.5\nmax_repeats=2.0")


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("d_model", "--set: expected TABLE.KEY=VALUE, got 'd_model'"),
        ("=3", "--set: expected TABLE.KEY=VALUE, got '=3'"),
        ("d_model=3", "--set: d_model: unknown key, did you mean model.d_model?"),
        ("training.trackers=['tensorbord']", "--set: training.trackers: expected one of tensorboard, "),
        ("model.d_model=30", "--set: model.d_model: expected a multiple of n_heads=4, got 30"),
        ("model.d_model.x=3", "--set: model.d_model.x: d_model is a value, not a table"),
        ("model=3", "--set: model: expected a table, got 3"),
        ("model.size=3", "--set: model.size: unknown key"),
    ],
)
def test_single_settings_that_fit_nowhere_are_refused(setting: str, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        _set(setting, table={"model": {"d_model": 64}})
    assert str(caught.value).startswith(problem)
