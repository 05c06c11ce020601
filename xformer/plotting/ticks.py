"""Round numbers along an axis, and numbers as people write them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence


def ticks(low: float, high: float, *, whole: bool = False) -> list[float]:
    """Two to seven round numbers in an interval that is not empty.

    Args:
        low: its one end.
        high: its other end.
        whole: whole numbers only; of these there may be fewer.
    """
    step = 10.0 ** math.floor(math.log10(high - low))
    size = next(step * part for part in (0.1, 0.2, 0.5, 1.0, 2.0) if (high - low) / (step * part) <= 6)
    size = max(1.0, size) if whole else size
    first = math.ceil(low / size - 1e-9)
    return [number * size for number in range(first, math.floor(high / size + 1e-9) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Round numbers between 10^low and 10^high: 1, 2, 5, 10, …, powers of ten where these are many, and
    those of a plain axis where they are too few.
    """
    powers = range(math.floor(low), math.ceil(high) + 1)
    leading = (1, 2, 5) if high - low <= 3 else (1,)
    numbers = [digit * 10.0**power for power in powers for digit in leading]
    found = [number for number in numbers if low <= math.log10(number) <= high]
    return found if len(found) > 1 else ticks(10.0**low, 10.0**high)


def tick_texts(values: Sequence[float]) -> list[str]:
    """Short texts of different numbers, all different."""
    digits = 3
    while len(set(found := [number_text(value, digits) for value in values])) < len(values) and digits < 15:
        digits += 1
    return found


def number_text(value: float, digits: int = 3) -> str:
    """So many significant digits, and no exponent where people would not write one."""
    if value == 0:
        return "0"
    if 1000 <= abs(value) < 1e9:
        return f"{value:,.{max(0, digits - 3)}f}"
    text = f"{value:.{digits}g}"
    return text.replace("e-0", "e-").replace("e+0", "e")


def column_digits(values: Iterable[float]) -> int:
    """Digits behind the point of a column of numbers, so that the largest has three digits in all."""
    largest = max(map(abs, values), default=0.0)
    return min(6, max(0, 2 - math.floor(math.log10(largest)))) if largest else 0
