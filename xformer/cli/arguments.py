"""The arguments of the command line: which command they name, and what it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Annotated, Any, get_args, get_type_hints

import tyro

from xformer.errors import InputError
from xformer.storage.suggest import did_you_mean

_CONFIG = (tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes, tyro.conf.FlagCreatePairsOff)


def parse(given: Sequence[str], commands: Mapping[str, Any], description: str) -> Any:
    """The command that the arguments name, made from them.

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
        return tyro.cli(union, prog="xformer", description=description, args=given, config=_CONFIG)
    name, *rest = given
    _require_known(name, list(commands), "xformer")
    kind = commands[name]
    if rest and not rest[0].startswith("-") and (below := _subcommands(kind)):
        _require_known(rest[0], below, f"xformer {name}")
    # One command alone, so that of a wrong option tyro suggests no option of another command.
    return tyro.cli(kind, prog=f"xformer {name}", args=rest, config=_CONFIG)


def _subcommands(kind: type[Any]) -> list[str]:
    """The names of a command's subcommands; none if it has none."""
    annotations = get_type_hints(kind, include_extras=True)
    return [one.__metadata__[0].name for one in get_args(annotations.get("command"))]


def _require_known(name: str, known: Sequence[str], of: str) -> None:
    if name not in known:
        meant = did_you_mean(name, known)
        raise InputError(
            f"{name}: {of} has no such command{meant or '.'} It has {', '.join(known)}; see `{of} --help`"
        )
