"""A child process that trains a run, and the injection of faults into it.

The parent reads the progress of the child from the run's files alone.
"""

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
from xformer.runs.checkpoint_folders import STATE, checkpoint_folders, half_written, unfinished
from xformer.runs.directory import RunDirectory
from xformer.runs.metrics import read_metrics
from xformer.runs.settings import Settings
from xformer.training.verify_resume.fault_plan import Fault, InjectedFault

Train = Callable[[Path, Settings, Progress], bool]
"""Starts or resumes a run; returns whether it is complete. A function of a module, since it is pickled."""

_POLL_SECONDS = 5e-4  # time between two checks of a run's files


class Child:
    """A child process that trains a run. Use it as a context manager; it is killed on exit."""

    def __init__(
        self, run: RunDirectory, train: Train[Settings], config: Settings, threads: int | None
    ) -> None:
        self._run, self._training = run, config.training
        self._log = _open_log(run)
        self._before = self._log_inode()
        self._read = (0, 0)  # size of the log, step of its last line
        context = multiprocessing.get_context("forkserver")
        self._wait, self._start = context.Pipe(duplex=False)
        arguments = (self._wait, train, run.path, config, self._log, threads)
        self._process = context.Process(target=_train, args=arguments)

    def __enter__(self) -> Child:
        try:
            # An interrupt between these two lines closes the pipe, and the child ends.
            self._process.start()
            self._start.send(True)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._wait.close()
        self._start.close()
        if self._process.pid is not None:
            self._process.kill()
            self._process.join()
        self._process.close()

    def step(self) -> int | None:
        """Step of the last line of the child's log; 0 before any line, None before the log is opened."""
        # A child that opens the log replaces the file.
        if self._log_inode() in (None, self._before):
            return None
        size = self._run.metrics.stat().st_size
        if size != self._read[0]:
            lines = read_metrics(self._run.metrics)
            self._read = size, lines[-1]["step"] if lines else 0
        return self._read[1]

    def wait_for(self, happened: Callable[[], bool]) -> float:
        """Wait until `happened()` is true or the process ends; return the seconds that passed."""
        start = time.monotonic()
        while not happened() and self._process.exitcode is None:
            time.sleep(_POLL_SECONDS)
        return time.monotonic() - start

    def finish(self) -> None:
        """Wait until the process ends.

        Raises:
            InputError: it failed; the last lines of its output are quoted.
        """
        self._process.join()
        if self._process.exitcode:
            output = self._log.read_text(encoding="utf-8").strip().rsplit("\n", 3)[-3:]
            raise InputError(
                f"{self._run.path}: training ended with {self._process.exitcode}: {'; '.join(output)}"
            )

    def inject(self, fault: Fault, prepared: float, pace: float) -> InjectedFault | None:
        """Wait for the moment of a fault and stop the process.

        Args:
            fault: when and how to stop it.
            prepared: seconds that the run without faults took to prepare its data.
            pace: seconds between two lines of that run's log.

        Returns:
            What the fault did; None if the run was complete before.
        """
        if fault.kind == "preparing":
            limit = time.monotonic() + fault.after * prepared
            # The machine may be faster than it was for the run without faults.
            self.wait_for(lambda: time.monotonic() >= limit or self.step() is not None)
        else:
            goal = self._logged_step(fault.after)
            self.wait_for(lambda: (step := self.step()) is not None and step >= goal)
        if fault.kind == "checkpoint":
            before = checkpoint_folders(self._run.checkpoints)
            self.wait_for(lambda: self._writing(fault.part, before))
            # After the last file, the folder is renamed and older checkpoints are removed.
            self._pause(fault.delay * 2e-3 if fault.part == STATE else 0.0)
        elif fault.kind != "preparing":
            self._pause(fault.delay * pace)
        stop = self._process.terminate if fault.kind == "asked" else self._process.kill
        stop()
        self._process.join()
        if self._process.exitcode == 0:
            return None
        if self._process.exitcode not in (-signal.SIGKILL, -signal.SIGTERM, 130):
            self.finish()
        torn = tuple(path.name for path in unfinished(self._run.checkpoints))
        half = bool(torn or half_written(self._run.checkpoints))
        return InjectedFault(fault.kind, self.step() or 0, half, torn)

    def _pause(self, seconds: float) -> None:
        limit = time.monotonic() + seconds
        self.wait_for(lambda: time.monotonic() >= limit)

    def _logged_step(self, share: float) -> int:
        """Step of the log line that is written once this share of the run is done; never the last line."""
        steps, every = self._training.steps or 0, self._training.log_steps
        return min(math.ceil(share * steps), max(0, steps - 1) // every * every)

    def _writing(self, part: str, before: list[Path]) -> bool:
        """Whether an unfinished checkpoint has the file `part`, or a new one has just been completed."""
        folder = self._run.checkpoints
        try:
            half = [*half_written(folder), *unfinished(folder)]
            if any((path / part).exists() for path in half):
                return True
            return part == STATE and not set(checkpoint_folders(folder)) <= set(before)
        except OSError:  # it was renamed meanwhile
            return False

    def _log_inode(self) -> int | None:
        try:
            return os.stat(self._run.metrics).st_ino
        except FileNotFoundError:
            return None


def _open_log(run: RunDirectory) -> Path:
    """Create the file for the output of a run's processes, beside the run's folder, which only they may make.

    Raises:
        InputError: it cannot be written.
    """
    log = run.path.with_suffix(".log")
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch()
    except OSError as error:
        raise InputError(
            f"{log.parent}: {error.strerror}; expected a folder that can be written to"
        ) from error
    return log


def start_server(train: Train[Any]) -> None:
    """Start a fork server that has imported all modules, so that each child starts in milliseconds.

    A terminal sends Ctrl-C to all processes. The server and the children ignore it; this process ends them.
    """
    lazily_imported = ["torch.distributed.checkpoint", "torch.utils.tensorboard", "matplotlib.figure"]
    lazily_imported.append("torch._dynamo")  # by the first optimizer of a process
    forkserver.set_forkserver_preload([__name__, train.__module__, *lazily_imported])
    resource_tracker.ensure_running()  # started by the server, it would unblock the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()  # the server and its children inherit the blocked signal
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _train(
    wait: Connection, train: Train[Settings], path: Path, config: Settings, log: Path, threads: int | None
) -> None:
    """Train in the child process, once the parent says so; all output, with tracebacks, goes to `log`."""
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
    """End this process when its parent ends."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
