"""Lines of the log: losses and speed since the line before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from xformer.progress import Progress
from xformer.runs.checkpoint import TrainingState
from xformer.runs.config import TrackerName, TrainingConfig
from xformer.runs.directory import RunDirectory
from xformer.runs.metrics import MetricsLog
from xformer.runs.trackers import Trackers
from xformer.training.optimizer import AdamWithTables
from xformer.training.schedule import Span
from xformer.training.tally import Tally
from xformer.training.task import Stage


class Meter:
    """Measures losses and speed for one line of the log.

    Attributes:
        tally: losses and counts of the line's steps.
    """

    def __init__(self, tally: Tally[Any], now: float, tokens: int, waited: float = 0.0) -> None:
        """Start a line.

        Args:
            tally: for the line's steps.
            now: seconds on the clock.
            tokens: number of tokens read before.
            waited: seconds that the loop waited for batches before.
        """
        self.tally = tally
        self._logged = self._start = now
        self._tokens, self._waited = tokens, waited

    def pause(self, seconds: float) -> None:
        """Do not count these seconds, in which nothing was trained."""
        self._start += seconds

    def line_is_due(self, options: TrainingConfig, state: TrainingState, now: float) -> bool:
        """Whether the line is due, by `training.log_steps` or `training.log_every`."""
        if options.steps is not None:
            return state.step % options.log_steps == 0
        return now - self._logged >= options.log_every

    def line(
        self, state: TrainingState, stage: Stage, now: float, waited: float, threads: int
    ) -> dict[str, Any]:
        """The line.

        Args:
            state: the state of the run.
            stage: stage of the last step.
            now: seconds on the clock.
            waited: seconds that the loop has waited for batches since it began.
            threads: number of CPU threads of a step.
        """
        seconds = now - self._start
        return {
            "step": state.step,
            "elapsed": round(state.elapsed, 3),
            "tokens": state.tokens,
            "tokens_per_s": round((state.tokens - self._tokens) / seconds, 1),
            "threads": threads,
            "data_wait": round((waited - self._waited) / seconds, 5),
            "lr_factor": {name: round(factor, 6) for name, factor in stage.lr_factors.items()},
            "stage": stage.name,
            "gradient_norm": round(self.tally.norm, 5),
            "skipped": state.skipped,
            "spikes": state.spikes,
            "loss": {name: round(value, 5) for name, value in self.tally.means().items()},
        } | self.tally.fields()


def open_log(
    run: RunDirectory,
    trackers: Sequence[TrackerName],
    state: TrainingState,
    is_first: bool,
    say: Callable[[str], None],
    optimizer: AdamWithTables,
) -> MetricsLog:
    """Open the log of a run that resumes from `state`; only process 0 has trackers.

    The trackers get learning rates beside the factors of the log: those are of the optimizer's groups.

    Raises:
        InputError: the log cannot be written, or a line is invalid.
    """
    names = trackers if is_first else ()
    rates = {group["name"]: group["base_lr"] for group in optimizer.param_groups}
    also = Trackers(names, run.events, run.path.resolve().name, state.step, say, rates)
    return MetricsLog(run.metrics, state.step, also, state.lines if is_first else None)


def show(progress: Progress, span: Span, line: dict[str, Any]) -> None:
    """Report a line of the log as progress."""
    means = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in line["loss"].items())
    threads = f"{line['threads']} thread{'s' * (line['threads'] != 1)}"
    note = f"step {line['step']:,}, {line['tokens_per_s']:,.0f} tokens/s on {threads}, {means}"
    if span.steps is not None:
        progress("train", line["step"], span.steps, note)
    else:
        budget = round(span.budget or 0)
        progress("train", min(round(line["elapsed"]), budget), budget, note, seconds=True)
