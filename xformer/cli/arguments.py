"""The arguments of the command line: which command they name, and what it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from functools import reduce
from operator import or_
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import tyro

from xformer.errors import InputError
from xformer.storage.suggest import did_you_mean

OnByDefault = Annotated[bool, tyro.conf.arg(help_behavior_hint="(default: False)")]
"""What a command does unless `--no-NAME` is given. Help describes that option, and its default: False where
the field's is True."""

CONFIG = (tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes, tyro.conf.FlagCreatePairsOff)


def parse(given: Sequence[str], commands: Mapping[str, Any], description: str) -> Any:
    """The command that the arguments name, made from them.

    An option with several values takes them in one place or in several: `--set a=1 b=2` and
    `--set a=1 --set b=2` are the same.

    Args:
        given: the arguments.
        commands: dataclasses by the names of the commands. A class with the field `command` has subcommands.
        description: what `--help` says before it lists the commands.

    Raises:
        InputError: there is no such command or subcommand; the message names the likeliest one.
        SystemExit: help was asked for, or options are wrong.
    """
    if not given or given[0].startswith("-"):
        # The list of all commands has the first line of each docstring.
        brief = [
            Annotated[kind, tyro.conf.subcommand(name, description=(kind.__doc__ or "").partition("\n")[0])]
            for name, kind in commands.items()
        ]
        union: Any = reduce(or_, brief)
        return tyro.cli(union, prog="xformer", description=description, args=given, config=CONFIG)
    name, *rest = given
    _require_known(name, list(commands), "xformer")
    kind = commands[name]
    named = kind
    if rest and not rest[0].startswith("-") and (below := subcommands(kind)):
        _require_known(rest[0], list(below), f"xformer {name}")
        named = below[rest[0]]
    # One command alone, so that of a wrong option tyro suggests no option of another command.
    rest = _joined(rest, _options_with_several_values(named))
    return tyro.cli(kind, prog=f"xformer {name}", args=rest, config=CONFIG)


def subcommands(kind: type[Any]) -> dict[str, type[Any]]:
    """The classes of a command's subcommands by their names; none if it has none."""
    annotations = get_type_hints(kind, include_extras=True)
    found = map(get_args, get_args(annotations.get("command")))
    return {subcommand.name: of for of, subcommand in found}


def _options_with_several_values(kind: type[Any]) -> list[str]:
    """The options of a command that take any number of values, as they are written."""
    hints = get_type_hints(kind, include_extras=True)
    # Positional arguments are annotated, and have another origin.
    own = [f"--{name.replace('_', '-')}" for name, hint in hints.items() if get_origin(hint) is tuple]
    parts = [hint for hint in hints.values() if isinstance(hint, type) and is_dataclass(hint)]
    return [*own, *(option for part in parts for option in _options_with_several_values(part))]


def _joined(given: Sequence[str], several: Sequence[str]) -> list[str]:
    """The arguments, with the values of an option that stands in several places in one, at the end.

    Args:
        given: the arguments of a command.
        several: options that take any number of values. argparse keeps the last place's values alone.
    """
    options = list(given[: given.index("--")] if "--" in given else given)
    literal = list(given[len(options) :])
    for option in several:
        places = [index for index, word in enumerate(options) if word.partition("=")[0] == option]
        if len(places) < 2:
            continue
        values: list[str] = []
        for place in reversed(places):
            end = place + 1
            if "=" not in options[place]:
                while end < len(options) and not options[end].startswith("-"):
                    end += 1
            here = [options[place].partition("=")[2]] if "=" in options[place] else options[place + 1 : end]
            values = here + values
            del options[place:end]
        options += [option, *values]
    return options + literal


def _require_known(name: str, known: Sequence[str], of: str) -> None:
    if name not in known:
        meant = did_you_mean(name, known)
        raise InputError(
            f"{name}: {of} has no such command{meant or '.'} It has {', '.join(known)}; see `{of} --help`"
        )
