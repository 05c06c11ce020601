"""What came out: the runs, what each element adds to them, and how sure that is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from xformer.errors import InputError

from .elements import conditions, contrasts
from .measure import Outcome

# Student's t, two-sided 95%, by degrees of freedom from 1.
_STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
_NORMAL = 1.960


@dataclass(frozen=True)
class Run:
    """One trained model.

    Attributes:
        condition: its name in `conditions`.
        seed: of its weights, texts and hidden tokens.
        outcome: what was measured of the trained model.
        untrained: of the same model before its first step.
        seconds: of one core, for training and measuring.
    """

    condition: str
    seed: int
    outcome: Outcome
    untrained: Outcome
    seconds: float

    @property
    def scores(self) -> dict[str, float]:
        """What the figure and the table show, by name."""
        return _scores(self.outcome)

    @property
    def untrained_scores(self) -> dict[str, float]:
        """The same of the model before its first step."""
        return _scores(self.untrained)

    def to_record(self) -> dict[str, Any]:
        """As JSON, four digits."""
        return {
            "condition": self.condition,
            "seed": self.seed,
            "trained": _rounded(self.outcome),
            "untrained": _rounded(self.untrained),
            "seconds": round(self.seconds, 1),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Run:
        """The inverse of `to_record`."""
        trained, untrained = (_outcome(record[name]) for name in ("trained", "untrained"))
        return cls(record["condition"], record["seed"], trained, untrained, record["seconds"])


def read_record(path: Path) -> dict[str, Any]:
    """The record in a file.

    Raises:
        InputError: there is no file, or it holds something else.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        readable = isinstance(record, dict) and bool(runs_of(record))
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such file") from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path}: expected a record of this bench, got {error!r}") from error
    if not readable:
        raise InputError(f"{path}: expected a record of this bench, with runs")
    return dict(record)


def runs_of(record: Mapping[str, Any]) -> list[Run]:
    """The runs of a record."""
    return [Run.from_record(one) for one in record["runs"]]


@dataclass(frozen=True)
class Interval:
    """The mean over seeds and its 95% interval by Student's t.

    With three seeds it is wide: 2.5 standard deviations to either side.

    Attributes:
        mean: of the seeds.
        low: lower end; the mean itself with one seed.
        high: upper end.
    """

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Interval:
        """Of at least one value."""
        count, mean = len(values), sum(values) / len(values)
        if count < 2:
            return cls(mean, mean, mean)
        deviation = (sum((value - mean) ** 2 for value in values) / (count - 1)) ** 0.5
        quantile = _STUDENT[count - 2] if count - 2 < len(_STUDENT) else _NORMAL
        half = quantile * deviation / count**0.5
        return cls(mean, mean - half, mean + half)


def by_condition(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Runs of each condition, in the order of `conditions`, by seed."""
    found = {name: [one for one in runs if one.condition == name] for name in conditions()}
    return {name: sorted(its, key=lambda one: one.seed) for name, its in found.items() if its}


def effects(runs: Sequence[Run], score: str) -> dict[str, list[float]]:
    """What each element adds to a score, by contrast: a difference for each seed that both conditions have.

    With one seed both models begin with the same weights and read the same texts with the same tokens
    hidden, but for the contrasts of parallel data, which divides the texts otherwise.
    """
    found = {(one.condition, one.seed): one.scores[score] for one in runs}
    seeds = sorted({one.seed for one in runs})
    differences = {
        contrast.name: [
            found[contrast.on, seed] - found[contrast.off, seed]
            for seed in seeds
            if (contrast.on, seed) in found and (contrast.off, seed) in found
        ]
        for contrast in contrasts()
    }
    return {name: its for name, its in differences.items() if its}


def _scores(outcome: Outcome) -> dict[str, float]:
    return {
        "sentences": outcome.sentences[outcome.middle],
        "words": outcome.words[outcome.middle],
        "loss": outcome.loss,
    }


def _rounded(outcome: Outcome) -> dict[str, Any]:
    record = asdict(outcome)
    for name in ("sentences", "words"):
        record[name] = [round(value, 4) for value in record[name]]
    return record | {"loss": round(outcome.loss, 4)}


def _outcome(record: Mapping[str, Any]) -> Outcome:
    layers = {name: tuple(record[name]) for name in ("sentences", "words")}
    return Outcome(**{**record, **layers})
