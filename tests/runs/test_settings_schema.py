from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xformer.model.config import ModelConfig
from xformer.runs.config import RunConfig
from xformer.runs.reference import all_settings
from xformer.runs.renamed_settings import RENAMED, read_settings
from xformer.runs.settings_schema import settings_schema
from xformer.storage.describe import value_of
from xformer.storage.structure import StructureError, structure
from xformer.storage.toml import save_toml

jsonschema = pytest.importorskip("jsonschema")

SCHEMA = settings_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
ROOT = Path(__file__).resolve().parents[2]

# Settings that others bound as well, which no schema says.
BOUND_BY_OTHERS = {
    "model.d_model", "model.n_heads", "model.positions", "model.t5_buckets", "model.t5_max_distance",
    "model.pooled_dim_fraction", "model.max_length", "data.max_length", "data.shards", "training.budget",
    "training.steps", "training.patience", "objectives.translation_lm_tokens", "optimizer.warmup",
    "optimizer.decay",
}  # fmt: skip


def table_of(name: str, value: Any) -> dict[str, Any]:
    """The tables with one setting."""
    for part in reversed(name.split(".")):
        value = {part: value}
    found: dict[str, Any] = value
    return found


def is_accepted(tables: dict[str, Any]) -> bool:
    try:
        structure(tables, RunConfig, none="none")
    except StructureError:
        return False
    return True


def test_it_is_a_schema_with_every_setting() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    for one in all_settings():
        found = SCHEMA
        for part in one.name.split("."):
            found = found["properties"][part]
        assert found["description"].lower().startswith(one.about.meaning.lower())
        assert VALIDATOR.is_valid(table_of(one.name, found["default"])), one.name
        if one.about.unit:
            assert f"Unit: {one.about.unit}." in found["description"]


def test_files_of_settings_are_valid(tmp_path: Path) -> None:
    configs = [RunConfig(), RunConfig(model=ModelConfig.bert()), RunConfig(model=ModelConfig.xlm_r())]
    for config in configs:
        save_toml(tmp_path / "config.toml", config)
        VALIDATOR.validate(tomllib.loads((tmp_path / "config.toml").read_text(encoding="utf-8")))
    VALIDATOR.validate(tomllib.loads((ROOT / "tests/project/tiny.toml").read_text(encoding="utf-8")))


def test_names_of_earlier_versions_are_deprecated(tmp_path: Path) -> None:
    config = RunConfig()
    for old, new in RENAMED.items():
        tables = table_of(old, value_of(config, new))
        VALIDATOR.validate(tables)
        table, name = old.split(".")
        assert SCHEMA["properties"][table]["properties"][name]["deprecated"] is True
    old_run = ROOT / "tests/runs/run_of_0_1"
    for path in old_run.rglob("config.toml"):
        VALIDATOR.validate(tomllib.loads(path.read_text(encoding="utf-8")))
        with pytest.warns(UserWarning, match="new names"):
            read_settings(path)


@pytest.mark.parametrize(
    "wrong",
    [
        {"modell": {}},
        {"model": {"d_modell": 64}},
        {"model": 3},
        {"model": {"d_model": "64"}},
        {"model": {"d_model": 64.5}},
        {"model": {"d_model": True}},
        {"model": {"d_model": 0}},
        {"model": {"d_model": "none"}},
        {"model": {"bias": 1}},
        {"model": {"positions": "relative"}},
        {"model": {"t5_buckets": 5}},
        {"model": {"rotary_base_local": -1}},
        {"model": {"norm_eps": 0}},
        {"model": {"norm_eps": float("inf")}},
        {"model": {"dropout": 1.0}},
        {"model": {"window": 1}},
        {"model": {"global_layers": [0, -1]}},
        {"model": {"global_layers": [0.5]}},
        {"tokenizer": {"threads": 129}},
        {"tokenizer": {"alpha": 1.5}},
        {"tokenizer": {"model": "wordpiece"}},
        {"data": {"sources": [{"weight": 1.0}]}},
        {"data": {"sources": [{"pattern": "", "weight": 1.0}]}},
        {"data": {"sources": [{"pattern": "a", "weights": 1.0}]}},
        {"data": {"decontaminate": "a"}},
        {"objectives": {"masking": {"rate": 0}}},
        {"optimizer": {"lr": 0.0}},
        {"training": {"budget": "ten minutes"}},
        {"training": {"budget": 600}},
        {"training": {"threads": 0}},
        {"training": {"threads": "many"}},
        {"training": {"spike_factor": 1}},
        {"training": {"trackers": ["tensorboard", "tensorboard"]}},
        {"training": {"trackers": ["wandb"]}},
    ],
    ids=str,
)
def test_both_refuse(wrong: dict[str, Any]) -> None:
    assert not VALIDATOR.is_valid(wrong)
    assert not is_accepted(wrong)


NAMES = [one.name for one in all_settings() if one.name != "data.sources"]
WORDS = sorted(
    {choice for one in all_settings() for choice in one.about.choices} | {"none", "auto", "10m", "", "x"}
)
NUMBERS = st.integers(-2, 300) | st.floats(-2, 2, allow_nan=False).filter(lambda x: not x.is_integer())
VALUES = (
    NUMBERS
    | st.booleans()
    | st.lists(st.integers(-1, 3), max_size=2)
    | st.sampled_from(WORDS)
    | st.lists(st.sampled_from(WORDS), max_size=2)
)
SOURCES = st.fixed_dictionaries(
    {},
    optional={
        "pattern": st.sampled_from(["", "a*", 3]),
        "weight": NUMBERS,
        "min_chars": st.integers(-1, 0),
        "max_chars": st.sampled_from([0, 1, 5, "none"]),
        "languages": st.lists(st.sampled_from(["de", 3]), max_size=2),
        "other": st.just(1),
    },
)


@settings(max_examples=60)
@given(st.sampled_from(NAMES).flatmap(lambda name: st.tuples(st.just(name), VALUES)))
def test_both_agree_on_each_setting(setting: tuple[str, Any]) -> None:
    name, value = setting
    tables = table_of(name, value)
    allowed, accepted = VALIDATOR.is_valid(tables), is_accepted(tables)
    assert allowed or not accepted
    assert accepted or not allowed or name in BOUND_BY_OTHERS


@settings(max_examples=40)
@given(st.lists(SOURCES, max_size=2))
def test_both_agree_on_rules_of_sources(sources: list[dict[str, Any]]) -> None:
    tables = {"data": {"sources": sources}}
    assert VALIDATOR.is_valid(tables) == is_accepted(tables)
