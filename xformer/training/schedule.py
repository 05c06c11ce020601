"""The length of a run and its learning rate schedule."""

from __future__ import annotations

from dataclasses import dataclass

from xformer.progress import duration
from xformer.runs.checkpoint import TrainingState
from xformer.runs.config import TrainingConfig
from xformer.runs.duration import seconds


@dataclass(frozen=True)
class Span:
    """The length of a run: in steps, or in seconds of training; less if it stops early.

    Attributes:
        steps: number of steps, or None.
        budget: seconds, or None; exactly one of the two is set.
        patience: number of evaluations without a better one after which the run ends; None for no such end.
    """

    steps: int | None
    budget: float | None
    patience: int | None = None

    @classmethod
    def of(cls, config: TrainingConfig) -> Span:
        """The span that the settings ask for."""
        budget = None if config.budget is None else seconds(config.budget)
        return cls(config.steps, budget, config.patience)

    def over(self, state: TrainingState) -> bool:
        """Whether the run has ended: its length is reached, or its last evaluations were not its best."""
        return self.progress(state.step, state.elapsed) >= 1.0 or self.stopped_early(state)

    def stopped_early(self, state: TrainingState) -> bool:
        """Whether the last `patience` evaluations, or more, are not better than the best before them."""
        losses = [loss for _, loss in state.evaluations]
        if self.patience is None or len(losses) <= self.patience:
            return False
        return min(losses[-self.patience :]) >= min(losses[: -self.patience])

    def progress(self, step: int, elapsed: float) -> float:
        """Share of the run that is done after `step` steps and `elapsed` seconds, from 0 to 1."""
        share = step / self.steps if self.steps is not None else elapsed / (self.budget or 1.0)
        return min(share, 1.0)

    def account(self, step: int, elapsed: float) -> str:
        """What is trained and what is to go: `10 min 0 s of 30 min 0 s are trained, 20 min 0 s to go`.

        Args:
            step: number of steps taken, in all calls.
            elapsed: seconds trained, in all calls.
        """
        if self.steps is not None:
            done, whole, rest = f"{step:,}", f"{self.steps:,} steps", f"{max(0, self.steps - step):,}"
        else:
            budget = self.budget or 0.0
            done, whole, rest = map(duration, (elapsed, budget, max(0.0, budget - elapsed)))
        return f"{done} of {whole} are trained, {rest} to go" if step else f"{whole} to go"


def learning_rate_factor(progress: float, warmup: float, decay: float, final: float) -> float:
    """Warm-up, stable, decay (Hu et al. 2024): linear up, flat, linear down to `final`.

    Args:
        progress: share of the run that is done.
        warmup: share of the run in which the rate rises.
        decay: share of the run, at its end, in which it falls.
        final: the factor at the end.

    Returns:
        The factor of all learning rates.
    """
    up = (progress + 1e-3) / warmup if warmup else 1.0
    down = (1.0 - progress) / decay if decay else 1.0
    down = final + (1.0 - final) * min(1.0, down)
    return min(1.0, up, down)
