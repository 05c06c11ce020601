"""JSON Schema (draft 2020-12) of TOML files that become dataclasses, from types, rules and docstrings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from xformer.storage.describe import documentation
from xformer.storage.toml import NONE

Schema = dict[str, Any]

_NAMES = {str: "string", int: "integer", float: "number", bool: "boolean"}
_KEYWORDS = {
    "string": ("minLength", "pattern", "enum"),
    "array": ("uniqueItems", "items"),
    "integer": ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf"),
}
_KEYWORDS["number"] = _KEYWORDS["integer"]


def table_schema(kind: type[Any], rules: Mapping[str, Mapping[str, Any]] | None = None) -> Schema:
    """The schema of a table, as `xformer.storage.structure` reads it; no other keys are allowed.

    Args:
        kind: a dataclass with a docstring that has a section `Attributes`. Its method `rules`, if it has one,
            says what fields must be.
        rules: keywords of fields, for a dataclass that has no such method.
    """
    types, documented = get_type_hints(kind), documentation(kind)
    keywords = rules_of(kind) if rules is None else rules
    properties, required = {}, []
    for field in fields(kind):
        unit, meaning = documented.get(field.name, ("", ""))
        of = types[field.name]
        found = _with_rule(_of_type(of), keywords.get(field.name, {}))
        meaning = meaning[:1].upper() + meaning[1:]
        found["description"] = f"{meaning} Unit: {unit}." if unit else meaning
        if field.default is not MISSING:
            found["default"] = _spelled(field.default)
        elif field.default_factory is MISSING:
            required.append(field.name)
        elif not is_dataclass(of):
            found["default"] = _spelled(field.default_factory())
        properties[field.name] = found
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return schema | ({"required": required} if required else {})


def rules_of(kind: type[Any]) -> dict[str, dict[str, Any]]:
    """The keywords of each field that a dataclass has rules about."""
    found: dict[str, dict[str, Any]] = {}
    for rule, names in kind.rules() if hasattr(kind, "rules") else ():
        for name in names.split():
            found[name] = found.get(name, {}) | dict(rule.schema)
    return found


def _of_type(of: Any) -> Schema:
    """The schema of a value of a type; None is spelled in TOML."""
    origin, options = get_origin(of), get_args(of)
    if origin in (Union, UnionType):
        kinds = [{"const": NONE} if option is NoneType else _of_type(option) for option in options]
        return {"anyOf": kinds}
    if origin is Literal:
        return {"enum": list(options)}
    if origin in (tuple, list):
        return {"type": "array", "items": _of_type(options[0])}
    if isinstance(of, type) and is_dataclass(of):
        return table_schema(of)
    return {"type": _NAMES[of]}


def _with_rule(schema: Schema, rule: Mapping[str, Any]) -> Schema:
    """A schema with those keywords of a rule that are about its type."""
    if "anyOf" in schema:
        return {"anyOf": [_with_rule(one, rule) for one in schema["anyOf"]]}
    return schema | {name: rule[name] for name in _KEYWORDS.get(schema.get("type", ""), ()) if name in rule}


def _spelled(value: Any) -> Any:
    """A default as TOML has it."""
    if is_dataclass(value) and not isinstance(value, type):
        return {name: _spelled(inner) for name, inner in asdict(value).items()}
    if isinstance(value, list | tuple):
        return [_spelled(inner) for inner in value]
    return NONE if value is None else value
