"""Experiment trackers: TensorBoard and trackio get a run's numbers (`training.trackers`).

| name | what |
|---|---|
| `loss/…`, `tokens_per_s`, `data_wait` and so on | fields of metrics.jsonl |
| `learning_rate/…` | of each group of parameters |
| `panel/…` | means of the panel: `mean_top1`, `mean_bits_per_byte`, `centroid_gap` and so on |
| `panel_top1/…`, `panel_bits_per_byte/…` | the panel's scores by language |
| `test/…`, `test_top1/…`, `test_bits_per_byte/…` | the same of `xformer evaluate`, with its baselines |

If a tracker fails, one message says so, and training goes on without it.
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
_EXTRAS: Mapping[TrackerName, str] = {"tensorboard": "plot", "trackio": "trackio"}


class Tracker(Protocol):
    """One tracker. Its constructor and its methods may raise any exception."""

    def write(self, numbers: Mapping[str, float], step: int, late: bool = False) -> None:
        """Record the numbers of a step.

        Args:
            numbers: by name.
            step: the step.
            late: whether they are of a step whose other numbers have been recorded before.
        """

    def close(self) -> None:
        """Save all that was recorded."""


class TensorBoard:
    """Event files in the run's own folder."""

    def __init__(self, folder: Path, step: int) -> None:
        """Open the folder. Events of later steps are dropped; in a new run, all events are.

        Args:
            folder: for the event files.
            step: steps that the run has done.
        """
        from torch.utils.tensorboard import SummaryWriter

        if not step and folder.exists():
            shutil.rmtree(folder)
        self._folder = folder
        self._writer: Any = SummaryWriter(str(folder), purge_step=step + 1)

    def write(self, numbers: Mapping[str, float], step: int, late: bool = False) -> None:
        """Record the numbers of a step. Errors of the writer's thread are raised by a later call."""
        # The folder may have been removed while the run goes on.
        self._folder.mkdir(parents=True, exist_ok=True)
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Save all that was recorded."""
        self._writer.close()


class Trackio:
    """A run of the project `xformer` in trackio: `trackio show --project xformer`.

    A run that goes on from a checkpoint goes on in trackio, too. trackio cannot remove steps, so steps that
    it has keep their first numbers and are not written again. Its last step is known if trackio stores runs
    on this machine; otherwise the steps after the checkpoint appear twice.
    """

    def __init__(self, name: str, step: int) -> None:
        """Open the run.

        Args:
            name: of the run.
            step: steps that the run has done; at 0 it is a new run, even if trackio has one of this name.
        """
        import trackio

        resume = "allow" if step else "never"
        # trackio prints a greeting, and standard output is for the results of commands.
        with redirect_stdout(io.StringIO()):
            self._run: Any = trackio.init(project=_PROJECT, name=name, resume=resume, embed=False)
        self._finish: Callable[[], None] = trackio.finish
        self._seen = _last_step(name) if step else 0

    def write(self, numbers: Mapping[str, float], step: int, late: bool = False) -> None:
        """Record the numbers of a step, unless trackio has that step and they are not `late`."""
        if late or step > self._seen:
            self._run.log(dict(numbers), step=step)

    def close(self) -> None:
        """Save all that was recorded."""
        with redirect_stdout(io.StringIO()):
            self._finish()


def _last_step(name: str) -> int:
    """The last step that trackio has stored for a run on this machine; 0 if there is none."""
    from trackio.sqlite_storage import SQLiteStorage

    return max((int(one["step"]) for one in SQLiteStorage.get_logs(_PROJECT, name)), default=0)


class Trackers:
    """All trackers of a run. No method raises an exception of a tracker."""

    def __init__(
        self,
        names: Sequence[TrackerName],
        folder: Path,
        run: str,
        step: int,
        say: Say,
        rates: Mapping[str, float] | None = None,
    ) -> None:
        """Open the trackers.

        Args:
            names: the trackers to open.
            folder: for TensorBoard's event files.
            run: name of the run.
            step: steps that the run has done.
            say: called with a message for each tracker that is not installed or fails.
            rates: full learning rate of each group of parameters that `lr_factor` of a line names.
        """
        self._say, self._rates = say, rates or {}
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
        """Record a line of metrics.jsonl: its numbers, those of its tables (`table/name`), and its rates."""
        numbers = dict(_numbers(line))
        for name, factor in line.get("lr_factor", {}).items():
            if name in self._rates:
                numbers[f"learning_rate/{name}"] = self._rates[name] * factor
        self._call(lambda tracker: tracker.write(numbers, line["step"]))

    def add(self, numbers: Mapping[str, float], step: int, late: bool = False) -> None:
        """Record other numbers of a step.

        Args:
            numbers: by name, all finite.
            step: the step.
            late: whether the step's other numbers may have been recorded by an earlier process.
        """
        self._call(lambda tracker: tracker.write(numbers, step, late))

    def close(self) -> None:
        """Close all trackers."""
        self._call(lambda tracker: tracker.close())
        self._open.clear()

    def _call(self, method: Callable[[Tracker], None]) -> None:
        for name, tracker in list(self._open.items()):
            try:
                method(tracker)
            except Exception as error:
                self._drop(name, error)

    def _drop(self, name: TrackerName, error: Exception) -> None:
        self._say(f"training.trackers: {name} failed ({error}); going on without it")
        failed = self._open.pop(name, None)
        if failed is not None:
            with suppress(Exception):
                failed.close()


def _numbers(line: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for key, value in line.items():
        if isinstance(value, int | float) and key != "step":
            yield key, value
        if isinstance(value, dict):
            yield from ((f"{key}/{name}", x) for name, x in value.items() if isinstance(x, int | float))
