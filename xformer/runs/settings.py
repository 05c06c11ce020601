"""Comparison of a run's stored settings with those of the present call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, Protocol, TypeVar

from xformer.errors import InputError
from xformer.runs.checkpoint_folders import checkpoint_folders
from xformer.runs.config import MAY_CHANGE, TrainingConfig
from xformer.runs.directory import RunDirectory
from xformer.storage.toml import save_toml


class RunSettings(Protocol):
    """Settings of a run of any task: a frozen dataclass of tables, one of which is `training`."""

    @property
    def training(self) -> TrainingConfig:
        """Length of training, checkpoints and log."""


Settings = TypeVar("Settings", bound=RunSettings)


def with_training(settings: Settings, **changes: Any) -> Settings:
    """The settings with other values for these fields of the table `training`."""
    return replace(settings, training=replace(settings.training, **changes))  # type: ignore[type-var]


def settle_settings(run: RunDirectory, settings: RunSettings, made: Mapping[str, bool]) -> None:
    """Write the settings of a new run; compare them with those of a run that exists.

    Args:
        run: the run.
        settings: of the present call.
        made: by table, whether data was made with its settings: from then on they must not change. Settings
            of tables that are not listed must not change once there is a checkpoint.

    Raises:
        InputError: a setting has changed that must not; it is named.
    """
    if run.config.is_file():
        trained = bool(checkpoint_folders(run.checkpoints))
        old = run.load_config(type(settings))
        kept = {name: getattr(old.training, name) for name in MAY_CHANGE}
        now = with_training(settings, **kept)
        changed = [
            difference
            for difference in _differences(old, now)
            if made.get(difference.partition(".")[0], trained)
        ]
        if changed:
            raise InputError(
                f"{run.config}: this run began with other settings: {'; '.join(changed)}. Give the same, or"
                " another run directory"
            )
    save_toml(run.config, settings)


def _differences(old: Any, new: Any, prefix: str = "") -> list[str]:
    found = []
    for item in fields(old):
        before, now = getattr(old, item.name), getattr(new, item.name)
        if is_dataclass(before):
            found += _differences(before, now, f"{prefix}{item.name}.")
        elif before != now:
            found.append(f"{prefix}{item.name} was {before!r}, not {now!r}")
    return found
