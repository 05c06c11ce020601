"""The tree has what the parser has. Covers `command`, which prints a script of it."""

from __future__ import annotations

import io
import warnings
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
import tyro

from xformer.cli import commands
from xformer.cli.arguments import CONFIG, subcommands
from xformer.cli.completion.command import Completion
from xformer.cli.completion.tree import Command, Option, Value, tree


@dataclass(frozen=True)
class Example:
    """Do something.

    At length.
    """

    run: tyro.conf.Positional[Path]
    """A run."""
    kind: Literal["a", "b"] = "a"
    """One of two; or not. More."""
    many: tuple[int, ...] = ()
    """Numbers."""
    fast: bool = True
    """Not slowly."""
    set: tuple[str, ...] = ()
    """Settings."""


def test_a_command_is_read_from_its_dataclass(monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = tree({"example": Example}).commands
    assert (found.name, found.help) == ("example", "Do something.")
    assert found.places == (("run", Value("run")),)
    assert [(one.names[0], one.value) for one in found.options] == [
        ("--help", Value()),
        ("--kind", Value("choice", ("a", "b"))),
        ("--many", Value("anything", (), True)),
        ("--no-fast", Value()),
        ("--set", Value("setting", ("pretrain",), True)),
    ]


def test_meanings_are_first_sentences(root: Command) -> None:
    found = {one.path: one for one in root.walk()}
    options = {name: one for one in found["pretrain",].options for name in one.names}
    assert options["--config"] == Option(("--config",), "TOML file of settings", Value("file"))
    assert all(one.help for command in root.walk() if command.path for one in command.options)


def _parsed(kind: type[Any]) -> tuple[set[str], dict[str, Any]]:
    """The options of tyro's own parser, and the number of words and the choices of each."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of tyro, about this function
        parser = tyro.extras.get_parser(kind, config=CONFIG)
    options = [action for action in parser._actions if action.option_strings]
    names = {name for action in options for name in action.option_strings}
    return names, {name: action for action in options for name in action.option_strings}


@pytest.mark.slow
def test_the_parser_has_the_same_options(root: Command) -> None:
    kinds: dict[tuple[str, ...], type[Any]] = {}
    for name, kind in commands().items():
        below = subcommands(kind)
        kinds |= {(name, inner): of for inner, of in below.items()} if below else {(name,): kind}
    leaves = {one.path: one for one in root.walk() if not one.commands}
    assert leaves.keys() == kinds.keys()
    # Each group, and all that stand alone; commands of `bench` are many and alike.
    asked = [path for path in kinds if path[0] != "bench" or path[1] in ("attention", "encode", "compile")]
    for path in asked:
        names, actions = _parsed(kinds[path])
        values = {name: option.value for option in leaves[path].options for name in option.names}
        assert set(values) == names, path
        for name, value in values.items():
            action = actions[name]
            assert (value.what == "nothing") == (action.nargs == 0), (path, name)
            assert value.several == (action.nargs in ("*", "+", 2)), (path, name)
            assert not action.choices or set(value.choices) == set(map(str, action.choices)) - {"None"}, (
                path,
                name,
            )


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_is_printed(shell: Any) -> None:
    with redirect_stdout(io.StringIO()) as out:
        assert Completion(shell).print_script(commands()) == 0
    assert f"made by `xformer completion {shell}`" in out.getvalue()
