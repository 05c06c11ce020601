"""`xformer evaluate`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro


@dataclass(frozen=True)
class Evaluate:
    """Measure a run on its held-out messages, beside its baselines.

    xformer evaluate runs/demo

    xformer evaluate runs/demo --json | python -m json.tool
    """

    run: tyro.conf.Positional[Path]
    """Run directory."""
    split: Literal["test", "dev"] = "test"
    """Which held-out messages."""
    json: bool = False
    """Print one JSON object and nothing else on standard output."""
    again: bool = False
    """Measure again, also what was measured before; the baseline too is trained again."""

    def run_command(self) -> int:
        """Evaluate; the exit status."""
        from rich.console import Console

        from xformer.evaluation.run import evaluate_run
        from xformer.progress import Progress

        with Progress() as progress:
            report = evaluate_run(self.run, progress, split=self.split, again=self.again)
        if self.json:
            print(report.to_json())
        else:
            Console().print(report.table())
        return 0
