"""The choice of a number of threads, on machines that are described by their speeds: no clock is read."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from tests.training.tiny_classifier import Settings, train_classifier
from xformer.progress import Progress
from xformer.runs.checkpoint import newest_checkpoint
from xformer.runs.config import TrainingConfig
from xformer.runs.directory import RunDirectory
from xformer.runs.metrics import read_metrics
from xformer.training.thread_choice import ThreadChooser, Threads, threads_in_use, threads_of

Listening = Callable[..., Progress]
Speed = Callable[[int, float], float]
"""Tokens a second on a number of threads, at a time in seconds."""


@dataclass
class Machine:
    """Takes steps on a made-up machine.

    Attributes:
        speed: of the machine.
        chooser: chooses the threads.
        noise: standard deviation of the logarithm of a step's time.
        now: seconds since the start.
        taken: threads of all steps.
        lost: seconds that were lost by not taking the fastest number each time.
    """

    speed: Speed
    chooser: ThreadChooser
    noise: float = 0.0
    now: float = 0.0
    lost: float = 0.0
    taken: list[int] = field(default_factory=list)
    rng: random.Random = field(default_factory=lambda: random.Random(0))

    def run(self, seconds: float, stage: str = "full", sizes: tuple[int, ...] = (2_400,)) -> list[int]:
        """Take steps for some seconds; the threads of these steps."""
        start, first = self.now, len(self.taken)
        while self.now < start + seconds:
            threads = self.chooser.next(stage)
            tokens = self.rng.choice(sizes)
            rates = {number: self.speed(number, self.now) for number in self.chooser.numbers}
            took = tokens / rates[threads] * self.rng.lognormvariate(0.0, self.noise)
            self.chooser.record(stage, threads, tokens, took)
            self.lost += max(0.0, took - tokens / max(rates.values()) * took * rates[threads] / tokens)
            self.now += took
            self.taken.append(threads)
        return self.taken[first:]


def alone(threads: int, now: float) -> float:
    return {1: 8_100.0, 2: 10_700.0}[threads]


def beside_another(threads: int, now: float) -> float:
    return {1: 4_600.0, 2: 1_000.0}[threads]


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.2])
def test_alone_all_threads_are_taken_and_comparing_costs_little(noise: float) -> None:
    machine = Machine(alone, ThreadChooser([1, 2]), noise)
    taken = machine.run(600.0)
    assert machine.chooser.present("full") == 2
    assert taken.count(2) / len(taken) > 0.9
    assert taken.count(1) > 1
    assert machine.lost / machine.now < (0.01 if noise < 0.1 else 0.03)


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.2])
def test_beside_another_process_one_thread_is_taken_within_seconds(noise: float) -> None:
    machine = Machine(beside_another, ThreadChooser([1, 2]), noise)
    machine.run(20.0)
    assert machine.chooser.present("full") == 1
    before = machine.lost
    machine.run(600.0)
    assert (machine.lost - before) / 600.0 < 0.05


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_company_comes_and_goes(noise: float) -> None:
    def speed(threads: int, now: float) -> float:
        return beside_another(threads, now) if 200 <= now < 400 else alone(threads, now)

    machine = Machine(speed, ThreadChooser([1, 2]), noise)
    machine.run(200.0)
    assert machine.chooser.present("full") == 2
    machine.run(30.0)
    assert machine.chooser.present("full") == 1
    machine.run(170.0)
    assert machine.chooser.present("full") == 1
    machine.run(40.0)
    assert machine.chooser.present("full") == 2


def test_a_slow_drift_of_the_machine_changes_nothing() -> None:
    def speed(threads: int, now: float) -> float:
        return alone(threads, now) * (1.0 - now / 1_200)

    machine = Machine(speed, ThreadChooser([1, 2]))
    taken = machine.run(600.0)
    assert machine.chooser.present("full") == 2
    assert taken.count(1) / len(taken) < 0.05


def test_equals_stay_with_all_threads() -> None:
    machine = Machine(lambda threads, now: 5_000.0 + 100.0 * (threads == 1), ThreadChooser([1, 2]))
    machine.run(300.0)
    assert machine.chooser.present("full") == 2


def test_steps_of_different_size_are_compared_by_token() -> None:
    machine = Machine(alone, ThreadChooser([1, 2]))
    machine.run(300.0, sizes=(300, 2_400, 5_000))
    assert machine.chooser.present("full") == 2


def test_each_stage_has_its_own_number_and_begins_with_that_of_the_one_before() -> None:
    machine = Machine(beside_another, ThreadChooser([1, 2]))
    machine.run(30.0, "embedding_warmup")
    assert machine.chooser.present("full") == 1
    machine.speed = alone
    taken = machine.run(30.0, "full")
    assert taken[0] == 1
    assert machine.chooser.present("full") == 2
    assert machine.chooser.present("embedding_warmup") == 1


def test_of_many_cores_the_fastest_number_is_found() -> None:
    def speed(threads: int, now: float) -> float:
        return {1: 3_000.0, 8: 14_000.0, 16: 9_000.0}[threads]

    machine = Machine(speed, ThreadChooser([1, 8, 16]), 0.05)
    taken = machine.run(600.0)
    assert machine.chooser.present("full") == 8
    assert Counter(taken).most_common(1)[0][0] == 8
    assert machine.lost / machine.now < 0.03


def test_a_step_without_time_or_tokens_is_no_measurement() -> None:
    chooser = ThreadChooser([1, 2])
    for _ in range(10):
        chooser.record("full", chooser.next("full"), 0, 1.0)
        chooser.record("full", chooser.next("full"), 10, 0.0)
    assert chooser.present("full") == 2


@pytest.mark.parametrize("numbers", [(), (0, 1)])
def test_numbers_of_threads_are_from_one(numbers: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="whole numbers from 1"):
        ThreadChooser(numbers)


def _options(threads: Literal["auto"] | int = "auto", steps: int | None = None) -> TrainingConfig:
    return TrainingConfig(budget=None if steps else "10m", steps=steps, threads=threads)


CASES: list[tuple[TrainingConfig, dict[str, Any], tuple[int, ...], str]] = [
    (_options(), {}, (1, 3, 6), "measuring"),
    (_options(2), {}, (2,), "training.threads"),
    (_options(2, 10), {"before": 4}, (2,), "training.threads"),
    (_options(steps=10), {}, (6,), "steps"),
    (_options(steps=10), {"before": 4}, (4,), "steps"),
    (_options(), {"environment": {"OMP_NUM_THREADS": "6"}}, (6,), "OMP_NUM_THREADS"),
    (_options(), {"world": 2}, (6,), "processes"),
    (_options(), {"device": torch.device("cuda")}, (6,), "device"),
]


@pytest.mark.parametrize(("options", "changes", "numbers", "why"), CASES)
def test_what_is_given_is_obeyed(
    options: TrainingConfig,
    changes: dict[str, Any],
    numbers: tuple[int, ...],
    why: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 6)
    arguments: dict[str, Any] = {"device": torch.device("cpu"), "world": 1, "environment": {}} | changes
    found = threads_of(options, **arguments)
    assert found.chooser.numbers == numbers
    assert why in str(found)
    assert found.pinned == (numbers[0] if len(numbers) == 1 else None)


def test_threads_are_as_before_afterwards() -> None:
    before = torch.get_num_threads()
    with threads_in_use(1) as use:
        assert torch.get_num_threads() == 1
        use(2)
        assert torch.get_num_threads() == 2
        assert Threads.fixed().pinned == 2
    assert torch.get_num_threads() == before


def _train(
    path: Path, options: TrainingConfig, progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[int], str]:
    """Train a tiny classifier with two threads at hand; the threads of its lines, and what was said."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with threads_in_use(2):
        train_classifier(path, Settings(options), progress)
    lines = read_metrics(RunDirectory(path).metrics)
    return [line["threads"] for line in lines], progress.console.export_text()


