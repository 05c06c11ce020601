"""`xformer finetune translate`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from xformer.cli.finetune.writing import WritingOptions
from xformer.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from xformer.data.translated import RowNames, TranslatedTexts
    from xformer.evaluation.report_file import Report
    from xformer.translation.experiment import TranslationExperiment


@dataclass(frozen=True)
class FinetuneTranslate(WritingOptions):
    """Train a translator: from the encoder of a run, or from random weights.

    Line-aligned files, from random weights: xformer finetune translate --train train.en train.de --dev val.en
    val.de --test test.en test.de --directions en-de --vocabulary 8000 --budget 45m --out runs/en-de

    From a pretrained run, many-to-many: xformer finetune translate runs/demo --train train.en train.de
    train.fr --out runs/many

    A corpus of `xformer data import`: xformer finetune translate runs/demo --corpus corpora/mine --directions
    en-de de-en --out runs/two-ways

    train.en and train.de are line-aligned; train.en-de.tsv, and CSV, JSON lines and Parquet alike, have rows
    with two texts. All may be compressed. One model learns all directions: a tag says the language to write.
    Checkpoints are compared by chrF of dev texts. The same command goes on with a run that was interrupted.
    The folder that it makes is a run: xformer translate runs/en-de --to de < texts.
    """

    corpus: Path | None = None
    """A corpus that `xformer data import` made, instead of --train and --dev; of --test, too, where none is
    given."""
    directions: tuple[str, ...] = ()
    """What to learn, such as en-de de-en, or pt_BR-en. Left out: all that the training texts have."""
    source_field: str = "source"
    """In rows: the field with the text in the first language of the file's name; in a file without header,
    the number of its column."""
    target_field: str = "target"
    """In rows: the field with the text in the second language."""

    @property
    def use(self) -> str:
        """Name of the command that uses the run."""
        return "translate"

    def table(self, report: Report) -> Table:
        """The scores for the terminal."""
        from xformer.evaluation.translation.report import TranslationReport
        from xformer.evaluation.translation.table import translation_table

        assert isinstance(report, TranslationReport)
        return translation_table(report)

    def check(self) -> None:
        """Check the options before any file is read.

        Raises:
            InputError: one is out of range, or the run's folder cannot be made.
        """
        if (self.corpus is None) == (not self.train):
            raise InputError("expected --train FILES or --corpus FOLDER, one of them")
        if self.corpus is not None and self.dev:
            raise InputError("--dev: expected without --corpus, which has a dev split")
        super().check()

    def experiment(self) -> TranslationExperiment:
        """All texts, read and checked, and the settings: what is wrong is found before work begins."""
        from xformer.data.translated import Direction, RowNames, direction_named
        from xformer.evaluation.translation.scores import require_scorers

        names = RowNames(self.source_field, self.target_field)
        chosen = [direction_named(name) for name in self.directions] or None
        train, dev, test = self._texts(names)
        directions, tested = list(train.pairs(chosen).directions), list[Direction]()
        if test is not None:
            tested = [one for one in directions if {one.source, one.target} <= set(test.languages)]
            if not tested:
                raise InputError("--test: expected texts in both languages of a direction that is learned")
            require_scorers(sorted({one.target for one in tested}))
        config = self.settings(directions, "translation")
        corpus = [] if self.corpus is None else [str(self.corpus)]
        files = [list(map(str, paths)) or corpus for paths in (self.train, self.dev, self.test)]
        return self.experiment_of(config, (train, dev, test), tested, (files[0], files[1], files[2]))

    def _texts(self, names: RowNames) -> tuple[TranslatedTexts, TranslatedTexts, TranslatedTexts | None]:
        from xformer.data.corpus import open_corpus
        from xformer.data.translated import read_translated, split_groups, translated_of_corpus

        test = read_translated(self.test, names) if self.test else None
        if self.corpus is not None:
            corpus = open_corpus(self.corpus)
            train, dev = (translated_of_corpus(corpus, split) for split in ("train", "dev"))
            return train, dev, translated_of_corpus(corpus, "test") if test is None else test
        train = read_translated(self.train, names)
        if self.dev:
            return train, read_translated(self.dev, names), test
        train, dev = split_groups(train, 0.02, 1_000)
        return train, dev, test
