"""`xformer evaluate`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

if TYPE_CHECKING:
    from xformer.evaluation.outside.report import OutsideReport
    from xformer.evaluation.report import EvaluationReport


@dataclass(frozen=True)
class Evaluate:
    """Evaluate a run: retrieval and bits per byte, beside their baselines.

    On its own held-out messages, or with --on where it was not trained: on another corpus, or on a folder of
    line-aligned files, such as tatoeba.deu-eng.deu beside tatoeba.deu-eng.eng, or test.de beside test.en.

    xformer evaluate runs/demo

    xformer evaluate runs/demo --pivot de --min-messages 20

    xformer evaluate runs/demo --on tatoeba/v1

    xformer evaluate runs/demo --on corpora/captions --split dev

    xformer evaluate runs/demo --json | python -m json.tool
    """

    run: tyro.conf.Positional[Path]
    """Run directory."""
    on: Path | None = None
    """A corpus, or a folder of line-aligned files, to evaluate on. Left out: what the run's own corpus holds
    out."""
    split: str | None = None
    """What to use: test or dev; of another corpus also train or all; of a folder of files, the part of their
    names before the languages. Left out: test, or all where there is no such."""
    pivot: str | None = None
    """Language to compare the others with. Left out: `data.pivot` of the run, or the language with most
    translations if the split has none in that."""
    min_messages: int | None = None
    """Languages with fewer messages beside the pivot are left out of retrieval. Left out: 100, or half of the
    split's messages if that is less; of a folder of files, 1."""
    baselines: bool = True
    """With --on: measure the bag of subwords, the untrained model and character trigrams, too."""
    bits: bool = True
    """With --on: measure bits per byte, too. Retrieval alone takes half of the time or less."""
    overlap: bool = True
    """With --on: count the texts that stand in the run's training corpus, exactly or nearly."""
    json: bool = False
    """Print one JSON object and nothing else on standard output."""
    force: bool = False
    """Evaluate again, even if the run has an evaluation of this checkpoint. Without --on, train the bag of
    subwords again, too."""

    def run_command(self) -> int:
        """Evaluate, print the result, and return the exit status."""
        if self.on is None:
            self._evaluate_inside()
        else:
            self._evaluate_outside(self.on)
        return 0

    def _evaluate_inside(self) -> None:
        from xformer.errors import InputError
        from xformer.evaluation.run import UnsavedError, evaluate_run
        from xformer.progress import Progress

        for name, given in (("baselines", self.baselines), ("bits", self.bits), ("overlap", self.overlap)):
            if not given:
                raise InputError(f"--no-{name}: expected beside --on, which it belongs to")
        split = self.split or "test"
        if split not in ("test", "dev"):
            raise InputError(f"--split: expected test or dev, got {split!r}")
        try:
            with Progress() as progress:
                report = evaluate_run(
                    self.run,
                    progress,
                    split=split,
                    pivot=self.pivot,
                    min_messages=self.min_messages,
                    force=self.force,
                )
        except UnsavedError as error:
            self._show(error.report)
            raise
        self._show(report)

    def _evaluate_outside(self, on: Path) -> None:
        from xformer.evaluation.outside.run import evaluate_run_outside
        from xformer.progress import Progress

        with Progress() as progress:
            report = evaluate_run_outside(
                self.run,
                on,
                progress,
                split=self.split,
                pivot=self.pivot,
                min_messages=self.min_messages,
                baselines=self.baselines,
                bits=self.bits,
                overlap=self.overlap,
                force=self.force,
            )
        self._show(report)

    def _show(self, report: EvaluationReport | OutsideReport) -> None:
        from rich.console import Console

        from xformer.evaluation.outside.report import OutsideReport
        from xformer.evaluation.outside.table import outside_table
        from xformer.evaluation.table import terminal_table

        if self.json:
            print(report.to_json())
        elif isinstance(report, OutsideReport):
            Console().print(outside_table(report))
        else:
            Console().print(terminal_table(report))
