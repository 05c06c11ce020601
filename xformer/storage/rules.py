"""Rules that settings keep: what a field may be, in code and in words."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, get_args


@dataclass(frozen=True)
class Rule:
    """What a value must be.

    Attributes:
        holds: whether a value keeps the rule.
        expected: the same in words, for an error.
    """

    holds: Callable[[Any], bool]
    expected: str


COUNT = Rule(lambda x: x >= 1, "a whole number from 1")
COUNT_OR_NONE = Rule(lambda x: x is None or x >= 1, "a whole number from 1")
FROM_ZERO = Rule(lambda x: x >= 0, "a whole number from 0")
POSITIVE = Rule(lambda x: 0 < x < math.inf, "a finite positive number")
NOT_NEGATIVE = Rule(lambda x: 0 <= x < math.inf, "a finite number from 0")
SHARE = Rule(lambda x: 0 <= x <= 1, "a share in [0, 1]")
BELOW_ONE = Rule(lambda x: 0 <= x < 1, "a number in [0, 1)")
PROBABILITY = Rule(lambda x: 0 <= x < 1, "a probability in [0, 1)")


def one_of(choices: Any) -> Rule:
    """One of the options of a Literal."""
    options = get_args(choices)
    return Rule(lambda x: x in options, f"one of {', '.join(options)}")


def check(settings: Any, table: str, rules: Sequence[tuple[Rule, str]]) -> None:
    """Hold the fields of a table of settings against their rules.

    Args:
        settings: a dataclass.
        table: its name in errors.
        rules: each with the names of the fields that must keep it, separated by spaces.

    Raises:
        ValueError: for the first field that breaks its rule; it names the field, its value and the rule.
    """
    for rule, names in rules:
        for name in names.split():
            value = getattr(settings, name)
            require(rule.holds(value), f"{table}.{name}", value, rule.expected)


def require(condition: bool, field: str, value: object, expected: str) -> None:
    """Raise a ValueError that says what `field` was expected to be, unless the condition holds."""
    if not condition:
        raise ValueError(f"{field}: expected {expected}, got {value!r}")
