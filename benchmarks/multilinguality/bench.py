"""Every condition with every seed, and what came out."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from typing import Any

import torch

from xformer.progress import Progress

from .batches import Maker
from .elements import Elements, conditions
from .languages import Texts
from .measure import Outcome, measure
from .train import TrainingSize, train

# Student's t, two-sided 95%, by degrees of freedom from 1.
_STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
_NORMAL = 1.960


@dataclass(frozen=True)
class Run:
    """One trained model.

    Attributes:
        condition: its name in `conditions`.
        seed: of its weights, texts and hidden tokens.
        outcome: what was measured.
        seconds: of one core, for training and measuring.
    """

    condition: str
    seed: int
    outcome: Outcome
    seconds: float

    @property
    def scores(self) -> dict[str, float]:
        """What the figure and the table show, by name."""
        found = self.outcome
        return {
            "sentences": found.sentences[found.middle],
            "words": found.words[found.middle],
            "loss": found.loss,
        }

    def to_record(self) -> dict[str, Any]:
        """As JSON, four digits."""
        outcome = asdict(self.outcome)
        for name in ("sentences", "words"):
            outcome[name] = [round(value, 4) for value in outcome[name]]
        outcome["loss"] = round(self.outcome.loss, 4)
        return {"condition": self.condition, "seed": self.seed, **outcome, "seconds": round(self.seconds, 1)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Run:
        """The inverse of `to_record`."""
        names = ("loss", "middle", "n_sentences", "n_words")
        outcome = Outcome(
            tuple(record["sentences"]), tuple(record["words"]), **{name: record[name] for name in names}
        )
        return cls(record["condition"], record["seed"], outcome, record["seconds"])


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


def run_every(
    texts: Texts,
    size: TrainingSize,
    seeds: Sequence[int],
    names: Sequence[str],
    *,
    jobs: int,
    progress: Progress,
) -> list[Run]:
    """Train and measure a model for each condition and seed, `jobs` at a time, one core each.

    A run depends on its condition, seed and texts only, not on what runs beside it.

    Args:
        texts: of both languages.
        size: of the models, and how long each learns.
        seeds: one run each.
        names: of conditions.
        jobs: processes.
        progress: shows the runs done.
    """
    wanted = [(name, seed) for seed in seeds for name in names]
    found = []
    # Fork would copy a process that has threads of torch in it.
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        waiting = [pool.submit(run_one, texts, size, name, seed) for name, seed in wanted]
        try:
            for done, one in enumerate(as_completed(waiting), 1):
                found.append(one.result())
                progress("models", done, len(wanted), found[-1].condition)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return sorted(found, key=lambda one: wanted.index((one.condition, one.seed)))


def run_one(texts: Texts, size: TrainingSize, name: str, seed: int) -> Run:
    """Train and measure one model on one core."""
    torch.set_num_threads(1)
    elements: Elements = conditions()[name]
    began = time.process_time()
    maker = Maker(texts, elements, size=size.texts, seed=seed)
    outcome = measure(train(maker, size, seed), maker, size.middle)
    return Run(name, seed, outcome, time.process_time() - began)
