"""Settings by the names of version 0.1."""

from __future__ import annotations

from pathlib import Path

import pytest

from xformer.errors import InputError
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory
from xformer.runs.renamed_settings import ADDED, RENAMED, read_settings, renamed, with_added
from xformer.storage.toml import from_table, overridden


def _value(name: str) -> object:
    config = RunConfig()
    for part in name.split("."):
        config = getattr(config, part)
    return config


def test_every_old_name_is_gone_and_every_new_one_is_there() -> None:
    for old, new in RENAMED.items():
        _value(new)
        with pytest.raises(AttributeError):
            _value(old)


@pytest.mark.parametrize("old", RENAMED)
def test_a_file_with_an_old_name_sets_the_new_one(old: str, tmp_path: Path) -> None:
    table, name = old.split(".")
    value = {"float": 0.25, "int": 3}[type(_value(RENAMED[old])).__name__]
    path = tmp_path / "config.toml"
    path.write_text(f"[{table}]\n{name} = {value}\n", encoding="utf-8")
    with pytest.warns(UserWarning, match=rf"config\.toml: settings have new names: {old} is {RENAMED[old]}$"):
        tables = read_settings(path)
    assert from_table(tables, RunConfig, "settings") == overridden(
        {}, [f"{RENAMED[old]}={value}"], RunConfig, "settings"
    )
    with pytest.warns(UserWarning, match=f"--set: {old} has a new name: {RENAMED[old]}"):
        assert renamed([f"{old}={value}"]) == [f"{RENAMED[old]}={value}"]
    with pytest.warns(UserWarning, match="new names"):
        assert RunDirectory(tmp_path).load_config() == from_table(with_added(tables), RunConfig, "settings")


def test_one_line_names_all_that_were_renamed(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[training]\nkeep = 3\nbag_share = 0.5\n[model]\nn_layers = 2\n", encoding="utf-8")
    with pytest.warns(UserWarning, match="keep_checkpoints") as caught:
        tables = read_settings(path)
    assert len(caught) == 1
    assert tables == {
        "training": {"keep_checkpoints": 3},
        "objectives": {"embedding_warmup_share": 0.5},
        "model": {"n_layers": 2},
    }


def test_both_names_at_once_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[training]\nkeep = 3\nkeep_checkpoints = 4\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"mine\.toml: training\.keep: expected it once, by its new name"):
        read_settings(path)
    with pytest.raises(InputError, match=r"--set: training\.keep: expected it once, by its new name"):
        renamed(["training.keep=3", "training.keep_checkpoints=4"])


def test_other_settings_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("title = 'x'\n[training]\nseed = 3\n", encoding="utf-8")
    assert read_settings(path) == {"title": "x", "training": {"seed": 3}}
    assert renamed(["training.seed=3", "odd"]) == ["training.seed=3", "odd"]


def test_what_a_run_does_not_name_means_what_it_meant_then() -> None:
    for name in ADDED:
        _value(name)
    before = with_added({"model": {"d_model": 64}, "data": {}})
    assert before == {"model": {"d_model": 64, "pool_after_norm": False}, "data": {}}
    now = {"model": {"pool_after_norm": True}}
    assert with_added(now) == {"model": {"pool_after_norm": True}}
    assert with_added({}) == {}
