"""Comparison of a run's stored settings with those of the present call."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, Protocol, TypeVar

from xformer.errors import InputError
from xformer.runs.changes import changes_until
from xformer.runs.checkpoint_folders import checkpoint_folders
from xformer.runs.config import TrainingConfig
from xformer.runs.directory import RunDirectory
from xformer.storage.toml import save_toml, spelled


class RunSettings(Protocol):
    """Settings of a run of any task: a frozen dataclass of tables, one of which is `training`."""

    @property
    def training(self) -> TrainingConfig:
        """Length of training, checkpoints and log."""


Settings = TypeVar("Settings", bound=RunSettings)


def with_training(settings: Settings, **changes: Any) -> Settings:
    """The settings with other values for these fields of the table `training`."""
    return replace(settings, training=replace(settings.training, **changes))  # type: ignore[type-var]


def settle_settings(
    run: RunDirectory,
    settings: RunSettings,
    made: Mapping[str, bool],
    idle: Callable[[Any], Collection[str]] = lambda settings: (),
) -> None:
    """Write the settings of a new run; compare them with those of a run that exists.

    Arguments and errors are those of `require_same_settings`.
    """
    require_same_settings(run, settings, made, idle)
    save_toml(run.config, settings)


def require_same_settings(
    run: RunDirectory,
    settings: RunSettings,
    made: Mapping[str, bool],
    idle: Callable[[Any], Collection[str]] = lambda settings: (),
) -> None:
    """Check that settings are those which a run began with, if it has begun.

    Args:
        run: the run.
        settings: of the present call.
        made: whether the run has its `data`, and its `tokenizer`: settings that these were made with must not
            change from then on (`xformer.runs.changes`).
        idle: names those settings that do nothing in training, beside the others of a run. They may change.

    Raises:
        InputError: a setting has changed that must not; it is named.
    """
    if run.config.is_file():
        reached = {"always": False, "checkpoint": bool(checkpoint_folders(run.checkpoints)), **made}
        old = run.load_config(type(settings))
        free = set(idle(old)) & set(idle(settings))
        changed = [
            f"{name} was {spelled(before)}, not {spelled(now)}"
            for name, before, now in _differences(old, settings)
            if name not in free and reached.get(changes_until(name), reached["checkpoint"])
        ]
        if changed:
            hint = ""
            if any(one.startswith("data.pivot was") for one in changed):
                hint = ". `xformer evaluate --pivot` compares with any other language"
            raise InputError(
                f"{run.config}: this run began with other settings: {'; '.join(changed)}. Give the same, or"
                f" another run directory{hint}"
            )


def _differences(old: Any, new: Any, prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Each setting that differs: its full name and both values."""
    for item in fields(old):
        before, now = getattr(old, item.name), getattr(new, item.name)
        if is_dataclass(before):
            yield from _differences(before, now, f"{prefix}{item.name}.")
        elif before != now:
            yield f"{prefix}{item.name}", before, now
