"""`xformer report`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True)
class Report:
    """Write one HTML page about a run: losses, learning rates, speed, languages and their common space.

    Of a fine-tuned run: scores by language beside the baselines, confusion, calibration, how it learned.

    xformer report runs/demo

    xformer report runs/topics

    xformer report runs/demo --out demo.html
    """

    run: tyro.conf.Positional[Path]
    """Run directory; the run may still be training."""
    out: Path | None = None
    """The page to write. Left out: `report.html` in the run."""

    def run_command(self) -> int:
        """Write the page, print its path, and return the exit status."""
        from xformer.progress import Progress
        from xformer.report.run_page import write_run_page

        with Progress() as progress:
            print(write_run_page(self.run, self.out, progress))
        return 0
