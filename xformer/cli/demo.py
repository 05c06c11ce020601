"""`xformer demo`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Demo:
    """Train a model on text of many kinds in more than 150 languages, then evaluate it: on what its own
    corpus holds out, and on the Universal Declaration of Human Rights, which it has not seen.

    xformer demo

    xformer demo --run runs/quick --corpus gettext --budget 1m
    """

    run: Path = Path("runs/demo")
    """Run directory. What it already has is reused."""
    corpus: Literal["broad", "gettext"] = "broad"
    """What a new run is trained on. broad: 800 MB of packages. gettext: messages of programs, 122 MB."""
    budget: str | None = None
    """Training time in all, that of earlier calls included, such as 90s, 10m or 1.5h. Left out: that of the
    run, or the default of `training.budget`."""

    def run_command(self) -> int:
        """Pretrain, evaluate, and return the exit status."""
        from rich.console import Console

        from xformer.cli.pretrain import Pretrain
        from xformer.data.embedded import TEST_CORPUS
        from xformer.evaluation.outside.run import evaluate_run_outside
        from xformer.evaluation.run import evaluate_run
        from xformer.evaluation.side_by_side import side_by_side
        from xformer.evaluation.table import terminal_table
        from xformer.progress import Progress
        from xformer.runs.directory import RunDirectory

        settings: tuple[str, ...] = ()
        if RunDirectory(self.run).is_new():
            settings = (f'data.corpus="{self.corpus}"', f'data.decontaminate=["{TEST_CORPUS}"]')
        if status := Pretrain(self.run, budget=self.budget, set=settings).run_command():
            return status
        with Progress() as progress:
            inside = evaluate_run(self.run, progress)
            # The import left out what overlaps; bits per byte of 474 languages would take some minutes.
            outside = evaluate_run_outside(self.run, TEST_CORPUS, progress, bits=False, overlap=False)
        console = Console()
        console.print(terminal_table(inside))
        console.print()
        console.print(side_by_side(inside, outside))
        return 0
