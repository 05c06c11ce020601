"""Texts of any script: which way they run, and where their tokens lie for JavaScript."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence


def direction(text: str) -> str:
    """Which way a text runs, "ltr" or "rtl": the way of its first letter that has one (Unicode's rule P2)."""
    for letter in text:
        kind = unicodedata.bidirectional(letter)
        if kind in ("R", "AL"):
            return "rtl"
        if kind == "L":
            return "ltr"
    return "ltr"


def utf16_offsets(text: str, places: Sequence[int]) -> list[int]:
    """Places in a text as JavaScript counts them: a letter beyond U+FFFF has two units.

    Args:
        text: any.
        places: in characters, each from 0 to the text's length.
    """
    units = [0]
    for letter in text:
        units.append(units[-1] + (2 if ord(letter) > 0xFFFF else 1))
    return [units[place] for place in places]