def test_a_run_measured_in_steps_keeps_its_number(
    listening: Listening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = TrainingConfig(budget=None, steps=20, precision="fp32", trackers=())
    used, said = _train(tmp_path / "run", options, listening(), monkeypatch)
    assert used == [2, 2]
    assert "threads: 2, the same to the end" in said
    checkpoint = newest_checkpoint(tmp_path / "run" / "checkpoints")
    assert checkpoint is not None
    assert checkpoint.state.threads == 2
    with threads_in_use(1):
        longer, progress = replace(options, steps=30), listening()
        train_classifier(tmp_path / "run", Settings(longer), progress)
    assert "threads: 2, the same" in progress.console.export_text()
    used, said = _train(tmp_path / "run", replace(options, steps=40, threads=1), listening(), monkeypatch)
    assert used == [2, 2, 2, 1]
    assert "were 2 so far; this may change bits" in said


@pytest.mark.slow
def test_a_run_measured_in_time_compares_while_it_trains(
    listening: Listening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    real = torch.set_num_threads

    def noted(number: int) -> None:
        asked.append(number)
        real(number)

    monkeypatch.setattr(torch, "set_num_threads", noted)
    options = TrainingConfig(budget="3s", log_every=0.5, precision="fp32", trackers=())
    used, said = _train(tmp_path / "run", options, listening(), monkeypatch)
    assert "threads: 1 or 2, chosen by measuring" in said
    assert set(used) <= {1, 2}
    assert 1 in asked[1:-1], "one thread was tried"
    checkpoint = newest_checkpoint(tmp_path / "run" / "checkpoints")
    assert checkpoint is not None
    assert checkpoint.state.threads is None
