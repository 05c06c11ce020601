"""A process that trains a run, watched through the run's files alone, and stopped from outside."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from xformer.errors import InputError
from xformer.progress import Progress
from xformer.runs.checkpoint_folders import checkpoint_folders, half_written, unfinished
from xformer.runs.directory import RunDirectory
from xformer.runs.metrics import read_metrics
from xformer.runs.settings import Settings
from xformer.training.verify_resume.fault_plan import Strike, Struck

Train = Callable[[Path, Settings, Progress], bool]
"""Trains a run from wherever it is; whether it is complete. A function of a module, since it is pickled."""

_GLANCE = 5e-4  # seconds between two looks at a run
_LAST = "state.json"  # the last file of a checkpoint, which seals it


class Child:
    """Such a process. Use it as a context manager."""

    def __init__(
        self, run: RunDirectory, train: Train[Settings], config: Settings, threads: int | None
    ) -> None:
        self._run, self._training = run, config.training
        self._log = _log_of(run)
        self._before = self._opened()
        self._read = (0, 0)  # size of the log, step of its last line
        context = multiprocessing.get_context("forkserver")
        self._wait, self._go = context.Pipe(duplex=False)
        arguments = (self._wait, train, run.path, config, self._log, threads)
        self._process = context.Process(target=_train, args=arguments)

    def __enter__(self) -> Child:
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

    def strike(self, strike: Strike, prepared: float, pace: float) -> Struck | None:
        """Wait for the moment and stop the process.

        Args:
            strike: the moment.
            prepared: seconds it took an unbroken run to prepare.
            pace: seconds between two lines of its log.

        Returns:
            What was hit; None if the run was complete before.
        """
        if strike.kind == "preparing":
            self._pause(strike.after * prepared)
        else:
            goal = self._line_of(strike.after)
            self.wait_for(lambda: (step := self.step()) is not None and step >= goal)
        if strike.kind == "checkpoint":
            before = checkpoint_folders(self._run.checkpoints)
            self.wait_for(lambda: self._writing(strike.part, before))
            # The last file is followed by the renaming, and by the removal of older ones.
            self._pause(strike.delay * 2e-3 if strike.part == _LAST else 0.0)
        elif strike.kind != "preparing":
            self._pause(strike.delay * pace)
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
        torn = tuple(path.name for path in unfinished(self._run.checkpoints))
        half = bool(torn or half_written(self._run.checkpoints))
        return Struck(strike.kind, self.step() or 0, half, torn)

    def _pause(self, seconds: float) -> None:
        limit = time.monotonic() + seconds
        self.wait_for(lambda: time.monotonic() >= limit)

    def _line_of(self, share: float) -> int:
        """The step of the log's line that has to be there after this share of the run; not of its last."""
        steps, every = self._training.steps or 0, self._training.log_steps
        return min(math.ceil(share * steps), max(0, steps - 1) // every * every)

    def _writing(self, part: str, before: list[Path]) -> bool:
        """Whether a checkpoint is half written, with this file in it; the last file may have been renamed."""
        folder = self._run.checkpoints
        try:
            half = [*half_written(folder), *unfinished(folder)]
            if any((path / part).exists() for path in half):
                return True
            return part == _LAST and not set(checkpoint_folders(folder)) <= set(before)
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


def begin_log(run: RunDirectory) -> None:
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


def start_server(train: Train[Any]) -> None:
    """Start the process that has imported everything and begun nothing: it forks each other in milliseconds.

    A terminal sends Ctrl-C to all of them. It is heard here alone, and here they are ended.
    """
    forkserver.set_forkserver_preload(
        [
            __name__,
            train.__module__,
            "torch.distributed.checkpoint",
            "torch.utils.tensorboard",
            "matplotlib.figure",
        ]
    )
    resource_tracker.ensure_running()  # the server would, and let signals through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()  # what is blocked here is blocked in it, and in what it forks
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _train(
    wait: Connection, train: Train[Settings], path: Path, config: Settings, log: Path, threads: int | None
) -> None:
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
            complete = train(path, config, Progress(Console(file=file)))
        except InputError as error:
            file.write(f"{error}\n")
            file.flush()
            os._exit(2)
    sys.exit(0 if complete else 130)


def _end_with_parent() -> None:
    """End with the process that started this one."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
