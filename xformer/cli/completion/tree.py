"""The commands as a tree that a shell can complete, read from their dataclasses alone, which is quick."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import tyro

from xformer.cli.arguments import subcommands

What = Literal["nothing", "anything", "choice", "file", "folder", "run", "corpus", "setting"]
"""What a value is: any word, one of some, a path, a folder that is a run or a corpus, or a setting."""

MARKS = {"run": "config.toml", "corpus": "manifest.json"}
"""The file that a folder of a kind has."""


@dataclass(frozen=True)
class Value:
    """What follows an option, or stands in a place.

    Attributes:
        what: its kind.
        choices: the words that it may be; of settings, the name of their list.
        several: whether more than one may follow.
    """

    what: What = "nothing"
    choices: tuple[str, ...] = ()
    several: bool = False


@dataclass(frozen=True)
class Option:
    """An option: its spellings, the long one first; its meaning; what follows it."""

    names: tuple[str, ...]
    help: str
    value: Value


@dataclass(frozen=True)
class Command:
    """A command, or a group of commands.

    Attributes:
        path: its words, `("data", "import")`; none of `xformer` itself.
        help: its first line.
        commands: those of a group.
        options: in their order.
        places: names and values of what stands without an option, in order.
    """

    path: tuple[str, ...]
    help: str
    commands: tuple[Command, ...] = ()
    options: tuple[Option, ...] = ()
    places: tuple[tuple[str, Value], ...] = ()

    @property
    def name(self) -> str:
        """Its last word."""
        return self.path[-1] if self.path else ""

    def walk(self) -> Iterator[Command]:
        """This command and all below it."""
        yield self
        for command in self.commands:
            yield from command.walk()


_HELP = Option(("--help", "-h"), "show help", Value())


def tree(commands: Mapping[str, Any]) -> Command:
    """The tree of dataclasses by their names, as `xformer.cli.arguments.parse` takes them."""
    below = tuple(_command(kind, (name,)) for name, kind in commands.items())
    return Command((), "", below, (_HELP,))


def _command(kind: type[Any], path: tuple[str, ...]) -> Command:
    summary = " ".join((kind.__doc__ or "").partition("\n\n")[0].split())
    if below := subcommands(kind):
        return Command(
            path, summary, tuple(_command(of, (*path, name)) for name, of in below.items()), (_HELP,)
        )
    options, places = [_HELP], []
    for field, hint, help in _fields(kind):
        value, marks = _value(field, hint, path), get_args(hint)[1:] if get_origin(hint) is Annotated else ()
        if _is_marked(marks, tyro.conf.Suppress[int]):
            continue
        if _is_marked(marks, tyro.conf.UseAppendAction[int]):
            value = replace(value, several=False)  # given again for each
        if _is_marked(marks, tyro.conf.Positional[int]):
            places.append((field.name, value))
            continue
        given = [name for mark in marks if (name := getattr(mark, "name", None))]
        name = (given or [field.name])[0].replace("_", "-")
        off = value.what == "nothing" and field.default is True
        aliases = tuple(alias for mark in marks for alias in getattr(mark, "aliases", None) or ())
        options.append(Option((f"--no-{name}" if off else f"--{name}", *aliases), help, value))
    return Command(path, summary, (), tuple(options), tuple(places))


def _is_marked(marks: tuple[Any, ...], example: Any) -> bool:
    """Whether an annotation has the mark that an example has."""
    return get_args(example)[1] in marks


def _fields(kind: type[Any]) -> Iterator[tuple[Field[Any], Any, str]]:
    """Each field with its annotation and its meaning; of a field that holds options, those."""
    hints, meanings = get_type_hints(kind, include_extras=True), _meanings(kind)
    for field in fields(kind):
        hint = hints[field.name]
        if is_dataclass(hint) and isinstance(hint, type):
            yield from _fields(hint)
        else:
            yield field, hint, meanings.get(field.name, "")


def _value(field: Field[Any], hint: Any, path: tuple[str, ...]) -> Value:
    hint = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    options = [hint]
    if get_origin(hint) in (Union, UnionType):
        options = [option for option in get_args(hint) if option is not NoneType]
    several = get_origin(options[0]) in (tuple, list)
    of = get_args(options[0])[0] if several else options[0]
    if of is bool:
        return Value()
    literals = [option for option in (of, *options[1:]) if get_origin(option) is Literal]
    choices = tuple(str(choice) for literal in literals for choice in get_args(literal))
    if choices:
        return Value("choice", choices, several)
    if field.name == "set" or (path == ("settings",) and field.name == "names"):
        lists = "finetune" if path[0] == "finetune" else "names" if path == ("settings",) else "pretrain"
        return Value("setting", (lists,), several)
    return Value(_path_kind(field) if of is Path else "anything", (), several)


def _path_kind(field: Field[Any]) -> What:
    """What lies at a path, as the field's name tells."""
    if field.name in ("run", "base_run", "model") and field.default in (None, MISSING):
        return "run"
    if field.name in ("corpus", "on", "parallel"):
        return "corpus"
    return "folder" if field.name in ("folder", "index") else "file"


def _meanings(kind: type[Any]) -> dict[str, str]:
    """The first sentence of the text below each field of a class, and of the classes that it is made of."""
    found: dict[str, str] = {}
    for of in reversed(kind.__mro__):
        for node in _classes(of.__module__).get(of.__name__, ()):
            found |= node
    return found


@cache
def _classes(module: str) -> dict[str, list[dict[str, str]]]:
    """The texts below fields, by class, in the source of a module."""
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None or not module.startswith("xformer."):
        return {}
    found: dict[str, list[dict[str, str]]] = {}
    for node in ast.parse(Path(file).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            for field, after in zip(node.body, node.body[1:], strict=False):
                text = after.value.value if _is_text(after) else None  # type: ignore[attr-defined]
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and text:
                    found.setdefault(node.name, []).append({field.target.id: _sentence(text)})
    return found


def _is_text(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _sentence(text: str) -> str:
    """The first sentence, or what of it fits a line."""
    first = re.split(r"(?<=[.;])\s", " ".join(text.split()), maxsplit=1)[0].rstrip(".;")
    return first if len(first) <= 90 else first[:89].rsplit(" ", 1)[0] + " …"
