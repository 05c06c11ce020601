"""`xformer evaluate`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from xformer.cli.arguments import OnByDefault

if TYPE_CHECKING:
    from xformer.evaluation.report_file import Report
    from xformer.progress import Progress
    from xformer.runs.directory import RunDirectory


@dataclass(frozen=True)
class Evaluate:
    """Evaluate a run: retrieval and bits per byte, beside their baselines.

    On its own held-out messages, or with --on where it was not trained: on another corpus, or on a folder of
    line-aligned files, such as tatoeba.deu-eng.deu beside tatoeba.deu-eng.eng, or test.de beside test.en; or
    on the Universal Declaration of Human Rights, which is fetched.

    xformer evaluate runs/demo

    xformer evaluate runs/demo --pivot de --min-messages 20

    xformer evaluate runs/demo --on declaration

    xformer evaluate runs/demo --on tatoeba/v1

    xformer evaluate runs/demo --on corpora/captions --split dev

    xformer evaluate runs/demo --alignment

    A fine-tuned run on its test files: xformer evaluate runs/topics --force

    A translator on its test texts, and beside another: xformer evaluate runs/en-de --against runs/larger

    xformer evaluate runs/demo --json | python -m json.tool
    """

    run: tyro.conf.Positional[Path]
    """Run directory."""
    on: Path | None = None
    """A corpus, or a folder of line-aligned files, to evaluate on, or declaration. Left out: what the run's
    own corpus holds out."""
    split: str | None = None
    """What to use: test or dev; of another corpus also train or all; of a folder of files, the part of their
    names before the languages. Left out: test, or all where there is no such."""
    pivot: str | None = None
    """Language to compare the others with. Left out: `data.pivot` of the run, or the language with most
    translations if the split has none in that."""
    min_messages: int | None = None
    """Languages with fewer messages beside the pivot are left out of retrieval. Left out: 100, or half of the
    split's messages if that is less; of a folder of files, 1."""
    baselines: OnByDefault = True
    """With --on: leave out the bag of subwords, the untrained model and character trigrams."""
    bits: OnByDefault = True
    """With --on: leave out bits per byte. Retrieval alone takes half of the time or less."""
    overlap: OnByDefault = True
    """With --on: do not count the texts that stand in the run's training corpus, exactly or nearly."""
    alignment: bool = False
    """Is the space language-neutral? Measure instead, after each block: centroid gap, retrieval with and
    without it, whether a linear probe tells the language, hubness, CKA, a map of languages."""
    against: Path | None = None
    """Of a translator: another one with the same test texts, to compare with by a paired bootstrap test."""
    json: bool = False
    """Print one JSON object and nothing else on standard output."""
    force: bool = False
    """Evaluate again, even if the run has an evaluation of this checkpoint. Without --on, train the bag of
    subwords again, too."""

    def run_command(self) -> int:
        """Evaluate, print the result, and return the exit status."""
        from xformer.evaluation.report_file import UnsavedError
        from xformer.progress import Progress

        try:
            with Progress() as progress:
                report = self._evaluated(progress)
        except UnsavedError as error:
            self._show(error.report)
            raise
        self._show(report)
        return 0

    def _evaluated(self, progress: Progress) -> Report:
        from xformer.errors import InputError
        from xformer.runs.find import find_run
        from xformer.runs.kind import CLASSIFICATION, SUMMARIZATION, TRANSLATION, task_of

        if task_of(run := find_run(self.run)) == TRANSLATION:
            return self._evaluated_translator(run, progress)
        if self.against is not None:
            raise InputError(
                f"--against: expected a translator, as `xformer finetune translate` makes, {self.run} is none"
            )
        if task_of(run) == SUMMARIZATION:
            return self._evaluated_summarizer(run, progress)
        if task_of(run) == CLASSIFICATION:
            return self._evaluated_finetuned(run, progress)
        if self.alignment:
            return self._evaluated_alignment(progress)
        if self.on is not None:
            return self._evaluated_outside(self.on, progress)
        return self._evaluated_inside(progress)

    def _evaluated_translator(self, run: RunDirectory, progress: Progress) -> Report:
        """On the test texts that it keeps, or beside another one."""
        from xformer.translation.evaluate import compare_translators, evaluate_again

        self._refuse_options_of_pretraining()
        if self.against is not None:
            return compare_translators(self.run, self.against)
        return evaluate_again(run, progress, force=self.force)

    def _evaluated_summarizer(self, run: RunDirectory, progress: Progress) -> Report:
        """On the test texts that it keeps."""
        from xformer.translation.evaluate_summaries import evaluate_summaries_again

        self._refuse_options_of_pretraining()
        return evaluate_summaries_again(run, progress, force=self.force)

    def _evaluated_finetuned(self, run: RunDirectory, progress: Progress) -> Report:
        """On its test files, when nothing is asked for that belongs to a pretrained run."""
        from xformer.cli.finetune.again import evaluate_again

        self._refuse_options_of_pretraining()
        return evaluate_again(run, progress, force=self.force)

    def _refuse_options_of_pretraining(self) -> None:
        from xformer.errors import InputError

        usual = Evaluate(self.run)
        for name in ("on", "split", "pivot", "min_messages", "alignment", "baselines", "bits", "overlap"):
            if getattr(self, name) != getattr(usual, name):
                option = f"--{'no-' * (name in ('baselines', 'bits', 'overlap'))}{name.replace('_', '-')}"
                raise InputError(
                    f"{option}: {self.run} was fine-tuned, and is evaluated on its test files. For other"
                    " files, give the command that made it with another --test: nothing is trained again"
                )

    def _inside_split(self) -> str:
        """The split of the run's own corpus, when nothing is asked for that belongs to --on."""
        from xformer.errors import InputError

        for name, given in (("baselines", self.baselines), ("bits", self.bits), ("overlap", self.overlap)):
            if not given:
                raise InputError(f"--no-{name}: expected beside --on, which it belongs to")
        split = self.split or "test"
        if split not in ("test", "dev"):
            raise InputError(f"--split: expected test or dev, got {split!r}")
        return split

    def _evaluated_alignment(self, progress: Progress) -> Report:
        from xformer.errors import InputError
        from xformer.evaluation.alignment.run import evaluate_run_alignment

        if self.on is not None:
            raise InputError("--alignment: expected without --on; it is of what the run's corpus holds out")
        return evaluate_run_alignment(
            self.run,
            progress,
            split=self._inside_split(),
            pivot=self.pivot,
            min_messages=self.min_messages,
            force=self.force,
        )

    def _evaluated_inside(self, progress: Progress) -> Report:
        from xformer.evaluation.run import evaluate_run

        return evaluate_run(
            self.run,
            progress,
            split=self._inside_split(),
            pivot=self.pivot,
            min_messages=self.min_messages,
            force=self.force,
        )

    def _evaluated_outside(self, on: Path, progress: Progress) -> Report:
        from xformer.evaluation.outside.run import evaluate_run_outside

        return evaluate_run_outside(
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

    def _show(self, report: Report) -> None:
        from rich.console import Console

        from xformer.evaluation.alignment.report import AlignmentReport
        from xformer.evaluation.alignment.table import alignment_table
        from xformer.evaluation.classification.report import ClassificationReport
        from xformer.evaluation.classification.table import classification_table
        from xformer.evaluation.outside.report import OutsideReport
        from xformer.evaluation.outside.table import outside_table
        from xformer.evaluation.report import EvaluationReport
        from xformer.evaluation.summarization.report import SummarizationReport, summarization_table
        from xformer.evaluation.table import terminal_table
        from xformer.evaluation.translation.report import TranslationComparison, TranslationReport
        from xformer.evaluation.translation.table import comparison_table, translation_table

        if self.json:
            print(report.to_json())
        elif isinstance(report, AlignmentReport):
            Console().print(alignment_table(report))
        elif isinstance(report, ClassificationReport):
            Console().print(classification_table(report))
        elif isinstance(report, OutsideReport):
            Console().print(outside_table(report))
        elif isinstance(report, SummarizationReport):
            Console().print(summarization_table(report))
        elif isinstance(report, TranslationReport):
            Console().print(translation_table(report))
        elif isinstance(report, TranslationComparison):
            Console().print(comparison_table(report))
        elif isinstance(report, EvaluationReport):
            Console().print(terminal_table(report))
