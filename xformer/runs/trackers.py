"""Where a run's numbers go besides metrics.jsonl: TensorBoard, trackio, or both, as `training.trackers` says.

A tracker is for looking at. The run neither needs nor waits for one: whatever fails in it is said once, and
training goes on without it.
"""

from __future__ import annotations

import importlib.util
import io
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import Any, Protocol

from xformer.runs.config import TrackerName

Say = Callable[[str], None]

_PROJECT = "xformer"


class Tracker(Protocol):
    """What a tracker has to do; each of the three may raise anything."""

    def write(self, numbers: Mapping[str, float], step: int) -> None:
        """Take the numbers of a step."""

    def close(self) -> None:
        """Write down what was taken."""


class TensorBoard:
    """Event files in the run's own folder."""

    def __init__(self, folder: Path, step: int) -> None:
        """Begin at `step`; what TensorBoard has of later steps it forgets, and of a new run all.

        Args:
            folder: for the event files.
            step: how far the run is.
        """
        from torch.utils.tensorboard import SummaryWriter

        if not step and folder.exists():
            shutil.rmtree(folder)
        self._folder = folder
        self._writer: Any = SummaryWriter(str(folder), purge_step=step + 1)

    def write(self, numbers: Mapping[str, float], step: int) -> None:
        """Take the numbers of a step. Its writer has a thread, whose failures come out at some later call."""
        # Someone may have cleared it away: what comes now is worth a new one.
        self._folder.mkdir(parents=True, exist_ok=True)
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Write down what was taken."""
        self._writer.close()


class Trackio:
    """A run of the project `xformer` where trackio keeps its projects: `trackio show --project xformer`.

    A run that goes on from a checkpoint goes on there too. trackio can take nothing back: steps that it has
    seen keep the numbers that it was told first, and are not told again. It is asked for its last step where
    it keeps runs on this machine; on another's, steps after the checkpoint are there twice.
    """

    def __init__(self, name: str, step: int) -> None:
        """Begin at `step`.

        Args:
            name: of the run.
            step: how far the run is; at 0 it is a new one, even if there is one of that name.
        """
        import trackio

        resume = "allow" if step else "never"
        # It greets on standard output, which belongs to commands' results.
        with redirect_stdout(io.StringIO()):
            self._run: Any = trackio.init(project=_PROJECT, name=name, resume=resume, embed=False)
        self._finish: Callable[[], None] = trackio.finish
        self._seen = _last_step(name) if step else 0

    def write(self, numbers: Mapping[str, float], step: int) -> None:
        """Take the numbers of a step, unless it has been told that step."""
        if step > self._seen:
            self._run.log(dict(numbers), step=step)

    def close(self) -> None:
        """Write down what was taken."""
        with redirect_stdout(io.StringIO()):
            self._finish()


def _last_step(name: str) -> int:
    """The last step that trackio keeps of a run on this machine; 0 if it keeps none."""
    from trackio.sqlite_storage import SQLiteStorage

    return max((int(one["step"]) for one in SQLiteStorage.get_logs(_PROJECT, name)), default=0)


class Trackers:
    """All trackers of a run, as one that never fails."""

    def __init__(self, names: Sequence[TrackerName], folder: Path, run: str, step: int, say: Say) -> None:
        """Open each.

        Args:
            names: which.
            folder: TensorBoard's.
            run: name of the run.
            step: how far it is.
            say: told about each that is not installed or fails, once.
        """
        self._say = say
        self._open: dict[TrackerName, Tracker] = {}
        for name in names:
            if importlib.util.find_spec(name) is None:
                say(f"training.trackers: {name} is not installed (pip install 'xformer[{_EXTRAS[name]}]')")
                continue
            try:
                self._open[name] = TensorBoard(folder, step) if name == "tensorboard" else Trackio(run, step)
            except Exception as error:
                self._drop(name, error)

    def write(self, line: Mapping[str, Any]) -> None:
        """Take the numbers of a line of metrics.jsonl, and those one table down."""
        numbers = dict(_numbers(line))
        for name, tracker in list(self._open.items()):
            try:
                tracker.write(numbers, line["step"])
            except Exception as error:
                self._drop(name, error)

    def close(self) -> None:
        """Close each; none is open after this."""
        for name, tracker in list(self._open.items()):
            try:
                tracker.close()
            except Exception as error:
                self._drop(name, error)
        self._open.clear()

    def _drop(self, name: TrackerName, error: Exception) -> None:
        self._say(f"training.trackers: {name} failed ({error}); going on without it")
        failed = self._open.pop(name, None)
        if failed is not None:
            with suppress(Exception):
                failed.close()


_EXTRAS: Mapping[TrackerName, str] = {"tensorboard": "plot", "trackio": "trackio"}


def _numbers(line: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for key, value in line.items():
        if isinstance(value, int | float) and key != "step":
            yield key, value
        if isinstance(value, dict):
            yield from ((f"{key}/{name}", x) for name, x in value.items() if isinstance(x, int | float))
