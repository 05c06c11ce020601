"""Conversion of nested dicts and lists, as JSON and TOML have them, to typed dataclasses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from xformer.storage.describe import documentation
from xformer.storage.suggest import did_you_mean, did_you_mean_setting

T = TypeVar("T")


class StructureError(ValueError):
    """What does not fit.

    Attributes:
        problems: a line each, which begins with the full name of its key.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def structure(value: Any, kind: type[T], *, none: str | None = None) -> T:
    """Build the dataclass `kind` from a table. Types are strict; only an integer is also a float.

    Args:
        value: nested dicts, lists, strings, numbers, booleans and None.
        kind: a dataclass. Its fields are dataclasses, `Literal`, `X | Y`, `X | None`, `tuple`, `list`, `dict`
            with text keys, `Any`, or the types above. Fields that the table leaves out have their defaults.
        none: a string that means None.

    Raises:
        StructureError: keys are unknown or missing, or values do not fit; the message names all of them, and
            what may have been meant.
    """
    builder = _Builder(none)
    found: T = builder.build(value, kind, "")
    if builder.unknown:
        known = known_keys(kind)
        for key in builder.unknown:
            place, listed = re.subn(r"\[\d+\]", "[]", key)
            here = {name: meaning for name, meaning in known.items() if ("[]" in name) == bool(listed)}
            builder.problems.append(f"{key}: unknown key{did_you_mean_setting(place, here)}")
    if builder.problems:
        raise StructureError(builder.problems)
    return found


def known_keys(kind: type[Any], prefix: str = "") -> dict[str, str]:
    """Full names of all keys and tables of a dataclass, with their meanings where the docstring has them."""
    types, documented = get_type_hints(kind), documentation(kind)
    known: dict[str, str] = {}
    for field in fields(kind):
        name = f"{prefix}{field.name}"
        known[name] = documented.get(field.name, ("", ""))[1]
        if is_dataclass(inner := types[field.name]):
            known |= known_keys(cast(type[Any], inner), f"{name}.")
        elif get_origin(inner) in (tuple, list) and is_dataclass(inner := get_args(inner)[0]):
            known |= known_keys(cast(type[Any], inner), f"{name}[].")
    return known


class _Builder:
    """Collects what does not fit as lines in `problems`, and keys that are not known in `unknown`."""

    def __init__(self, none: str | None) -> None:
        self.problems: list[str] = []
        self.unknown: list[str] = []
        self._none = none

    def build(self, value: Any, kind: Any, key: str) -> Any:
        options, origin = get_args(kind), get_origin(kind)
        if kind is Any:
            return value
        if is_dataclass(kind):
            return self._build_dataclass(value, kind, key)
        if origin in (Union, UnionType):
            nothing = value is None or (self._none is not None and value == self._none)
            if nothing and NoneType in options:
                return None
            return self._build_any(value, [option for option in options if option is not NoneType], key)
        if origin is dict and isinstance(value, Mapping):
            return {name: self.build(one, options[1], f"{key}.{name}") for name, one in value.items()}
        if origin in (tuple, list) and isinstance(value, list | tuple):
            fixed = origin is tuple and options[1:] != (...,)
            kinds = options if fixed else options[:1] * len(value)
            if len(kinds) == len(value):
                # Of a list of tables, errors tell which.
                keys = [f"{key}[{place}]" if is_dataclass(of) else key for place, of in enumerate(kinds)]
                return origin(self.build(*one) for one in zip(value, kinds, keys, strict=True))
        if origin is Literal:
            if value in options:
                return value
            names = list(map(str, options))
            meant = did_you_mean(value, names) if isinstance(value, str) else ""
            self.problems.append(f"{key}: expected one of {', '.join(names)}, got {value!r}{meant}")
            return None
        if origin is not None:
            expected = "a table" if origin is dict else "a list"
        else:
            accepted = (int, float) if kind is float else kind
            if isinstance(value, accepted) and isinstance(value, bool) == (kind is bool):
                return kind(value)
            expected = kind.__name__
        self.problems.append(f"{key}: expected {expected}, got {value!r}")
        return None

    def _build_any(self, value: Any, kinds: list[Any], key: str) -> Any:
        """Build the first of several kinds that the value fits."""
        if len(kinds) == 1:
            return self.build(value, kinds[0], key)
        expected = []
        for kind in kinds:
            attempt = _Builder(self._none)
            built = attempt.build(value, kind, "")
            if not attempt.problems:
                return built
            expected += [problem.removeprefix(": expected ") for problem in attempt.problems]
        wanted = " or ".join(problem.removesuffix(f", got {value!r}") for problem in expected)
        self.problems.append(f"{key}: expected {wanted}, got {value!r}")
        return None

    def _build_dataclass(self, value: Any, kind: Any, key: str) -> Any:
        if not isinstance(value, Mapping):
            self.problems.append(f"{key}: expected a table, got {value!r}")
            return None
        table, types = f"{key}." if key else "", get_type_hints(kind)
        before = len(self.problems) + len(self.unknown)
        arguments = {}
        for field in fields(kind):
            name = f"{table}{field.name}"
            if field.name in value:
                arguments[field.name] = self.build(value[field.name], types[field.name], name)
            elif field.default is MISSING and field.default_factory is MISSING:
                self.problems.append(f"{name}: missing")
        unknown = value.keys() - {field.name for field in fields(kind)}
        self.unknown += [f"{table}{name}" for name in sorted(unknown)]
        if len(self.problems) + len(self.unknown) > before:
            return None
        try:
            return kind(**arguments)
        except (TypeError, ValueError) as error:
            # The message of a dataclass about its own fields may begin with their table.
            self.problems.append(f"{table}{str(error).removeprefix(table)}")
            return None
