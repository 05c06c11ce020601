"""Compare two sets of measurements: what became slower or faster, beyond noise.

A median has an interval from order statistics: of n independent values, the k-th smallest and the k-th
largest lie on both sides of the true median with a probability that depends on n and k alone, whatever the
distribution (David & Nagaraja, Order Statistics, 7.1). Something is slower or faster only where the two
intervals separate.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Literal

from .record import Record

if TYPE_CHECKING:
    from rich.table import Table

CONFIDENCE = 0.95

Verdict = Literal["slower", "faster", "same", "broken", "mended", "unmeasured"]
REGRESSIONS: tuple[Verdict, ...] = ("slower", "broken")

_STYLES: dict[Verdict, str] = {
    "slower": "bold red",
    "broken": "bold red",
    "faster": "green",
    "mended": "green",
    "same": "",
    "unmeasured": "dim",
}


@dataclass(frozen=True)
class Interval:
    """A median in seconds and its confidence interval; from 0 to infinity where it is not known."""

    low: float
    middle: float
    high: float


@dataclass(frozen=True, order=True)
class Key:
    """The fields that must be equal for two records to be compared."""

    operation: str
    sweep: str
    case: str
    dtype: str
    direction: str
    implementation: str

    @classmethod
    def of(cls, record: Record) -> Key:
        """The key of a record."""
        return cls(*(getattr(record, each.name) for each in fields(cls)))


@dataclass(frozen=True)
class Comparison:
    """One measurement in both sets.

    Attributes:
        key: the measurement.
        before: seconds of a call, or none where it was not measured.
        after: the same in the second set.
        verdict: `slower` or `faster` where the intervals separate, else `same`; `broken` or `mended` where
            one has no time because its result is wrong or it failed; `unmeasured` where one is missing.
        note: why there is no time.
    """

    key: Key
    before: Interval | None
    after: Interval | None
    verdict: Verdict
    note: str = ""

    @property
    def ratio(self) -> Interval | None:
        """Time after over time before; above 1 is slower."""
        if self.before is None or self.after is None:
            return None
        low = self.after.low / self.before.high if math.isfinite(self.before.high) else 0.0
        high = self.after.high / self.before.low if self.before.low > 0 else math.inf
        return Interval(low, self.after.middle / self.before.middle, high)

    def to_json(self) -> str:
        """One line of JSON; unknown bounds are null."""

        def shown(interval: Interval | None) -> dict[str, float | None] | None:
            if interval is None:
                return None
            known = math.isfinite(interval.high) and interval.low > 0
            bounds = (interval.low, interval.high) if known else (None, None)
            return {"low": bounds[0], "median": interval.middle, "high": bounds[1]}

        values = {
            **asdict(self.key),
            "before_seconds": shown(self.before),
            "after_seconds": shown(self.after),
            "ratio": shown(self.ratio),
            "verdict": self.verdict,
            "note": self.note,
        }
        return json.dumps(values, ensure_ascii=False, allow_nan=False)


def median_interval(values: Sequence[float]) -> Interval:
    """The median of independent values, and the narrowest interval of order statistics around it.

    The interval holds the true median with a probability of at least `CONFIDENCE`; for that it takes six
    values or more.

    Args:
        values: at least one.
    """
    ordered = sorted(values)
    n = len(ordered)
    middle = (ordered[(n - 1) // 2] + ordered[n // 2]) / 2
    outside = 0.0  # the chance that the true median lies outside the k-th values from either end
    taken = 0
    for k in range(1, n // 2 + 1):
        outside += 2 * math.comb(n, k - 1) / 2**n
        if outside > 1 - CONFIDENCE:
            break
        taken = k
    if not taken:
        return Interval(0.0, middle, math.inf)
    return Interval(ordered[taken - 1], middle, ordered[n - taken])


def quantile_interval(quantiles: Mapping[str, float], rounds: int) -> Interval:
    """The same from a record, which has p20, p50, p80 and the number of rounds.

    For many values, the interval at 95% reaches 0.98/√n to both sides of the median's quantile. Times between
    two known quantiles are interpolated; with fewer than eleven rounds the interval is not known.
    """
    step = 0.98 / math.sqrt(max(rounds, 1))
    low, middle, high = (quantiles[name] for name in ("p20", "p50", "p80"))
    if step > 0.3:
        return Interval(0.0, middle, math.inf)
    share = step / 0.3
    return Interval(middle - share * (middle - low), middle, middle + share * (high - middle))


def compare_records(before: Iterable[Record], after: Iterable[Record]) -> list[Comparison]:
    """Compare two sets of records, of each measurement the last in its set."""

    def time(record: Record) -> Interval | None:
        return quantile_interval(record.seconds, record.rounds) if record.seconds else None

    sides = [{Key.of(record): (record, time(record)) for record in records} for records in (before, after)]
    return _compare(sides[0], sides[1])


def compare_rounds(before: Sequence[Iterable[Record]], after: Sequence[Iterable[Record]]) -> list[Comparison]:
    """Compare two sets of rounds, each a process of its own: the medians of the rounds are the values."""
    return _compare(_joined(before), _joined(after))


def _joined(rounds: Sequence[Iterable[Record]]) -> dict[Key, tuple[Record, Interval | None]]:
    """For each measurement a record, and the interval of its rounds' medians."""
    grouped: dict[Key, list[Record]] = {}
    for records in rounds:
        for record in records:
            grouped.setdefault(Key.of(record), []).append(record)
    found: dict[Key, tuple[Record, Interval | None]] = {}
    for key, several in grouped.items():
        # A result that is wrong in one round counts as wrong.
        faulty = next((record for record in several if record.seconds is None), None)
        if faulty is not None:
            found[key] = (faulty, None)
        else:
            found[key] = (several[-1], median_interval([r.seconds["p50"] for r in several if r.seconds]))
    return found


