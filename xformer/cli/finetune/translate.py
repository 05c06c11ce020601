"""`xformer finetune translate`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from xformer.errors import InputError

if TYPE_CHECKING:
    from xformer.data.translated import RowNames, TranslatedTexts
    from xformer.translation.experiment import TranslationExperiment


@dataclass(frozen=True)
class FinetuneTranslate:
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

    out: Path
    """Run directory: a new one, or that of a run to go on with."""
    run: tyro.conf.Positional[Path | None] = None
    """Run directory of the pretrained encoder. Left out: random weights, and a vocabulary of the texts."""
    train: tuple[Path, ...] = ()
    """Translated texts to learn from."""
    dev: tuple[Path, ...] = ()
    """Translated texts by which checkpoints are compared. Left out: a fiftieth of the training texts."""
    test: tuple[Path, ...] = ()
    """Translated texts to test with."""
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
    vocabulary: int | None = None
    """Pieces of the vocabulary, without a pretrained run. Left out: what suits the amount of text."""
    decoder_layers: int | None = None
    """Blocks of the decoder. Left out: as many as the encoder has."""
    budget: str = "30m"
    """Training time, as 90s, 10m, 1.5h."""
    steps: int | None = None
    """Length in steps, instead of --budget."""
    evaluate_steps: int = 250
    """Steps between evaluations on the dev texts."""
    patience: int | None = None
    """Early stopping: end after so many evaluations without a better one."""
    beam: int = 4
    """Width of the beam that translates the test texts."""
    set: tuple[str, ...] = ()
    """Settings as TABLE.KEY=VALUE, with a TOML value: optimizer.lr=1e-3 translation.r_drop=5. They are listed
    in docs/translation.md."""
    licence: str = ""
    """Licence of the texts, for the run's model card."""
    json: bool = False
    """Print one JSON object and nothing else on standard output."""

    def run_command(self) -> int:
        """Train, evaluate, print the scores, and return the exit status."""
        from rich.console import Console

        from xformer.evaluation.translation.table import translation_table
        from xformer.progress import Progress
        from xformer.translation.experiment import run_experiment

        self.check()
        with Progress() as progress:
            report = run_experiment(self.experiment(), progress)
            if report is None:
                return 130
            if self.json:
                print(report.to_json())
            elif report.directions:
                Console().print(translation_table(report))
            target = self.directions[0].rpartition("-")[2] if self.directions else "LANGUAGE"
            progress.say(f"use it: xformer translate {self.out} --to {target} < texts")
        return 0

    def check(self) -> None:
        """Check the options before any file is read.

        Raises:
            InputError: one is out of range, or the run's folder cannot be made.
        """
        from xformer.storage.outputs import check_output_folder

        if (self.corpus is None) == (not self.train):
            raise InputError("expected --train FILES or --corpus FOLDER, one of them")
        if self.corpus is not None and self.dev:
            raise InputError("--dev: expected without --corpus, which has a dev split")
        for name, number in (
            ("steps", self.steps),
            ("patience", self.patience),
            ("vocabulary", self.vocabulary),
        ):
            if number is not None and number < 1:
                raise InputError(f"--{name}: expected a whole number from 1, got {number}")
        if self.evaluate_steps < 1 or self.beam < 1:
            raise InputError("--evaluate-steps, --beam: expected whole numbers from 1")
        check_output_folder(self.out)
        if self.run is not None and self.out.resolve() == self.run.resolve():
            raise InputError(f"--out {self.out}: expected another folder than the pretrained run's")

    def experiment(self) -> TranslationExperiment:
        """All texts, read and checked, and the settings: what is wrong is found before work begins."""
        from xformer.data.translated import RowNames, direction_named
        from xformer.evaluation.translation.scores import require_scorers
        from xformer.translation.data_record import record_of
        from xformer.translation.experiment import TranslationExperiment
        from xformer.translation.setup import Length, settings_for
        from xformer.translation.train import TranslationTexts

        names = RowNames(self.source_field, self.target_field)
        chosen = [direction_named(name) for name in self.directions] or None
        train, dev, test = self._texts(names)
        directions = list(train.pairs(chosen).directions)
        if test is not None:
            tested = [one for one in directions if {one.source, one.target} <= set(test.languages)]
            if not tested:
                raise InputError("--test: expected texts in both languages of a direction that is learned")
            require_scorers(sorted({one.target for one in tested}))
        length = Length(None if self.steps else self.budget, self.steps, self.evaluate_steps, self.patience)
        config = settings_for(
            self.run,
            self.out,
            directions,
            length,
            vocabulary=self.vocabulary,
            decoder_layers=self.decoder_layers,
            changes=self.set,
        )
        dev.pairs(directions)
        corpus = [] if self.corpus is None else [str(self.corpus)]
        files = [list(map(str, paths)) or corpus for paths in (self.train, self.dev, self.test)]
        record = record_of(train, dev, test, directions, (files[0], files[1], files[2]), self.licence)
        return TranslationExperiment(self.out, config, TranslationTexts(train, dev), test, self.beam, record)

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
