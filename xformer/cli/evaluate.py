"""`xformer evaluate`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

if TYPE_CHECKING:
    from xformer.evaluation.report import EvaluationReport


@dataclass(frozen=True)
class Evaluate:
    """Evaluate a run on held-out messages: retrieval and bits per byte, beside their baselines.

    xformer evaluate runs/demo

    xformer evaluate runs/demo --pivot de --min-messages 20

    xformer evaluate runs/demo --json | python -m json.tool
    """

    run: tyro.conf.Positional[Path]
    """Run directory."""
    split: Literal["test", "dev"] = "test"
    """The held-out messages to use."""
    pivot: str | None = None
    """Language to compare the others with. Left out: `data.pivot` of the run, or the language with most
    translations if the split has none in that."""
    min_messages: int | None = None
    """Languages with fewer messages beside the pivot are left out of retrieval. Left out: 100, or half of the
    split's messages if that is less."""
    json: bool = False
    """Print one JSON object and nothing else on standard output."""
    force: bool = False
    """Evaluate again, even if the run has an evaluation of this checkpoint; train the baseline again, too."""

    def run_command(self) -> int:
        """Evaluate, print the result, and return the exit status."""
        from xformer.evaluation.run import UnsavedError, evaluate_run
        from xformer.progress import Progress

        try:
            with Progress() as progress:
                report = evaluate_run(
                    self.run,
                    progress,
                    split=self.split,
                    pivot=self.pivot,
                    min_messages=self.min_messages,
                    force=self.force,
                )
        except UnsavedError as error:
            self._show(error.report)
            raise
        self._show(report)
        return 0

    def _show(self, report: EvaluationReport) -> None:
        from rich.console import Console

        from xformer.evaluation.table import terminal_table

        if self.json:
            print(report.to_json())
        else:
            Console().print(terminal_table(report))
