"""From when on a setting stays as it is; covers xformer.runs.settings, too."""

from __future__ import annotations

from pathlib import Path

import pytest

from xformer.errors import InputError
from xformer.runs.changes import IN_WORDS, UNTIL, changes_until
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory
from xformer.runs.effects import TRAINING_NEEDS, evaluation_only
from xformer.runs.settings import require_same_settings, settle_settings
from xformer.storage.describe import describe
from xformer.storage.toml import overridden

NAMES = [one.name for one in describe(RunConfig)]
CHANGED = {
    "training.budget": "20m",
    "training.panel_every": "0",
    "data.max_length": "64",
    "data.corpus": "corpora/mine",
    "tokenizer.vocabulary_size": "300",
    "data.alpha": "0.3",
    "data.pivot": "de",
    "model.bigrams": "4",
    "objectives.masking.rate": "0.2",
    "training.seed": "1",
}


def test_each_name_in_the_table_is_a_setting_or_a_table() -> None:
    tables = {name.partition(".")[0] for name in NAMES}
    assert set(UNTIL) <= set(NAMES) | tables
    assert {changes_until(name) for name in NAMES} == set(IN_WORDS)


def changed(name: str) -> RunConfig:
    """The defaults with another value of one setting."""
    return overridden({}, [f"{name}={CHANGED[name]}"], RunConfig, "--set")


@pytest.mark.parametrize(
    ("name", "until"),
    [
        ("training.budget", "always"),
        ("training.panel_every", "always"),
        ("data.max_length", "data"),
        ("data.corpus", "data"),
        ("tokenizer.vocabulary_size", "tokenizer"),
        ("data.alpha", "checkpoint"),
        ("data.pivot", "checkpoint"),
        ("model.bigrams", "checkpoint"),
        ("objectives.masking.rate", "checkpoint"),
        ("training.seed", "checkpoint"),
    ],
)
def test_a_setting_may_change_until_then(tmp_path: Path, name: str, until: str) -> None:
    assert changes_until(name) == until
    run = RunDirectory(tmp_path / "run")
    run.path.mkdir()
    nothing = {"data": False, "tokenizer": False}
    settle_settings(run, RunConfig(), nothing)
    settle_settings(run, changed(name), nothing)
    assert run.load_config() == changed(name)
    settle_settings(run, RunConfig(), {"data": until != "data", "tokenizer": until != "tokenizer"})
    settle_settings(run, changed(name), {"data": until != "data", "tokenizer": until != "tokenizer"})
    before = run.config.read_bytes()
    require_same_settings(run, changed(name), {"data": True, "tokenizer": True})
    assert run.config.read_bytes() == before
    if until == "checkpoint":
        (run.checkpoints / "step-00000001").mkdir(parents=True)
    if until == "always":
        settle_settings(run, RunConfig(), {"data": True, "tokenizer": True})
        return
    with pytest.raises(InputError, match=rf"began with other settings: {name} was .*, not "):
        settle_settings(run, RunConfig(), {"data": True, "tokenizer": True})
    assert run.load_config() == changed(name)


def test_what_evaluation_alone_uses_may_change(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    (run.checkpoints / "step-00000001").mkdir(parents=True)

    def settle(*changes: str) -> None:
        settings = overridden({}, changes, RunConfig, "--set")
        settle_settings(run, settings, {"data": True, "tokenizer": True}, evaluation_only)

    settle("data.pivot_share=0.0")
    settle("data.pivot_share=0.0", "data.pivot=de")
    # Not where the pairs of training prefer the pivot, now or then.
    with pytest.raises(InputError, match=r"data\.pivot was de, not en; data\.pivot_share was"):
        settle()
    assert set(TRAINING_NEEDS) <= set(NAMES)
