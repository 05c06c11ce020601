"""Settings of earlier versions: other names still work, and what was missing gets its meaning of then."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import Any

from xformer.errors import InputError
from xformer.storage.toml import read_toml

RENAMED = {
    "model.sentence_share": "model.pooled_dim_fraction",
    "objectives.masked_lm_candidates": "objectives.sampled_softmax_size",
    "objectives.bag_tokens": "objectives.embedding_warmup_tokens",
    "objectives.scale": "objectives.logit_scale",
    "optimizer.joined_embedding_lr": "optimizer.full_embedding_lr",
    "optimizer.joined_bigram_lr": "optimizer.full_bigram_lr",
    "optimizer.clip": "optimizer.max_grad_norm",
    "training.bag_share": "objectives.embedding_warmup_share",
    "training.keep": "training.keep_checkpoints",
}
"""New names by the names of version 0.1."""

ADDED = {"model.pool_after_norm": False}
"""Settings that came later, with what runs did before there was one."""


def read_settings(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The tables of a TOML file of settings, by today's names; one warning names those that were renamed.

    Raises:
        InputError: the file cannot be read or is not TOML, or a setting is there by both of its names.
    """
    tables = read_toml(path)
    found = []
    for old, new in RENAMED.items():
        (table, name), (new_table, new_name) = old.split("."), new.split(".")
        if not isinstance(tables.get(table), dict) or name not in tables[table]:
            continue
        place = tables.setdefault(new_table, {})
        if not isinstance(place, dict) or new_name in place:
            raise InputError(f"{path}: {old}: expected it once, by its new name {new}")
        place[new_name] = tables[table].pop(name)
        found.append(f"{old} is {new}")
    if found:
        _say(f"{path}: settings have new names: {', '.join(found)}")
    return tables


def with_added(tables: dict[str, Any]) -> dict[str, Any]:
    """The tables of a run's own settings, complete when they were written, with the settings of `ADDED`."""
    for name, before in ADDED.items():
        table, key = name.split(".")
        if isinstance(tables.get(table), dict):
            tables[table].setdefault(key, before)
    return tables


def renamed(settings: Sequence[str]) -> list[str]:
    """Settings as `TABLE.KEY=VALUE`, by today's names; a warning names each that was renamed.

    Raises:
        InputError: a setting is there by both of its names.
    """
    names = [setting.partition("=")[0] for setting in settings]
    found = []
    for name, setting in zip(names, settings, strict=True):
        new = RENAMED.get(name, name)
        if new != name:
            if new in names:
                raise InputError(f"--set: {name}: expected it once, by its new name {new}")
            _say(f"--set: {name} has a new name: {new}")
        found.append(new + setting.removeprefix(name))
    return found


def _say(text: str) -> None:
    """Warn from this one line, so that Python shows a text once; of many processes the first one warns."""
    if os.environ.get("RANK", "0") == "0":
        warnings.warn(text, stacklevel=1)
