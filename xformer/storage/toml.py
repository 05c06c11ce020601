"""Conversion of frozen dataclasses to TOML and back, with strict types and no unknown keys."""

from __future__ import annotations

import copy
import os
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import MISSING, asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import tomli_w

from xformer.errors import InputError
from xformer.storage.files import atomic_write
from xformer.storage.structure import StructureError, structure

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
    result, keys = copy.deepcopy(table), []
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key:
            raise InputError(f"--set: expected TABLE.KEY=VALUE, got {setting!r}")
        value = _value(text)
        keys.append(key)
        *path, last = key.split(".")
        place = result
        for name in path:
            place = place.setdefault(name, {})
            if not isinstance(place, dict):
                raise InputError(f"--set: {key}: {name} is a value, not a table")
        place[last] = value
    return from_table(result, config, source, keys)


def names_in(table: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Full names of the keys in nested tables."""
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from names_in(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def from_table(
    table: dict[str, Any], config: type[Config], source: str, options: Collection[str] = ()
) -> Config:
    """Build the dataclass `config` from nested dicts.

    Args:
        table: nested dicts.
        config: the dataclass.
        source: the name of the tables in error messages.
        options: full names of keys that are from `--set`, which error messages say.

    Raises:
        InputError: as `load_toml`.
    """
    try:
        return structure(table, config, none=NONE)
    except StructureError as error:
        problems: dict[str, list[str]] = {}
        for problem in error.problems:
            # A list of tables is given as one option: data.sources[0].weight is of data.sources.
            of_option = re.split(r": |\[", problem, maxsplit=1)[0] in options
            problems.setdefault("--set" if of_option else source, []).append(problem)
        found = "; ".join(f"{place}: {'; '.join(lines)}" for place, lines in problems.items())
        # Nothing like it was found, which would have been named.
        at_a_loss = any(problem.endswith(": unknown key") for problem in error.problems)
        raise InputError(f"{found}. `xformer settings` lists all" if at_a_loss else found) from error


def save_toml(path: str | os.PathLike[str], config: object) -> None:
    """Write every field of a dataclass to `path`, atomically. TOML has no null: None becomes "none"."""
    table = _with_none_spelled(asdict(cast(Any, config)))
    with atomic_write(Path(path), "wb") as file:
        tomli_w.dump(table, file)


def spelled(value: Any) -> str:
    """A value as `--set` takes it; of a table, what differs from its defaults."""
    if is_dataclass(value) and not isinstance(value, type):
        cells = [
            f"{field.name} = {_quoted(getattr(value, field.name))}"
            for field in fields(value)
            if field.default is MISSING or getattr(value, field.name) != field.default
        ]
        return f"{{{', '.join(cells)}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_quoted, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return NONE if value is None else str(value)


def _quoted(value: Any) -> str:
    return repr(value) if isinstance(value, str) else spelled(value)


def _value(text: str) -> Any:
    """The value of a TOML `key = value` with this right side; the text itself if that is not TOML."""
    try:
        table = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return table["value"] if len(table) == 1 else text


def _with_none_spelled(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_none_spelled(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_with_none_spelled(inner) for inner in value]
    return NONE if value is None else value
