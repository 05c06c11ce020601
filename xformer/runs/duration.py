"""Durations, as settings and options give them: `90s`, `10m`, `1.5h`, `2d` or plain seconds."""

from __future__ import annotations

import re

from xformer.storage.rules import Rule, require

_EXPECTED = "something like 90s, 10m or 1.5h"
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PATTERN = r"([0-9]{1,15}(?:\.[0-9]*)?|\.[0-9]{1,15})([smhd]?)"


def seconds(duration: str, field: str = "duration") -> float:
    """Read `90s`, `10m`, `1.5h`, `2d` or plain seconds.

    Args:
        duration: the text.
        field: what errors call it.

    Raises:
        ValueError: when `duration` is none of these, or not positive.
    """
    value = _seconds(duration)
    require(value > 0, field, duration, _EXPECTED)
    return value


def _seconds(duration: str) -> float:
    found = re.fullmatch(_PATTERN, duration)
    return float(found[1]) * _UNITS[found[2]] if found else 0.0


DURATION_OR_NONE = Rule(
    lambda x: x is None or _seconds(x) > 0,
    _EXPECTED,
    {"pattern": rf"^(?=[0-9.]*[1-9]){_PATTERN}$"},  # some digit is not 0
)
