"""`xformer demo`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Demo:
    """Train a model on the default corpus of more than 50 languages, then evaluate it.

    xformer demo

    xformer demo --run runs/quick --budget 1m
    """

    run: Path = Path("runs/demo")
    """Run directory. What it already has is reused."""
    budget: str | None = None
    """Training time in all, that of earlier calls included, such as 90s, 10m or 1.5h. Left out: that of the
    run, or the default of `training.budget`."""

    def run_command(self) -> int:
        """Pretrain, evaluate, and return the exit status."""
        from xformer.cli.evaluate import Evaluate
        from xformer.cli.pretrain import Pretrain

        status = Pretrain(self.run, budget=self.budget).run_command()
        return status or Evaluate(self.run).run_command()
