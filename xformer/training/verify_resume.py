"""The proof that stopping leaves no trace: one run that never stops, one that is killed again and again.

Both have the same settings. The first is left alone. The second is struck by SIGKILL, at instants drawn from
a seed: while it prepares its data, in the middle of steps, and while a checkpoint is being written; sometimes
it is asked to stop instead (SIGTERM). Each time the same call goes on from what lies on the disk. In the end
the two run directories must agree in every bit that is not a clock's.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

import torch
from rich.console import Console

from xformer.errors import InputError
from xformer.progress import Progress
from xformer.run_config import RunConfig
from xformer.training.checkpoint import half_written
from xformer.training.compare_runs import Comparison, compare_runs
from xformer.training.metrics import read_metrics
from xformer.training.pretrain import pretrain
from xformer.training.run_directory import RunDirectory

Kind = Literal["preparing", "training", "checkpoint", "asked"]
_GLANCE = 5e-4  # seconds between two looks at a run


@dataclass(frozen=True)
class Strike:
    """When to stop a run.

    Attributes:
        kind: while it prepares, in the middle of steps, while it writes a checkpoint, or asked kindly.
        after: share of the steps (of the preparation) to let pass first, in [0, 0.9).
        delay: how long to wait then, as a share of the time between two lines of the log.
        part: a file of the checkpoint that has to be there already, if that is what is waited for.
    """

    kind: Kind
    after: float
    delay: float
    part: str


@dataclass(frozen=True)
class Struck:
    """What a strike hit.

    Attributes:
        kind: what was meant to be hit.
        step: of the last line in the log, 0 if there was none.
        half_written: whether a half-written checkpoint lay on the disk afterwards.
    """

    kind: Kind
    step: int
    half_written: bool


@dataclass(frozen=True)
class Verdict:
    """What came of it.

    Attributes:
        steps: length of the runs.
        struck: every stop, in order.
        rows: what was compared.
        seconds: how long all of it took.
    """

    steps: int
    struck: tuple[Struck, ...]
    rows: tuple[Comparison, ...]
    seconds: float

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not any(row.differences for row in self.rows)


def plan_strikes(count: int, seed: int) -> list[Strike]:
    """Draw when to strike: a sixth while preparing, a third while a checkpoint is written, a sixth kindly.

    Args:
        count: how many, from 1.
        seed: the source of chance.
    """
    rng = random.Random(seed)
    kinds: list[Kind] = ["checkpoint", "training", "preparing", "checkpoint", "training", "asked"]
    parts = ("", "model.safetensors", "optimizer.safetensors", "state.json")
    strikes = [
        Strike(kinds[number % len(kinds)], 0.9 * rng.random(), rng.random(), rng.choice(parts))
        for number in range(count)
    ]
    # Preparing comes before steps, and steps come in order.
    return sorted(strikes, key=lambda strike: (strike.kind != "preparing", strike.after))


def verify_resume(
    folder: Path, config: RunConfig, strikes: Sequence[Strike], progress: Progress, threads: int | None = None
) -> Verdict:
    """Train twice, once without stopping and once struck, and compare.

    Args:
        folder: where the two runs go: `whole` and `stopped`, and what they said, in `.log` files. It is made
            if it is missing.
        config: settings of a run that is measured in steps.
        strikes: when to stop the second, in order.
        progress: where to show what happens.
        threads: threads of each process; None for PyTorch's choice.

    Raises:
        InputError: the settings are measured in time, the folder cannot be written to, or a run ended by
            itself with an error.
    """
    steps = config.training.steps
    if steps is None:
        raise InputError(
            "training.steps: expected a number; a run that is measured in time is never the same twice"
        )

    def with_checkpoints(every: float) -> RunConfig:
        return replace(config, training=replace(config.training, checkpoint_every=every))

    start = time.monotonic()
    whole, stopped = RunDirectory(folder / "whole"), RunDirectory(folder / "stopped")
    for run in (whole, stopped):
        _begin_log(run)
    _start_server()
    progress.say(f"a run of {steps:,} steps that never stops")
    with _Child(whole, with_checkpoints(1e9), threads) as child:
        prepared = child.wait_for(lambda: child.step() is not None)
        child.finish()
    lines = read_metrics(whole.metrics)
    pace = lines[-1]["elapsed"] / len(lines) if lines else 1.0
    struck: list[Struck] = []
    for strike in strikes:
        # To be hit, checkpoints are written after each step; else there are lines between them, to be undone.
        every = 1e-9 if strike.kind == "checkpoint" else 2 * pace
        with _Child(stopped, with_checkpoints(every), threads) as child:
            hit = child.strike(strike, steps, prepared, pace)
        if hit is None:
            break
        struck.append(hit)
        progress("strikes", len(struck), len(strikes), f"step {hit.step:,}, {hit.kind}")
    with _Child(stopped, with_checkpoints(2 * pace), threads) as child:
        child.finish()
    rows = compare_runs(whole, stopped)
    return Verdict(steps, tuple(struck), rows, time.monotonic() - start)


class _Child:
    """A process that trains a run, watched through its files alone. Use it as a context manager."""

    def __init__(self, run: RunDirectory, config: RunConfig, threads: int | None) -> None:
        self._run = run
        self._log = _log_of(run)
        self._before = self._opened()
        self._read = (0, 0)  # size of the log, step of its last line
        context = multiprocessing.get_context("forkserver")
        self._wait, self._go = context.Pipe(duplex=False)
        arguments = (self._wait, run.path, config, self._log, threads)
        self._process = context.Process(target=_train, args=arguments)

    def __enter__(self) -> _Child:
        try:
            # Interrupted here, nobody knows of the process; it will find that there is nobody to say go.
            self._process.start()
            self._go.send(True)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._wait.close()
        self._go.close()
        if self._process.pid is not None:
            self._process.kill()
            self._process.join()
        self._process.close()

    def step(self) -> int | None:
        """Of the last line of the log that this process opened: 0 before the first line, None before that."""
        # Each process begins by putting a new file in its place.
        if self._opened() in (None, self._before):
            return None
        size = self._run.metrics.stat().st_size
        if size != self._read[0]:
            lines = read_metrics(self._run.metrics)
            self._read = size, lines[-1]["step"] if lines else 0
        return self._read[1]

    def wait_for(self, happened: Callable[[], bool]) -> float:
        """Look again and again until something has happened or the process ends; how many seconds it took."""
        start = time.monotonic()
        while not happened() and self._process.exitcode is None:
            time.sleep(_GLANCE)
        return time.monotonic() - start

    def finish(self) -> None:
        """Let it come to its end.

        Raises:
            InputError: it did not end well; what it said last is given.
        """
        self._process.join()
        if self._process.exitcode:
            said = self._log.read_text(encoding="utf-8").strip().rsplit("\n", 3)[-3:]
            raise InputError(
                f"{self._run.path}: training ended with {self._process.exitcode}: {'; '.join(said)}"
            )

    def strike(self, strike: Strike, steps: int, prepared: float, pace: float) -> Struck | None:
        """Wait for the moment and stop the process.

        Args:
            strike: the moment.
            steps: length of the run.
            prepared: seconds it took an unbroken run to prepare.
            pace: seconds between two lines of its log.

        Returns:
            What was hit; None if the run was complete before.
        """
        if strike.kind == "preparing":
            limit = time.monotonic() + strike.after * prepared
            self.wait_for(lambda: time.monotonic() >= limit)
        else:
            self.wait_for(lambda: (self.step() or 0) >= strike.after * steps)
        if strike.kind == "checkpoint":
            self.wait_for(lambda: self._writing(strike.part))
            # The last file is followed by the renaming, and by the removal of older ones.
            time.sleep(strike.delay * 2e-3 if strike.part == "state.json" else 0.0)
        elif strike.kind != "preparing":
            time.sleep(strike.delay * pace)
        if strike.kind == "asked":
            self._process.terminate()
            self._process.join()
        else:
            self._process.kill()
            self._process.join()
        if self._process.exitcode == 0:
            return None
        if self._process.exitcode not in (-signal.SIGKILL, -signal.SIGTERM, 130):
            self.finish()
        return Struck(strike.kind, self.step() or 0, self._writing(""))

    def _writing(self, part: str) -> bool:
        """Whether a half-written checkpoint lies there, with this file already in it."""
        try:
            return any((path / part).exists() for path in half_written(self._run.checkpoints))
        except OSError:  # it was renamed while one looked
            return False

    def _opened(self) -> int | None:
        try:
            return os.stat(self._run.metrics).st_ino
        except FileNotFoundError:
            return None


def _log_of(run: RunDirectory) -> Path:
    """What a run's processes say goes there; the run's folder is theirs to make."""
    return run.path.with_suffix(".log")


def _begin_log(run: RunDirectory) -> None:
    """Begin the file of what a run's processes say.

    Raises:
        InputError: it cannot be written.
    """
    log = _log_of(run)
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch()
    except OSError as error:
        raise InputError(
            f"{log.parent}: {error.strerror}; expected a folder that can be written to"
        ) from error


def _start_server() -> None:
    """Start the process that has imported everything and begun nothing: it forks each other in milliseconds.

    A terminal sends Ctrl-C to all of them. It is heard here alone, and here they are ended.
    """
    forkserver.set_forkserver_preload(
        [__name__, "torch.distributed.checkpoint", "torch.utils.tensorboard", "matplotlib.figure"]
    )
    resource_tracker.ensure_running()  # the server would, and let signals through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()  # what is blocked here is blocked in it, and in what it forks
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _train(wait: Connection, path: Path, config: RunConfig, log: Path, threads: int | None) -> None:
    """What the process does, once it is told to: all that it says, tracebacks too, goes to a file."""
    try:
        wait.recv()
    except EOFError:
        os._exit(1)
    with open(log, "a", encoding="utf-8") as file:
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
        threading.Thread(target=_end_with_parent, daemon=True).start()
        if threads is not None:
            torch.set_num_threads(threads)
        try:
            complete = pretrain(path, config, Progress(Console(file=file)))
        except InputError as error:
            file.write(f"{error}\n")
            file.flush()
            os._exit(2)
    sys.exit(0 if complete else 130)


def _end_with_parent() -> None:
    """Train for nobody no longer than that."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
