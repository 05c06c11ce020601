"""Rules that settings keep: what a field may be, in code and in words."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args


@dataclass(frozen=True)
class Rule:
    """What a value must be.

    Attributes:
        holds: whether a value keeps the rule.
        expected: the same in words, for an error.
        schema: the same in keywords of JSON Schema, as far as it has some.
    """

    holds: Callable[[Any], bool]
    expected: str
    schema: Mapping[str, Any] = field(default_factory=dict)


Rules = Sequence[tuple[Rule, str]]
"""Rules of a table of settings, each with the names of the fields that keep it, separated by spaces."""

LARGEST = sys.float_info.max
"""The largest number that is finite."""


def bounds(
    expected: str,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
    multiple_of: int | None = None,
    also: Sequence[Any] = (),
) -> Rule:
    """A rule about a number.

    Args:
        expected: the rule in words.
        least: it is at least this.
        above: it is more than this.
        most: it is at most this.
        below: it is less than this.
        multiple_of: of this.
        also: values that are no numbers, and may be as well.
    """
    limits = {"minimum": least, "exclusiveMinimum": above, "maximum": most, "exclusiveMaximum": below}
    schema = {name: limit for name, limit in limits.items() if limit is not None}
    schema |= {} if multiple_of is None else {"multipleOf": multiple_of}

    def holds(x: Any) -> bool:
        if any(x is one or (isinstance(x, str) and x == one) for one in also):
            return True
        return x is not None and (
            (least is None or x >= least)
            and (above is None or x > above)
            and (most is None or x <= most)
            and (below is None or x < below)
            and (multiple_of is None or x % multiple_of == 0)
        )

    return Rule(holds, expected, schema)


COUNT = bounds("a whole number from 1", least=1)
COUNT_OR_NONE = bounds("a whole number from 1", least=1, also=[None])
FROM_ZERO = bounds("a whole number from 0", least=0)
POSITIVE = bounds("a finite positive number", above=0, most=LARGEST)
NOT_NEGATIVE = bounds("a finite number from 0", least=0, most=LARGEST)
SHARE = bounds("a share in [0, 1]", least=0, most=1)
BELOW_ONE = bounds("a number in [0, 1)", least=0, below=1)
PROBABILITY = bounds("a probability in [0, 1)", least=0, below=1)


def one_of(choices: Any) -> Rule:
    """One of the options of a Literal."""
    options = get_args(choices)
    return Rule(lambda x: x in options, f"one of {', '.join(options)}", {"enum": list(options)})


def check(settings: Any, table: str, rules: Rules) -> None:
    """Hold the fields of a table of settings against their rules.

    Args:
        settings: a dataclass.
        table: its name in errors; empty for none.
        rules: each with the names of the fields that must keep it, separated by spaces.

    Raises:
        ValueError: for the first field that breaks its rule; it names the field, its value and the rule.
    """
    for rule, names in rules:
        for name in names.split():
            value = getattr(settings, name)
            require(rule.holds(value), f"{table}.{name}" if table else name, value, rule.expected)


def require(condition: bool, field: str, value: object, expected: str) -> None:
    """Raise a ValueError that says what `field` was expected to be, unless the condition holds."""
    if not condition:
        raise ValueError(f"{field}: expected {expected}, got {value!r}")
