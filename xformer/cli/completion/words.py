"""The settings that `--set` takes, as words, with those that may follow their `=` where these are few."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints


@dataclass(frozen=True)
class SettingWords:
    """A setting as a shell completes it.

    Attributes:
        name: its full name.
        choices: the words that may stand after `=`; empty where any may.
        meaning: the first sentence.
    """

    name: str
    choices: tuple[str, ...]
    meaning: str


def settings_of(which: str) -> list[SettingWords]:
    """The settings of `pretrain`, or of `finetune`; `names` are those of `pretrain` and its tables.

    Raises:
        ValueError: there are no such settings.
    """
    from xformer.finetuning.config import ClassifierConfig, ConsistencyConfig, FinetuningOptimizer
    from xformer.runs.config import RunConfig, TrainingConfig

    finetuning = {
        "classifier.": ClassifierConfig,
        "optimizer.": FinetuningOptimizer,
        "training.": TrainingConfig,
        "consistency.": ConsistencyConfig,
    }
    tables: dict[str, dict[str, type[Any]]] = {"pretrain": {"": RunConfig}, "finetune": finetuning}
    tables["names"] = tables["pretrain"]
    if which not in tables:
        raise ValueError(f"settings: expected one of {', '.join(tables)}, got {which!r}")
    words = [one for prefix, kind in tables[which].items() for one in _words(kind, prefix)]
    if which == "names":
        groups = dict.fromkeys(one.name.rpartition(".")[0] for one in words)
        words = [*words, *(SettingWords(group, (), "all settings of the table") for group in groups)]
    return words


def _words(kind: type[Any], prefix: str) -> Iterator[SettingWords]:
    from xformer.storage.describe import documentation

    hints, documented = get_type_hints(kind), documentation(kind)
    for field in fields(kind):
        hint = hints[field.name]
        if is_dataclass(hint) and isinstance(hint, type):
            yield from _words(hint, f"{prefix}{field.name}.")
            continue
        options = get_args(hint) if get_origin(hint) not in (Literal, tuple, list) else (hint,)
        choices: list[str] = []
        for option in options or (hint,):
            choices += map(str, get_args(option)) if get_origin(option) is Literal else ()
            choices += ("true", "false") if option is bool else ()
        choices += ("none",) if choices and NoneType in options else ()
        meaning = documented.get(field.name, ("", ""))[1].split(". ")[0].rstrip(".")
        yield SettingWords(f"{prefix}{field.name}", tuple(choices), meaning)
