"""`xformer demo`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Demo:
    """Train on the embedded corpus, 50 and more languages, and show how well they came to share one space.

    xformer demo

    xformer demo --run runs/quick --budget 1m
    """

    run: Path = Path("runs/demo")
    """Run directory. What is there already is reused."""
    budget: str | None = None
    """Time to train for; left out, the default of `training.budget`."""

    def run_command(self) -> int:
        """Pretrain, then evaluate; the exit status."""
        from xformer.cli.evaluate import Evaluate
        from xformer.cli.pretrain import Pretrain

        status = Pretrain(self.run, budget=self.budget).run_command()
        return status or Evaluate(self.run).run_command()
