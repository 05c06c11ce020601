"""Descriptions of settings, read from the dataclasses that hold them: name, type, default, unit, meaning.

Unit and meaning stand in one place, the docstring of the dataclass:

Attributes:
        max_length (tokens): longest sequence; a longer text is cut into several sequences.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

_NAMES = {"str": "text", "int": "whole number", "float": "number", "bool": "true or false"}


@dataclass(frozen=True)
class Described:
    """A setting.

    Attributes:
        name: its full name, `table.key`.
        kind: its type in words.
        choices: the values it may have; empty where any value of the type may do.
        optional: whether it may be none.
        default: its default value.
        unit: of its value; empty where it has none.
        meaning: sentences.
    """

    name: str
    kind: str
    choices: tuple[str, ...]
    optional: bool
    default: Any
    unit: str
    meaning: str


def describe(kind: type[Any], prefix: str = "") -> Iterator[Described]:
    """Yield the settings in a dataclass, those of nested dataclasses under the names of their tables.

    Args:
        kind: a dataclass whose docstring has a section `Attributes`.
        prefix: of the names.

    Raises:
        ValueError: a setting has no meaning in the docstring, or no default.
    """
    types, documented = get_type_hints(kind), documentation(kind)
    for field in fields(kind):
        name, of = f"{prefix}{field.name}", types[field.name]
        if is_dataclass(of) and isinstance(of, type):
            yield from describe(of, f"{name}.")
            continue
        if field.name not in documented:
            raise ValueError(f"{kind.__name__}: expected {field.name} in the docstring's section Attributes")
        unit, meaning = documented[field.name]
        optional = NoneType in get_args(of)
        union = get_origin(of) in (Union, UnionType)
        inner = [option for option in get_args(of) if option is not NoneType] if union else [of]
        of = inner[-1]
        also = [f"`{value}` or " for option in inner[:-1] for value in get_args(option)]
        several = get_origin(of) in (tuple, list)
        of = get_args(of)[0] if several else of
        choices = tuple(map(str, get_args(of))) if get_origin(of) is Literal else ()
        words = "choice" if choices else "table" if is_dataclass(of) else _NAMES[of.__name__]
        words = "".join(also) + (f"list of {words}s" if several else words)
        yield Described(name, words, choices, optional, _default(kind, field), unit, meaning)


def value_of(settings: Any, name: str) -> Any:
    """The value of a setting by its full name."""
    for part in name.split("."):
        settings = getattr(settings, part)
    return settings


def documentation(kind: type[Any]) -> dict[str, tuple[str, str]]:
    """Unit and meaning of each attribute in the docstring of a class; no unit is an empty text."""
    from docstring_parser import parse
    from docstring_parser.common import DocstringStyle

    found = parse(kind.__doc__ or "", style=DocstringStyle.GOOGLE)
    return {
        one.arg_name: (one.type_name or "", " ".join((one.description or "").split())) for one in found.params
    }


def _default(kind: type[Any], field: Field[Any]) -> Any:
    if field.default is MISSING and field.default_factory is MISSING:
        raise ValueError(f"{kind.__name__}: expected a default of {field.name}")
    return field.default if field.default_factory is MISSING else field.default_factory()
