"""Frozen dataclasses to TOML and back: nothing coerced, nothing ignored."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any, TypeVar

import cattrs
import tomli_w
from cattrs.errors import ClassValidationError, ForbiddenExtraKeysError

from xformer.errors import InputError
from xformer.files import atomic_write

Config = TypeVar("Config")


def load_toml(path: str | os.PathLike[str], config: type[Config]) -> Config:
    """Read `path` into the dataclass `config`; what the file leaves out keeps its default.

    Raises:
        InputError: naming the file and each key that is unknown or has a value of the wrong kind.
    """
    try:
        with open(path, "rb") as file:
            table = tomllib.load(file)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; expected a TOML file of settings") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected TOML, {error}") from error
    return from_table(table, config, source=str(path))


def from_table(table: dict[str, Any], config: type[Config], source: str) -> Config:
    """Build the dataclass `config` from nested dicts; `source` is what errors call them.

    Raises:
        InputError: as `load_toml`.
    """
    try:
        return _converter().structure(table, config)
    except ClassValidationError as error:
        raise InputError(f"{source}: " + "; ".join(_problems(error))) from error


def save_toml(path: str | os.PathLike[str], config: object) -> None:
    """Write every field of a dataclass to `path`, whole or not at all. A field that is None is left out."""
    table = _without_none(_converter().unstructure(config))
    with atomic_write(Path(path), "wb") as file:
        tomli_w.dump(table, file)


def _converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True)
    for kind, accepted in ((int, int), (float, (int, float)), (str, str), (bool, bool)):
        converter.register_structure_hook(kind, _strict(kind, accepted))
    return converter


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
            problems.append(str(inner))
    return problems


def _without_none(table: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without_none(value) if isinstance(value, dict) else value
        for key, value in table.items()
        if value is not None
    }
