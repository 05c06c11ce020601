"""Schemas of dataclasses, and the rules behind them. Covers xformer.storage.rules."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from xformer.storage.json_schema import rules_of, table_schema
from xformer.storage.rules import (
    BELOW_ONE,
    COUNT,
    COUNT_OR_NONE,
    FROM_ZERO,
    NOT_NEGATIVE,
    POSITIVE,
    SHARE,
    Rule,
    Rules,
    bounds,
    check,
)

jsonschema = pytest.importorskip("jsonschema")


@dataclass(frozen=True)
class Inner:
    """A table.

    Attributes:
        share (share): of something.
    """

    share: float = 0.5

    @staticmethod
    def rules() -> Rules:
        return [(SHARE, "share")]


@dataclass(frozen=True)
class Outer:
    """Settings.

    Attributes:
        inner: a table.
        name: a text.
        size (pieces): how many; None for all.
        kind: one of two.
        threads: a number, or `auto`.
        some: words.
    """

    name: str
    inner: Inner = field(default_factory=Inner)
    size: int | None = None
    kind: Literal["a", "b"] = "a"
    threads: Literal["auto"] | int = "auto"
    some: tuple[str, ...] = ()

    @staticmethod
    def rules() -> Rules:
        return [(COUNT_OR_NONE, "size"), (bounds("auto, or from 2", least=2, also=["auto"]), "threads")]


def test_a_dataclass_becomes_a_schema() -> None:
    schema = table_schema(Outer)
    assert schema["required"] == ["name"]
    assert schema["additionalProperties"] is False
    assert schema["properties"] == {
        "name": {"type": "string", "description": "A text."},
        "inner": {
            "type": "object",
            "properties": {
                "share": {
                    "type": "number",
                    "minimum": 0,
                    "maximum": 1,
                    "default": 0.5,
                    "description": "Of something. Unit: share.",
                }
            },
            "additionalProperties": False,
            "description": "A table.",
        },
        "size": {
            "anyOf": [{"type": "integer", "minimum": 1}, {"const": "none"}],
            "default": "none",
            "description": "How many; None for all. Unit: pieces.",
        },
        "kind": {"enum": ["a", "b"], "default": "a", "description": "One of two."},
        "threads": {
            "anyOf": [{"enum": ["auto"]}, {"type": "integer", "minimum": 2}],
            "default": "auto",
            "description": "A number, or `auto`.",
        },
        "some": {"type": "array", "items": {"type": "string"}, "default": [], "description": "Words."},
    }
    jsonschema.Draft202012Validator.check_schema(schema)


RULES = [COUNT, FROM_ZERO, POSITIVE, NOT_NEGATIVE, SHARE, BELOW_ONE]
RULES += [bounds("even from 4", least=4, multiple_of=2), bounds("in (0, 3]", above=0, most=3)]


@given(st.sampled_from(RULES), st.floats(allow_nan=False) | st.integers())
@example(POSITIVE, math.inf)
@example(POSITIVE, 0)
@example(BELOW_ONE, 1.0)
@example(BELOW_ONE, -0.0)
@example(RULES[-2], 5)
def test_a_rule_and_its_schema_agree(rule: Rule, value: float) -> None:
    if "multipleOf" in rule.schema:
        value = int(value) if math.isfinite(value) else 6
    assert rule.holds(value) == jsonschema.Draft202012Validator(rule.schema).is_valid(value)


def test_some_values_are_no_numbers() -> None:
    rule = bounds("auto, none or from 1", least=1, also=["auto", None])
    assert [rule.holds(x) for x in ("auto", None, 1, 0)] == [True, True, True, False]
    assert not COUNT.holds(math.nan)
    assert not COUNT.holds(None)


def test_a_table_has_a_name_or_none() -> None:
    @dataclass
    class Table:
        size: Any

    with pytest.raises(ValueError, match=r"^here\.size: expected a whole number from 1, got 0$"):
        check(Table(0), "here", [(COUNT, "size")])
    with pytest.raises(ValueError, match=r"^size: expected"):
        check(Table(0), "", [(COUNT, "size")])


def test_rules_of_a_field_add_up() -> None:
    class Both:
        @staticmethod
        def rules() -> Rules:
            return [(bounds("from 1", least=1), "a b"), (bounds("to 2", most=2), "b")]

    assert rules_of(Both) == {"a": {"minimum": 1}, "b": {"minimum": 1, "maximum": 2}}
    assert rules_of(int) == {}
