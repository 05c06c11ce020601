"""Conversion of frozen dataclasses to TOML and back, with strict types and no unknown keys."""

from __future__ import annotations

import copy
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import tomli_w

from xformer.errors import InputError
from xformer.storage.files import atomic_write

Config = TypeVar("Config")

NONE = "none"


def load_toml(path: str | os.PathLike[str], config: type[Config]) -> Config:
    """Read `path` into the dataclass `config`; fields that the file leaves out keep their defaults.

    Raises:
        InputError: a key is unknown or its value has the wrong type; the message names file and keys.
    """
    return from_table(read_toml(path), config, source=str(path))


def read_toml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the tables of a TOML file.

    Raises:
        InputError: the file cannot be read or is not TOML.
    """
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; expected a TOML file of settings") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected TOML, {error}") from error


def overridden(table: dict[str, Any], settings: Sequence[str], config: type[Config], source: str) -> Config:
    """Build the dataclass `config` from tables, and replace single settings.

    Args:
        table: nested dicts; not changed.
        settings: `table.key=value`, the value in TOML; a word that is not TOML is a string.
        config: the dataclass.
        source: the name of the tables in error messages.

    Raises:
        InputError: a setting has no `=`, or as `load_toml`.
    """
    result = copy.deepcopy(table)
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key:
            raise InputError(f"--set: expected TABLE.KEY=VALUE, got {setting!r}")
        value = _value(text)
        *path, last = key.split(".")
        place = result
        for name in path:
            place = place.setdefault(name, {})
            if not isinstance(place, dict):
                raise InputError(f"--set: {key}: {name} is a value, not a table")
        place[last] = value
    return from_table(result, config, source)


def from_table(table: dict[str, Any], config: type[Config], source: str) -> Config:
    """Build the dataclass `config` from nested dicts; error messages call them `source`.

    Raises:
        InputError: as `load_toml`.
    """
    problems: list[str] = []
    found: Config = _build(table, config, "", problems)
    if problems:
        raise InputError(f"{source}: " + "; ".join(problems))
    return found


def save_toml(path: str | os.PathLike[str], config: object) -> None:
    """Write every field of a dataclass to `path`, atomically. TOML has no null: None becomes "none"."""
    table = _with_none_spelled(asdict(cast(Any, config)))
    with atomic_write(Path(path), "wb") as file:
        tomli_w.dump(table, file)


def _value(text: str) -> Any:
    """The value of a TOML `key = value` with this right side; the text itself if that is not TOML."""
    try:
        table = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return table["value"] if len(table) == 1 else text


def _build(value: Any, kind: Any, key: str, problems: list[str]) -> Any:
    """Convert `value` to the type `kind`. If it does not fit, add a line to `problems`."""
    options, origin = get_args(kind), get_origin(kind)
    if is_dataclass(kind):
        return _build_dataclass(value, kind, key, problems)
    if origin in (Union, UnionType):
        if value is None or value == NONE:
            return None
        (inner,) = (option for option in options if option is not NoneType)
        return _build(value, inner, key, problems)
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(_build(one, options[0], key, problems) for one in value)
    if origin is Literal:
        if value in options:
            return value
        expected = f"one of {', '.join(options)}"
    elif origin is tuple:
        expected = "a list"
    else:
        accepted = (int, float) if kind is float else kind
        if isinstance(value, accepted) and isinstance(value, bool) == (kind is bool):
            return kind(value)
        expected = kind.__name__
    problems.append(f"{key}: expected {expected}, got {value!r}")
    return None


def _build_dataclass(value: Any, kind: Any, key: str, problems: list[str]) -> Any:
    if not isinstance(value, Mapping):
        problems.append(f"{key}: expected a table, got {value!r}")
        return None
    table, before, types = f"{key}." if key else "", len(problems), get_type_hints(kind)
    arguments = {}
    for field in fields(kind):
        if field.name in value:
            arguments[field.name] = _build(
                value[field.name], types[field.name], f"{table}{field.name}", problems
            )
        elif field.default is MISSING and field.default_factory is MISSING:
            problems.append(f"{table}{field.name}: missing")
    problems += [f"{table}{name}: unknown key" for name in sorted(value.keys() - types.keys())]
    if len(problems) > before:
        return None
    try:
        return kind(**arguments)
    except (TypeError, ValueError) as error:
        # The message of a dataclass about its own fields may begin with their table.
        problems.append(f"{table}{str(error).removeprefix(table)}")
        return None


def _with_none_spelled(table: dict[str, Any]) -> dict[str, Any]:
    spelled: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            spelled[key] = _with_none_spelled(value)
        else:
            spelled[key] = NONE if value is None else value
    return spelled
