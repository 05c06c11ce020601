"""`xformer finetune summarize`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from xformer.cli.finetune.writing import WritingOptions
from xformer.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from xformer.data.summarized import SummarizedTexts
    from xformer.data.translated import Direction
    from xformer.evaluation.report_file import Report
    from xformer.translation.experiment import TranslationExperiment


@dataclass(frozen=True)
class FinetuneSummarize(WritingOptions):
    """Train a model that writes summaries: from the encoder of a run, or from random weights.

    Each language in itself: xformer finetune summarize --train train.de.jsonl train.en.jsonl --dev
    dev.de.jsonl dev.en.jsonl --test test.de.jsonl test.en.jsonl --text-field description --summary-field
    synopsis --vocabulary 8000 --out runs/sum

    From a pretrained run, and into another language: xformer finetune summarize runs/demo --train
    train.de.jsonl train.en.jsonl --directions de-de en-en de-en --out runs/sum

    Files have a row for each text: JSON lines, CSV, TSV or Parquet, maybe compressed; their names say the
    language. A text of one language and a summary of another belong together where --id-field is equal. Of a
    long text the first translation.max_tokens tokens are read. Checkpoints are compared by chrF of dev
    summaries. Test summaries are scored by ROUGE and chrF, beside the first sentence, TextRank and the best
    sentence. The same command goes on with a run that was interrupted. The folder that it makes is a run:
    xformer summarize runs/sum --to de < texts.
    """

    train: tuple[Path, ...] = ()
    """Rows with a text and its summary, to learn from."""
    directions: tuple[str, ...] = ()
    """What to learn: de-de for summaries in the language of the text, de-en for summaries in another. Left
    out: each language in itself."""
    test_directions: tuple[str, ...] = ()
    """What to test, maybe directions that were never learned. Left out: the learned ones that --test has."""
    text_field: str = "text"
    """The field with the text; in a file without header, the number of its column."""
    summary_field: str = "summary"
    """The field with the summary."""
    id_field: str | None = None
    """The field that is equal where rows say the same in different languages. Left out: id, where a direction
    goes from a language to another one."""

    @property
    def use(self) -> str:
        """Name of the command that uses the run."""
        return "summarize"

    def table(self, report: Report) -> Table:
        """The scores for the terminal."""
        from xformer.evaluation.summarization.report import SummarizationReport, summarization_table

        assert isinstance(report, SummarizationReport)
        return summarization_table(report)

    def check(self) -> None:
        """Check the options before any file is read.

        Raises:
            InputError: one is out of range, or the run's folder cannot be made.
        """
        if not self.train:
            raise InputError("expected --train FILES")
        if self.test_directions and not self.test:
            raise InputError("--test-directions: expected beside --test")
        super().check()

    def experiment(self) -> TranslationExperiment:
        """All texts, read and checked, and the settings: what is wrong is found before work begins."""
        from xformer.data.summarized import SummaryNames, read_summarized
        from xformer.data.translated import direction_named, split_groups

        chosen, asked = (
            [direction_named(name, same=True) for name in names]
            for names in (self.directions, self.test_directions)
        )
        crosses = any(one.source != one.target for one in (*chosen, *asked))
        names = SummaryNames(
            self.text_field, self.summary_field, self.id_field or ("id" if crosses else None)
        )
        train = read_summarized(self.train, names)
        test = read_summarized(self.test, names) if self.test else None
        if self.dev:
            dev = read_summarized(self.dev, names)
        else:
            train, dev = split_groups(train, 0.02, 1_000)
        directions = list(train.pairs(chosen or None).directions)
        tested = [] if test is None else self._tested(directions, asked, test)
        config = self.settings(directions, "summarization")
        files = (list(map(str, self.train)), list(map(str, self.dev)), list(map(str, self.test)))
        return self.experiment_of(config, (train, dev, test), tested, files)

    def _tested(
        self, learned: list[Direction], asked: list[Direction], test: SummarizedTexts
    ) -> list[Direction]:
        """The directions of the test."""
        writes = sorted({one.target for one in learned})
        for one in asked:
            if one.target not in writes:
                raise InputError(
                    f"--test-directions {one}: the run learns to write {', '.join(writes)}, and not"
                    f" {one.target}"
                )
        found = asked or [one for one in learned if {one.source, one.target} <= set(test.languages)]
        if not found:
            raise InputError("--test: expected texts in the languages of a direction that is learned")
        test.pairs(found)
        return found
