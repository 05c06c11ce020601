"""Conversion of nested dicts and lists, as JSON and TOML have them, to typed dataclasses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def structure(value: Any, kind: type[T], *, none: str | None = None) -> T:
    """Build the dataclass `kind` from a table. Types are strict; only an integer is also a float.

    Args:
        value: nested dicts, lists, strings, numbers, booleans and None.
        kind: a dataclass. Its fields are dataclasses, `Literal`, `X | None`, `tuple`, `list`, `dict` with
            text keys, `Any`, or the types above. Fields that the table leaves out have their defaults.
        none: a string that means None.

    Raises:
        ValueError: keys are unknown or missing, or values do not fit; the message names all of them.
    """
    builder = _Builder(none)
    found: T = builder.build(value, kind, "")
    if builder.problems:
        raise ValueError("; ".join(builder.problems))
    return found


class _Builder:
    """Collects what does not fit as lines in `problems`."""

    def __init__(self, none: str | None) -> None:
        self.problems: list[str] = []
        self._none = none

    def build(self, value: Any, kind: Any, key: str) -> Any:
        options, origin = get_args(kind), get_origin(kind)
        if kind is Any:
            return value
        if is_dataclass(kind):
            return self._build_dataclass(value, kind, key)
        if origin in (Union, UnionType):
            if value is None or (self._none is not None and value == self._none):
                return None
            (inner,) = (option for option in options if option is not NoneType)
            return self.build(value, inner, key)
        if origin is dict and isinstance(value, Mapping):
            return {name: self.build(one, options[1], f"{key}.{name}") for name, one in value.items()}
        if origin in (tuple, list) and isinstance(value, list | tuple):
            fixed = origin is tuple and options[1:] != (...,)
            kinds = options if fixed else options[:1] * len(value)
            if len(kinds) == len(value):
                return origin(self.build(one, of, key) for one, of in zip(value, kinds, strict=True))
        if origin is Literal:
            if value in options:
                return value
            expected = f"one of {', '.join(map(str, options))}"
        elif origin is not None:
            expected = "a table" if origin is dict else "a list"
        else:
            accepted = (int, float) if kind is float else kind
            if isinstance(value, accepted) and isinstance(value, bool) == (kind is bool):
                return kind(value)
            expected = kind.__name__
        self.problems.append(f"{key}: expected {expected}, got {value!r}")
        return None

    def _build_dataclass(self, value: Any, kind: Any, key: str) -> Any:
        if not isinstance(value, Mapping):
            self.problems.append(f"{key}: expected a table, got {value!r}")
            return None
        table, before, types = f"{key}." if key else "", len(self.problems), get_type_hints(kind)
        arguments = {}
        for field in fields(kind):
            name = f"{table}{field.name}"
            if field.name in value:
                arguments[field.name] = self.build(value[field.name], types[field.name], name)
            elif field.default is MISSING and field.default_factory is MISSING:
                self.problems.append(f"{name}: missing")
        unknown = value.keys() - {field.name for field in fields(kind)}
        self.problems += [f"{table}{name}: unknown key" for name in sorted(unknown)]
        if len(self.problems) > before:
            return None
        try:
            return kind(**arguments)
        except (TypeError, ValueError) as error:
            # The message of a dataclass about its own fields may begin with their table.
            self.problems.append(f"{table}{str(error).removeprefix(table)}")
            return None
