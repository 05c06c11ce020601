"""Conditions and numbers of roff: what `.if`, `.ie`, `.while` and `.nr` say. Source: groff(7)."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Container

_TOKEN = re.compile(r"\d*\.?\d+[a-zA-Z]?|<=|>=|==|<>|<\?|>\?|[-+*/%<>=&:()!|]")
_OPERATIONS: dict[str, Callable[[int, int], int]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": lambda one, other: one // other if other else 0,
    "%": lambda one, other: one % other if other else 0,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
    "=": operator.eq,
    "==": operator.eq,
    "<>": operator.ne,
    "<?": min,
    ">?": max,
    "&": lambda one, other: one > 0 and other > 0,
    ":": lambda one, other: one > 0 or other > 0,
}
# Basic units of a terminal, of which 240 are an inch.
_UNITS = {"i": 240, "c": 94, "p": 3, "P": 40, "n": 24, "m": 24, "v": 40, "u": 1}
_DEEPEST, _LARGEST = 50, 2**31


def split_condition(text: str, defined: Callable[[str], Container[str]]) -> tuple[bool, str]:
    r"""Decide what a condition says, and find what depends on it.

    Args:
        text: what stands after `.if`, expanded: `n .br`, `!'a'b' text`, `(2 > 1) \{`.
        defined: the names of which a letter asks: `d` macros and strings, `r` registers.

    Returns:
        Whether it holds on a terminal; the rest of the line.
    """
    negations = re.match(r"[\s!]*", text)
    assert negations is not None  # it matches anything
    text = text[negations.end() :]
    is_negated = negations[0].count("!") % 2 == 1
    holds, rest = _condition(text, defined)
    return holds != is_negated, rest.lstrip(" \t")


def _condition(text: str, defined: Callable[[str], Container[str]]) -> tuple[bool, str]:
    letter = text[:1]
    if letter in tuple("notevcFS") and not text[1:2].isalnum():
        return letter in "no", text[1:] if letter in "notev" else re.sub(r"^.\s*\S*", "", text)
    if (found := re.match(r"([drm])\s*(\S+)", text)) is not None:
        return found[2] in defined(found[1]), text[found.end() :]
    if letter and not letter.isalnum() and letter not in "(+-.\\|":
        one, _, rest = text[1:].partition(letter)
        other, _, rest = rest.partition(letter)
        return one == other, rest
    value, rest = evaluate(text)
    return value > 0, rest


def evaluate(text: str) -> tuple[int, str]:
    """The value of an expression, from left to right as roff counts, and what stands after it; 0 of none."""
    tokens: list[str] = []
    place = depth = 0
    while found := _TOKEN.match(text, place):
        depth += {"(": 1, ")": -1}.get(found[0], 0)
        if depth < 0:
            break
        tokens.append(found[0])
        place = found.end()
        if depth and (spaces := re.compile(r"\s+").match(text, place)):
            place = spaces.end()  # inside of brackets there may be spaces
    tokens.reverse()
    return _value(tokens, 0), text[place:]


def _value(tokens: list[str], depth: int) -> int:
    result = _operand(tokens, depth)
    while tokens and tokens[-1] in _OPERATIONS:
        operation = _OPERATIONS[tokens.pop()]
        result = int(operation(result, _operand(tokens, depth)))
        result = max(-_LARGEST, min(_LARGEST, result))
    if tokens and tokens[-1] == ")":
        tokens.pop()
    return result


def _operand(tokens: list[str], depth: int) -> int:
    sign = 1
    while tokens and tokens[-1] in ("+", "-", "!", "|"):
        sign = -sign if tokens.pop() == "-" else sign
    if not tokens or tokens[-1] == ")":
        return 0
    token = tokens.pop()
    if token == "(":
        return sign * _value(tokens, depth + 1) if depth < _DEEPEST else 0
    found = re.fullmatch(r"(\d*\.?\d+)([a-zA-Z]?)", token)
    if found is None:
        return 0
    number = min(float(found[1]), float(_LARGEST))
    return sign * int(number * _UNITS.get(found[2], 1))
