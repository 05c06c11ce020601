"""Conversion of frozen dataclasses to TOML and back, with strict types and no unknown keys."""

from __future__ import annotations

import copy
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import cattrs
import tomli_w
from cattrs.errors import ClassValidationError, ForbiddenExtraKeysError
from cattrs.gen import make_dict_structure_fn

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
    try:
        return _converter().structure(table, config)
    except ClassValidationError as error:
        raise InputError(f"{source}: " + "; ".join(_problems(error))) from error


def save_toml(path: str | os.PathLike[str], config: object) -> None:
    """Write every field of a dataclass to `path`, atomically. TOML has no null: None becomes "none"."""
    table = _with_none_spelled(_converter().unstructure(config))
    with atomic_write(Path(path), "wb") as file:
        tomli_w.dump(table, file)


def _value(text: str) -> Any:
    """The value of a TOML `key = value` with this right side; the text itself if that is not TOML."""
    try:
        table = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return table["value"] if len(table) == 1 else text


def _converter() -> cattrs.Converter:
    converter = cattrs.Converter()
    converter.register_structure_hook_factory(is_dataclass, lambda kind: _table(kind, converter))
    converter.register_structure_hook_func(_is_choice, _choice)
    for kind, accepted in ((int, int), (float, (int, float)), (str, str), (bool, bool)):
        converter.register_structure_hook(kind, _strict(kind, accepted))
    converter.register_structure_hook_func(_is_optional, _optional(converter))
    converter.register_structure_hook_func(_is_list, _list(converter))
    return converter


def _table(config: Any, converter: cattrs.Converter) -> Any:
    fill = make_dict_structure_fn(config, converter, _cattrs_forbid_extra_keys=True)

    def structure(value: Any, kind: Any) -> Any:
        if not isinstance(value, Mapping):
            raise TypeError(f"expected a table, got {value!r}")
        return fill(value, kind)

    return structure


def _is_choice(kind: Any) -> bool:
    origin: Any = get_origin(kind)
    return origin is Literal


def _choice(value: Any, kind: Any) -> Any:
    options = get_args(kind)
    if value not in options:
        raise TypeError(f"expected one of {', '.join(options)}, got {value!r}")
    return value


def _is_optional(kind: Any) -> bool:
    return get_origin(kind) in (Union, UnionType) and type(None) in get_args(kind)


def _optional(converter: cattrs.Converter) -> Any:
    def structure(value: Any, kind: Any) -> Any:
        if value is None or value == NONE:
            return None
        (inner,) = (option for option in get_args(kind) if option is not type(None))
        return converter.structure(value, inner)

    return structure


def _is_list(kind: Any) -> bool:
    """Whether a type is `tuple[X, ...]`, an array in TOML."""
    return get_origin(kind) is tuple and get_args(kind)[1:] == (...,)


def _list(converter: cattrs.Converter) -> Any:
    def structure(value: Any, kind: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise TypeError(f"expected a list, got {value!r}")
        return tuple(converter.structure(one, get_args(kind)[0]) for one in value)

    return structure


def _strict(kind: type, accepted: type | tuple[type, ...]) -> Any:
    def structure(value: Any, _: type) -> Any:
        if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
            raise TypeError(f"expected {kind.__name__}, got {value!r}")
        return kind(value)

    return structure


def _problems(error: ClassValidationError, table: str = "") -> list[str]:
    problems = []
    named, unnamed = error.group_exceptions()
    for inner, note in named:
        key = f"{table}{note.name}"
        if isinstance(inner, ClassValidationError):
            problems += _problems(inner, f"{key}.")
        else:
            problems.append(f"{key}: {inner}")
    for inner in unnamed:
        if isinstance(inner, ForbiddenExtraKeysError):
            problems += [f"{table}{key}: unknown key" for key in sorted(inner.extra_fields)]
        else:
            # The message of a dataclass about its own fields may begin with their table.
            problems.append(f"{table}{str(inner).removeprefix(table)}")
    return problems


def _with_none_spelled(table: dict[str, Any]) -> dict[str, Any]:
    spelled: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            spelled[key] = _with_none_spelled(value)
        else:
            spelled[key] = NONE if value is None else value
    return spelled
