"""What the commands share whose runs write texts: options, checks, and the way to a run with scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from xformer.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from xformer.data.translated import Direction, TranslatedTexts
    from xformer.evaluation.report_file import Report
    from xformer.translation.config import Targets, TranslationConfig
    from xformer.translation.experiment import TranslationExperiment


@dataclass(frozen=True)
class WritingOptions(ABC):
    """The options of `xformer finetune translate` and `summarize`."""

    out: Path
    """Run directory: a new one, or that of a run to go on with."""
    run: tyro.conf.Positional[Path | None] = None
    """Run directory of the pretrained encoder. Left out: random weights, and a vocabulary of the texts."""
    train: tuple[Path, ...] = ()
    """Texts to learn from."""
    dev: tuple[Path, ...] = ()
    """Texts by which checkpoints are compared. Left out: a fiftieth of the training texts."""
    test: tuple[Path, ...] = ()
    """Texts to test with."""
    directions: tuple[str, ...] = ()
    """What to learn."""
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
    """Width of the beam that writes what is tested."""
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
                Console().print(self.table(report))
            target = self.directions[0].rpartition("-")[2] if self.directions else "LANGUAGE"
            progress.say(f"use it: xformer {self.use} {self.out} --to {target} < texts")
        return 0

    @property
    @abstractmethod
    def use(self) -> str:
        """Name of the command that uses the run."""

    @abstractmethod
    def table(self, report: Report) -> Table:
        """The scores for the terminal."""

    @abstractmethod
    def experiment(self) -> TranslationExperiment:
        """All texts, read and checked, and the settings: what is wrong is found before work begins."""

    def check(self) -> None:
        """Check the options before any file is read.

        Raises:
            InputError: one is out of range, or the run's folder cannot be made.
        """
        from xformer.storage.outputs import check_output_folder

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

    def settings(self, directions: Sequence[Direction], task: Targets) -> TranslationConfig:
        """The settings of the run."""
        from xformer.translation.setup import Length, settings_for

        length = Length(None if self.steps else self.budget, self.steps, self.evaluate_steps, self.patience)
        return settings_for(
            self.run,
            self.out,
            directions,
            length,
            vocabulary=self.vocabulary,
            decoder_layers=self.decoder_layers,
            task=task,
            changes=self.set,
        )

    def experiment_of(
        self,
        config: TranslationConfig,
        texts: tuple[TranslatedTexts, TranslatedTexts, TranslatedTexts | None],
        tested: Sequence[Direction],
        files: tuple[Sequence[str], Sequence[str], Sequence[str]],
    ) -> TranslationExperiment:
        """What is trained and measured.

        Args:
            config: settings of the run.
            texts: to learn from, held out, and to test with.
            tested: directions of the test.
            files: names of the three.

        Raises:
            InputError: there are no texts in a direction.
        """
        from xformer.translation.data_record import record_of
        from xformer.translation.experiment import TranslationExperiment
        from xformer.translation.train import TranslationTexts

        train, dev, test = texts
        directions = config.translation.pairs
        dev.pairs(directions)
        record = record_of(train, dev, test, directions, files, tested, self.licence)
        return TranslationExperiment(
            self.out, config, TranslationTexts(train, dev), test, self.beam, record, tuple(tested)
        )