def _compare(
    before: Mapping[Key, tuple[Record, Interval | None]], after: Mapping[Key, tuple[Record, Interval | None]]
) -> list[Comparison]:
    nothing = (None, None)
    found = []
    for key in sorted(before.keys() | after.keys()):
        old, old_time = before.get(key, nothing)
        new, new_time = after.get(key, nothing)
        found.append(judge(key, old_time, new_time, old, new))
    return found


def judge(
    key: Key, before: Interval | None, after: Interval | None, old: Record | None, new: Record | None
) -> Comparison:
    """The verdict on one measurement, from its times and the records that they came from."""
    if before is not None and after is not None:
        if after.low > before.high:
            return Comparison(key, before, after, "slower")
        return Comparison(key, before, after, "faster" if after.high < before.low else "same")
    if old is None or new is None:
        return Comparison(key, before, after, "unmeasured", "only after" if old is None else "only before")
    note = f"{new.status}: {new.note}" if after is None else f"was {old.status}: {old.note}"
    verdict: Verdict = "unmeasured"
    if before is not None:
        verdict = "broken"
    elif after is not None:
        verdict = "mended"
    return Comparison(key, before, after, verdict, note)


def regressions(comparisons: Iterable[Comparison]) -> int:
    """The number of measurements that became slower or broke."""
    return sum(one.verdict in REGRESSIONS for one in comparisons)


def comparison_table(comparisons: Sequence[Comparison], before: str, after: str) -> Table:
    """A table with a row for each measurement that has a time in either set.

    Args:
        comparisons: what was found.
        before: name of the first set.
        after: name of the second.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), title_justify="left", title_style="bold")
    shown.title = Text(f"{after} beside {before}: time, and the ratio of times; above 1 is slower")
    shown.add_column("")
    for head in ("before\nms", "after\nms", "ratio", "95% interval", ""):
        shown.add_column(head, justify="right" if head else "left", no_wrap=True)
    timed = [one for one in comparisons if one.before is not None or one.after is not None]
    notes = dict.fromkeys(
        f"{one.key.implementation}: {one.note}"
        for one in comparisons
        if one.note and (one not in timed or one.verdict != "unmeasured")
    )
    place = None
    for one in timed:
        key, ratio = one.key, one.ratio
        if place != (key.operation, key.case, key.dtype):
            place = (key.operation, key.case, key.dtype)
            shown.add_section()
            shown.add_row(Text(f"{key.operation}: {key.case}, {key.dtype}", "bold"))
        shown.add_row(
            Text(f"  {key.direction}, {key.implementation}"),
            _milliseconds(one.before),
            _milliseconds(one.after),
            "" if ratio is None else f"{ratio.middle:.3f}",
            "" if ratio is None else _bounds(ratio),
            Text(one.note if one.verdict == "unmeasured" else one.verdict, _STYLES[one.verdict]),
        )
    count = regressions(comparisons)
    told = sum(one.ratio is not None for one in comparisons)
    verdict = f"{told} compared, {count} regression{'' if count == 1 else 's'}"
    shown.caption = Text("\n".join([verdict, *notes]))
    shown.caption_justify = "left"
    return shown


def _milliseconds(interval: Interval | None) -> str:
    return "–" if interval is None else f"{interval.middle * 1e3:.4g}"


def _bounds(interval: Interval) -> str:
    if not math.isfinite(interval.high) or interval.low <= 0:
        return "too few rounds"
    return f"{interval.low:.3f}–{interval.high:.3f}"
