"""The reference of all settings: what each is, when it may change, what it needs, and its value in a run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from xformer.errors import InputError
from xformer.runs.changes import IN_WORDS, changes_until
from xformer.runs.config import RunConfig
from xformer.runs.effects import NEEDS, TRAINING_NEEDS
from xformer.runs.renamed_settings import RENAMED
from xformer.storage.describe import Described, describe, documentation
from xformer.storage.suggest import did_you_mean_setting
from xformer.storage.toml import spelled

_HEAD = """# Settings

<!-- Made from the dataclasses by `xformer settings --markdown > docs/settings.md`; do not edit. -->

All settings of `xformer pretrain`, as `--set TABLE.KEY=VALUE` and the files of `--config` give them. The same
is shown by `xformer settings`, one setting by `xformer settings NAME`, those with a word in their meaning by
`xformer settings --search WORD`, and the values of a run beside the defaults by `xformer settings --run RUN`.

`xformer settings --schema > xformer.schema.json` writes them as JSON Schema. An editor that knows TOML (Even
Better TOML in VS Code, or whatever calls taplo) completes and checks a file of settings whose first line is
`#:schema ./xformer.schema.json`. What settings ask of one another no schema says:
`xformer pretrain RUN --config FILE --dry-run` does.

A setting that would do nothing beside the others is refused, unless it has its default. *May change* says
until when the settings of a run that exists may become others."""


@dataclass(frozen=True)
class Setting:
    """A setting of `xformer pretrain`.

    Attributes:
        about: name, type, default, unit and meaning.
        changes: when it may change in a run that exists, in words.
        acts: what it needs in order to act, in words; empty where it always acts.
        was: its names in earlier versions.
    """

    about: Described
    changes: str
    acts: str
    was: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its full name."""
        return self.about.name

    @property
    def group(self) -> str:
        """The name of its table."""
        return self.name.rpartition(".")[0]

    @property
    def values(self) -> str:
        """What it may be, in words: its choices, or its type and unit."""
        found = self.about.kind
        if self.about.choices:
            found = " | ".join(self.about.choices)
            found = f"list of {found}" if self.about.kind.startswith("list") else found
        return f"{found} | none" if self.about.optional else found

    @property
    def summary(self) -> str:
        """The first sentence of its meaning."""
        return re.split(r"\.\s+(?=[A-Z])", self.about.meaning)[0].rstrip(".")

    def to_json(self) -> dict[str, Any]:
        """All of it, as JSON has it."""
        return {
            "name": self.name,
            "type": self.about.kind,
            "choices": list(self.about.choices),
            "optional": self.about.optional,
            "default": self.about.default,
            "unit": self.about.unit,
            "meaning": self.about.meaning,
            "may_change": self.changes,
            "acts_only": self.acts,
            "earlier_names": list(self.was),
        }


def all_settings() -> list[Setting]:
    """All settings, in the order of their tables."""
    return [
        Setting(about, _changes(about.name), _acts(about.name), _earlier(about.name))
        for about in describe(RunConfig)
    ]


def find(names: Sequence[str], settings: Sequence[Setting]) -> list[Setting]:
    """The settings with these names, each once, in their order.

    Args:
        names: full names, names without their tables, names of tables, or names of earlier versions.
        settings: where to look.

    Raises:
        InputError: there is no such setting or table; the message names those that are like it.
    """
    found = []
    for given in names:
        name = RENAMED.get(given, given).rstrip(".")
        here = [one for one in settings if one.name == name] or [
            one
            for one in settings
            if f"{one.group}.".startswith(f"{name}.")
            or one.name.endswith(f".{name}")
            or f".{name}." in one.name
        ]
        if not here:
            meanings = {one.name: one.about.meaning for one in settings}
            meant = did_you_mean_setting(given, dict.fromkeys((one.group for one in settings), "") | meanings)
            raise InputError(
                f"{given}: there is no such setting or table{meant or '.'} `xformer settings` lists all, and"
                " --search WORD finds a word in their meanings"
            )
        found += here
    return [one for one in settings if one in found]


def search(words: str, settings: Sequence[Setting]) -> list[Setting]:
    """The settings whose names, choices or meanings have all these words or parts of words.

    Raises:
        InputError: there are none.
    """
    wanted = words.lower().split()
    found = []
    for one in settings:
        text = f"{one.name} {' '.join(one.was)} {one.values} {one.about.unit} {one.about.meaning}".lower()
        if all(word in text for word in wanted):
            found.append(one)
    if not found:
        raise InputError(f"--search: no setting has {words!r} in its name or its meaning")
    return found


def markdown() -> str:
    """The page `docs/settings.md`."""
    about = {name: meaning for name, (_, meaning) in documentation(RunConfig).items()}
    lines = [_HEAD]
    group = None
    for one in all_settings():
        if one.group != group:
            group = one.group
            inner = dict(documentation(type(RunConfig().objectives))) if "." in group else {}
            meaning = inner[group.rpartition(".")[2]][1] if inner else about[group]
            lines += ["", f"## {group}", "", meaning[0].upper() + meaning[1:], ""]
            lines += ["| setting | values | default | meaning | may change |", "|---|---|---|---|---|"]
        cells = [
            f"`{one.name}`",
            _values_cell(one),
            f"`{spelled(one.about.default)}`",
            _meaning_cell(one),
            one.changes,
        ]
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _values_cell(one: Setting) -> str:
    return f"{one.values}; {one.about.unit}" if one.about.unit else one.values


def _meaning_cell(one: Setting) -> str:
    parts = [one.about.meaning[0].upper() + one.about.meaning[1:]]
    if one.acts:
        parts.append(f"Acts {one.acts}.")
    if one.was:
        parts.append(f"Earlier: {', '.join(f'`{name}`' for name in one.was)}.")
    return " ".join(parts)


def _changes(name: str) -> str:
    """Until when a setting may change."""
    words = IN_WORDS[changes_until(name)]
    return f"{words}; at any time where training does not use it" if name in TRAINING_NEEDS else words


def _acts(name: str) -> str:
    """What a setting needs, in words that follow "acts"."""
    if need := NEEDS.get(name):
        elsewhere = f". {need.elsewhere}" if need.elsewhere else ""
        return f"only {need.words}{elsewhere}"
    if need := TRAINING_NEEDS.get(name):
        return f"on training only {need.words}. {need.elsewhere}"
    return ""


def _earlier(name: str) -> tuple[str, ...]:
    return tuple(old for old, new in RENAMED.items() if new == name)
