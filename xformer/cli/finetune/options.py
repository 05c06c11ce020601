"""What all commands of `xformer finetune` share: options, and the way from files to a run with scores."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from xformer.cli.arguments import OnByDefault
from xformer.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xformer.data.labelled import Example, LabelFields, LeftOut, PairFields, WordFields
    from xformer.finetuning.config import ClassifierConfig, ConsistencyConfig, FinetuningConfig
    from xformer.finetuning.data_record import DataRecord
    from xformer.finetuning.experiment import Experiment
    from xformer.finetuning.finetune import SourceExamples
    from xformer.progress import Progress

_DEV_NAMES = ("validation", "dev", "valid", "val")
"""Names of the split that --dev takes of a saved dataset; the first that is there."""


@dataclass(frozen=True)
class FinetuneOptions(ABC):
    """The options of every kind of example."""

    run: tyro.conf.Positional[Path]
    """Run directory of the pretrained encoder."""
    train: tuple[Path, ...]
    """Labelled examples to learn from, in one language or several: files, or folders that Hugging Face's
    `datasets` saved, of which --train takes the split train, --dev validation or dev, and --test test."""
    out: Path
    """Run directory: a new one, or that of a run to go on with."""
    dev: tuple[Path, ...] = ()
    """Labelled examples of the same languages, by which checkpoints are compared. Left out: a tenth of the
    training examples."""
    test: tuple[Path, ...] = ()
    """Labelled examples to test with, in any languages."""
    epochs: float = 3.0
    """How often each training example is read."""
    budget: str | None = None
    """Training time of each run, as 90s, 10m, 1.5h, instead of --epochs."""
    evaluate_every: float = 0.5
    """Epochs between evaluations on the dev examples."""
    patience: int | None = None
    """Early stopping: end after so many evaluations without a better one."""
    seeds: int = 1
    """Train so many runs, from seed 0 on, which differ in the order of examples and in the first weights of
    the head. Scores are means over them."""
    frozen: bool = False
    """Train the head alone, on the vectors of the encoder as it is."""
    balanced: bool = False
    """Each class counts alike in the loss, however often it occurs."""
    baselines: OnByDefault = True
    """Leave out the baselines, which are trained and measured otherwise."""
    oracle_texts: int = 200
    """Examples of each test language that are watched while the run trains, to show what choosing the
    checkpoint by them would have added. They choose nothing. 0: none."""
    set: tuple[str, ...] = ()
    """Settings as TABLE.KEY=VALUE, with a TOML value: optimizer.lr=1e-4 classifier.max_tokens=128. They are
    listed in docs/classify.md."""
    licence: Annotated[str, tyro.conf.arg(aliases=["--license"])] = ""
    """Licence of the examples, for the run's model card. Left out: what a saved dataset says of itself."""
    json: bool = False
    """Print one JSON object and nothing else on standard output."""

    def run_command(self) -> int:
        """Train, evaluate, print the scores, and return the exit status."""
        from xformer.progress import Progress

        self.check()
        with Progress() as progress:
            experiment = self.experiment(progress)
            return self._run(experiment, progress)

    @abstractmethod
    def fields(self) -> LabelFields | PairFields | WordFields:
        """What the files have where."""

    @abstractmethod
    def read(self, files: Sequence[Path], left_out: LeftOut) -> Sequence[Example]:
        """The examples of files."""

    @abstractmethod
    def classifier(self, labels: tuple[str, ...]) -> ClassifierConfig:
        """The settings of what is predicted."""

    def consistency(self) -> ConsistencyConfig:
        """The settings of translations without labels; none by default."""
        from xformer.finetuning.config import ConsistencyConfig

        return ConsistencyConfig()

    @abstractmethod
    def usage(self) -> tuple[str, str]:
        """The command that uses the run, and the expression in Python."""

    def check(self) -> None:
        """Check the options before any file is read.

        Raises:
            InputError: one is out of range, or the run's folder cannot be made.
        """
        from xformer.storage.outputs import check_output_folder

        if self.epochs <= 0 or self.evaluate_every <= 0:
            raise InputError("--epochs, --evaluate-every: expected positive numbers")
        if self.seeds < 1:
            raise InputError(f"--seeds: expected a whole number from 1, got {self.seeds}")
        check_output_folder(self.out)
        if self.out.resolve() == self.run.resolve():
            raise InputError(f"--out {self.out}: expected another folder than the pretrained run's")

    def labels_of(self, train: Sequence[Example]) -> tuple[str, ...]:
        """The labels that the model learns, sorted."""
        from xformer.data.labelled import commonest_labels

        return commonest_labels(train)

    def with_labels(
        self, found: Sequence[Example], labels: tuple[str, ...], left_out: LeftOut
    ) -> Sequence[Example]:
        """Examples that have only labels that the model learns.

        Raises:
            InputError: one has another.
        """
        from xformer.data.labelled import require_known_labels

        require_known_labels(found, labels)
        return found

    def within_files(self) -> tuple[Path, ...]:
        """Files for the baselines that learn within each language."""
        return ()

    def experiment(self, progress: Progress) -> Experiment:
        """All examples, read and checked, and the settings: what is wrong is found before work begins."""
        from xformer.data.labelled import LeftOut
        from xformer.finetuning.experiment import Experiment

        left_out = LeftOut()
        examples, labels = self._source(left_out)
        tests = self.with_labels(self.read(_split(self.test, "test"), left_out), labels, left_out)
        others = _split(self.within_files(), "train")
        within = self.with_labels(self.read(others, left_out), labels, left_out)
        if said := str(left_out):
            progress.say(f"left out: {said}")
        return Experiment(
            out=self.out,
            config=self._config(examples, labels),
            examples=examples,
            tests=tests,
            within=within,
            seeds=self.seeds,
            baselines=self.baselines and bool(tests),
            watched=self.oracle_texts if tests else 0,
            record=self._record(examples, tests, within, left_out),
        )

    def _record(
        self,
        examples: SourceExamples[Example],
        tests: Sequence[Example],
        within: Sequence[Example],
        left_out: LeftOut,
    ) -> DataRecord:
        """What the run keeps of its data."""
        from xformer.data.readers.arrow import dataset_licence
        from xformer.finetuning.data_record import DataRecord, PartRecord
        from xformer.finetuning.setup import seen_in_training

        train = _split(self.train, "train")
        said = dict.fromkeys(licence for path in train if (licence := dataset_licence(path)))
        options = {name: _plain(value) for name, value in dataclasses.asdict(self).items() if name != "json"}
        return DataRecord(
            train=PartRecord.of(examples.train, train),
            dev=PartRecord.of(examples.dev, _split(self.dev, *_DEV_NAMES)),
            test=PartRecord.of(tests, _split(self.test, "test")),
            within=PartRecord.of(within, _split(self.within_files(), "train")),
            licence=self.licence or "; ".join(said),
            left_out=dict(left_out.counts),
            seen=seen_in_training(examples.train, tests),
            options=options,
        )

    def _source(self, left_out: LeftOut) -> tuple[SourceExamples[Example], tuple[str, ...]]:
        from xformer.data.labelled import check_columns_mean_classes
        from xformer.finetuning.setup import source_examples

        train = self.read(_split(self.train, "train"), left_out)
        check_columns_mean_classes(train, self.fields())
        labels = self.labels_of(train)
        train = self.with_labels(train, labels, left_out)
        dev = None
        if self.dev:
            dev = self.with_labels(self.read(_split(self.dev, *_DEV_NAMES), left_out), labels, left_out)
        return source_examples(train, dev), labels

    def _config(self, examples: SourceExamples[Example], labels: tuple[str, ...]) -> FinetuningConfig:
        """The settings: those of the pretrained run, of the options, and of --set."""
        from xformer.finetuning.setup import Length, settings_for

        length = Length(self.epochs, self.budget, self.evaluate_every, self.patience)
        return settings_for(
            self.run,
            self.out,
            self.classifier(labels),
            len(examples.train),
            length,
            self.consistency(),
            self.set,
        )

    def _run(self, experiment: Experiment, progress: Progress) -> int:
        from rich.console import Console

        from xformer.evaluation.classification.table import classification_table
        from xformer.finetuning.experiment import run_experiment

        report = run_experiment(experiment, progress)
        if report is None:
            return 130
        if self.json:
            print(report.to_json())
        elif report.languages:
            Console().print(classification_table(report))
        command, python = self.usage()
        progress.say(f"use it: {command}, or in Python {python}")
        return 0


def _split(paths: Sequence[Path], *names: str) -> tuple[Path, ...]:
    """The paths; of a folder with several splits, the first of these names."""
    from xformer.data.readers.arrow import one_split

    return tuple(one_split(path, names) for path in paths)


def _plain(value: object) -> object:
    """An option as JSON has it."""
    if isinstance(value, Path):
        return str(value)
    return [_plain(one) for one in value] if isinstance(value, tuple) else value
