"""`xformer finetune`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from xformer.cli.arguments import OnByDefault
from xformer.errors import InputError

if TYPE_CHECKING:
    from xformer.data.labelled import LabelFields, LabelledText, LeftOut
    from xformer.finetuning.config import FinetuningConfig
    from xformer.finetuning.experiment import Experiment
    from xformer.finetuning.finetune import SourceTexts
    from xformer.progress import Progress

_DEV_SHARE = 0.1
"""Of the training texts, held out where there is no --dev."""


@dataclass(frozen=True)
class Finetune:
    """Fine-tune the encoder of a run to classify texts; train in some languages, test in others.

    xformer finetune classify runs/demo --train train.en.tsv --dev dev.en.tsv --test test.de.tsv test.fr.tsv
    --out runs/topics

    Baselines learn from labelled texts of the tested languages, the model does not: xformer finetune classify
    runs/demo --train train.en.tsv --test test.de.tsv --within train.de.tsv --out runs/topics --seeds 3

    A probe of the encoder as it is: xformer finetune classify runs/demo --train train.en.tsv --test
    test.de.tsv --out runs/probe --frozen

    Files are TSV, CSV, JSON lines or Parquet, maybe compressed; the end of a name says the language
    (test.pt_BR.jsonl.gz), or --language-field does. The same command goes on with a run that was interrupted.
    The folder that it makes is a run: xformer classify runs/topics texts.txt.
    """

    task: tyro.conf.Positional[Literal["classify"]]
    """What to learn: `classify`, a label for each text, or several."""
    run: tyro.conf.Positional[Path]
    """Run directory of the pretrained encoder."""
    train: tuple[Path, ...]
    """Labelled texts to learn from, in one language or several."""
    out: Path
    """Run directory: a new one, or that of a run to go on with."""
    dev: tuple[Path, ...] = ()
    """Labelled texts of the same languages, by which checkpoints are compared. Left out: a tenth of the
    training texts."""
    test: tuple[Path, ...] = ()
    """Labelled texts to test with, in any languages."""
    within: tuple[Path, ...] = ()
    """Labelled texts of the tested languages for the baselines that learn within each language."""
    text_field: str = "text"
    """The field with the text; in a file without header, the number of its column."""
    label_field: str = "label"
    """The field with the label."""
    language_field: str | None = None
    """The field with the language. Left out: the end of each file's name."""
    multi_label: bool = False
    """A text may have several labels, or none: a list in JSON and Parquet, else with --separator between."""
    separator: str = ","
    """With --multi-label: what stands between labels."""
    top_labels: int | None = None
    """Only the so many commonest labels of the training files; texts with others are left out everywhere."""
    epochs: float = 3.0
    """How often each training text is read."""
    budget: str | None = None
    """Training time of each run, as 90s, 10m, 1.5h, instead of --epochs."""
    evaluate_every: float = 0.5
    """Epochs between evaluations on the dev texts."""
    patience: int | None = None
    """Early stopping: end after so many evaluations without a better one."""
    seeds: int = 1
    """Train so many runs, from seed 0 on, which differ in the order of texts and in the first weights of the
    head. Scores are means over them."""
    frozen: bool = False
    """Train the head alone, on the vectors of the encoder as it is."""
    balanced: bool = False
    """Each class counts alike in the loss, however many texts it has."""
    baselines: OnByDefault = True
    """Leave out the baselines, which are trained and measured otherwise."""
    oracle_texts: int = 200
    """Texts of each test language that are watched while the run trains, to show what choosing the checkpoint
    by them would have added. They choose nothing. 0: none."""
    set: tuple[str, ...] = ()
    """Settings as TABLE.KEY=VALUE, with a TOML value: optimizer.lr=1e-4 classifier.max_tokens=128. They are
    listed in docs/classify.md."""
    json: bool = False
    """Print one JSON object and nothing else on standard output."""

    def run_command(self) -> int:
        """Train, evaluate, print the scores, and return the exit status."""
        from xformer.progress import Progress

        self._check()
        with Progress() as progress:
            experiment = self._experiment(progress)
            return self._run(experiment, progress)

    def _check(self) -> None:
        from xformer.storage.outputs import check_output_folder

        if self.epochs <= 0 or self.evaluate_every <= 0:
            raise InputError("--epochs, --evaluate-every: expected positive numbers")
        if self.seeds < 1:
            raise InputError(f"--seeds: expected a whole number from 1, got {self.seeds}")
        if self.top_labels is not None and self.top_labels < 2:
            raise InputError(f"--top-labels: expected a whole number from 2, got {self.top_labels}")
        if self.baselines and self.test:
            from xformer.evaluation.classification.baselines import require_scikit_learn

            require_scikit_learn()
        check_output_folder(self.out)
        if self.out.resolve() == self.run.resolve():
            raise InputError(f"--out {self.out}: expected another folder than the pretrained run's")

    def _experiment(self, progress: Progress) -> Experiment:
        """All texts, read and checked, and the settings: whatever is wrong is found before work begins."""
        from xformer.data.labelled import LeftOut
        from xformer.finetuning.experiment import Experiment

        left_out = LeftOut()
        texts, labels = self._source_texts(left_out)
        tests, within = (self._other_texts(files, labels, left_out) for files in (self.test, self.within))
        if said := str(left_out):
            progress.say(f"left out: {said}")
        return Experiment(
            out=self.out,
            config=self._config(texts, labels),
            texts=texts,
            tests=tests,
            within=within,
            seeds=self.seeds,
            baselines=self.baselines and bool(tests),
            watched=self.oracle_texts if tests else 0,
        )

    def _fields(self) -> LabelFields:
        from xformer.data.labelled import LabelFields

        separator = self.separator if self.multi_label else None
        return LabelFields(self.text_field, self.label_field, self.language_field, separator)

    def _source_texts(self, left_out: LeftOut) -> tuple[SourceTexts, tuple[str, ...]]:
        from xformer.data.labelled import (
            check_columns_mean_classes,
            commonest_labels,
            keep_labels,
            read_labelled,
        )
        from xformer.finetuning.finetune import SourceTexts, split_off

        train = read_labelled(self.train, self._fields(), left_out)
        check_columns_mean_classes(train, self._fields())
        labels = commonest_labels(train, self.top_labels)
        train = keep_labels(train, labels, left_out)
        if not self.dev:
            train, dev = split_off(train, _DEV_SHARE)
        else:
            dev = self._other_texts(self.dev, labels, left_out)
            sources = {one.language for one in train}
            for one in dev:
                if one.language not in sources:
                    raise InputError(
                        f"{one.place}: --dev is in {one.language}; expected texts in the languages of --train"
                        f" ({', '.join(sorted(sources))}), since checkpoints are chosen by them. Texts of"
                        " other languages belong to --test"
                    )
        return SourceTexts(train, dev), labels

    def _other_texts(
        self, files: tuple[Path, ...], labels: tuple[str, ...], left_out: LeftOut
    ) -> list[LabelledText]:
        from xformer.data.labelled import keep_labels, read_labelled, require_known_labels

        found = read_labelled(files, self._fields(), left_out)
        if self.top_labels is None:
            require_known_labels(found, labels)
        return keep_labels(found, labels, left_out)

    def _config(self, texts: SourceTexts, labels: tuple[str, ...]) -> FinetuningConfig:
        """The settings: those of the pretrained run, of the options, and of --set."""
        import math

        from xformer.finetuning.base import base_of
        from xformer.finetuning.config import ClassifierConfig, FinetuningConfig
        from xformer.runs.config import TrainingConfig, seconds
        from xformer.storage.toml import overridden

        base, model = base_of(self.run, self.out)
        if self.budget is not None:
            try:
                seconds(self.budget, "--budget")
            except ValueError as error:
                raise InputError(str(error)) from error
        classifier = ClassifierConfig(
            labels=labels,
            multi_label=self.multi_label,
            frozen=self.frozen,
            class_weights="balanced" if self.balanced else "none",
        )
        training = TrainingConfig(budget=None, steps=1, keep_checkpoints=1)
        config = FinetuningConfig(base, model, classifier, training=training)
        config = overridden(dataclasses.asdict(config), self.set, FinetuningConfig, source="--set")
        an_epoch = math.ceil(len(texts.train) / config.classifier.batch_texts)
        return dataclasses.replace(
            config,
            training=dataclasses.replace(
                config.training,
                budget=self.budget,
                steps=None if self.budget else max(1, round(self.epochs * an_epoch)),
                evaluate_steps=max(1, round(self.evaluate_every * an_epoch)),
                patience=self.patience,
            ),
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
        python = f"xformer.load({str(self.out)!r}).classify(texts)"
        progress.say(f"use it: xformer classify {self.out} FILE, or in Python {python}")
        return 0
