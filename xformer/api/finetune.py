"""`xformer.finetune`: what `xformer finetune` does, in Python, with rows in memory or files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from xformer.api.model import Model
from xformer.api.opening import load
from xformer.data.labelled import (
    LabelFields,
    LabelledText,
    LeftOut,
    check_columns_mean_classes,
    commonest_labels,
    keep_labels,
    label_rows,
    read_labelled,
    require_known_labels,
)
from xformer.errors import InputError
from xformer.evaluation.classification.baselines import require_scikit_learn
from xformer.evaluation.classification.report import ClassificationReport
from xformer.finetuning.config import ClassifierConfig
from xformer.finetuning.data_record import DataRecord, PartRecord
from xformer.finetuning.experiment import Experiment, run_experiment
from xformer.finetuning.setup import Length, seen_in_training, settings_for, source_examples
from xformer.progress import Progress
from xformer.storage.outputs import check_output_folder

FilePath = str | os.PathLike[str]
Texts = FilePath | Sequence[FilePath] | Iterable[Any] | Mapping[str, Any]
"""A file or a folder that `datasets` saved, or several; rows in memory; or either by language."""


class Finetuned(NamedTuple):
    """What `classify` gives.

    Attributes:
        model: the run as `xformer.load` opens it.
        report: its scores by language, beside the baselines.
    """

    model: Model
    report: ClassificationReport


def classify(
    run: FilePath,
    *,
    train: Texts,
    out: FilePath,
    dev: Texts | None = None,
    test: Texts | None = None,
    within: Texts | None = None,
    language: str | None = None,
    text_field: str = "text",
    label_field: str = "label",
    language_field: str | None = None,
    separator: str = ",",
    multi_label: bool = False,
    top_labels: int | None = None,
    epochs: float = 3.0,
    budget: str | None = None,
    evaluate_every: float = 0.5,
    patience: int | None = None,
    seeds: int = 1,
    frozen: bool = False,
    balanced: bool = False,
    baselines: bool = True,
    oracle_texts: int = 200,
    settings: Sequence[str] = (),
    licence: str = "",
    progress: Progress | None = None,
) -> Finetuned:
    """Fine-tune the encoder of a run to classify texts, as `xformer finetune classify` does.

    >>> train = [("the dog sleeps", "animals"), ("the bus is late", "traffic")] * 50
    >>> test = {"de": [("der Hund bellt", "animals"), ("der Zug kommt", "traffic")] * 10}
    >>> found = xformer.finetune.classify(  # doctest: +SKIP
    ...     "runs/demo", train=train, test=test, language="en", out="runs/topics"
    ... )
    >>> found.model.classify("die Katze schläft").label  # doctest: +SKIP
    'animals'

    Texts are rows: mappings with fields, such as a `datasets.Dataset`, or pairs of a text and its label; or
    files, or a folder that `datasets` saved. Of a `DatasetDict`, streamed or not, `train` takes the split
    train, `dev` validation or dev, and `test` test. A mapping from language tags to any of these has several
    languages. The same call goes on with a run that was interrupted.

    Args:
        run: folder of the pretrained run.
        train: to learn from.
        out: folder of the new run.
        dev: of the same languages, by which checkpoints are compared; None: a tenth of `train`.
        test: to test with, in any languages.
        within: of the tested languages, for baselines alone.
        language: of rows that are given without one.
        text_field: the field with the text.
        label_field: the field with the label, or with a list of labels.
        language_field: the field with the language.
        separator: with `multi_label`, between the labels of a text that are no list.
        multi_label: whether a text may have several labels, or none.
        top_labels: keep the so many commonest labels of `train`.
        epochs: how often each training text is read.
        budget: training time, as 90s, 10m, 1.5h, instead.
        evaluate_every: epochs between evaluations on `dev`.
        patience: end after so many evaluations without a better one.
        seeds: number of runs, over which scores are means.
        frozen: train the head alone.
        balanced: each class counts alike in the loss.
        baselines: measure them, too; TF-IDF needs scikit-learn.
        oracle_texts: test texts of each language that are watched for the oracle gap; 0 for none.
        settings: as of `--set`: `optimizer.lr=1e-4`.
        licence: of the texts, for the model card.
        progress: where to report; None: standard error.

    Raises:
        InputError: as the command says it, before any work.
        KeyboardInterrupt: what was trained is saved.
    """
    fields = LabelFields(text_field, label_field, language_field, separator if multi_label else None)
    left_out = LeftOut()
    if baselines and test is not None:
        require_scikit_learn()
    check_output_folder(Path(out))
    if Path(out).resolve() == Path(run).resolve():
        raise InputError(f"out: expected another folder than the pretrained run's, {run}")
    learned = _texts(train, fields, language, "train", left_out)
    check_columns_mean_classes(learned, fields)
    labels = commonest_labels(learned, top_labels)

    def of(texts: Texts | None, name: str) -> list[LabelledText]:
        found = [] if texts is None else _texts(texts, fields, language, name, left_out)
        if top_labels is None:
            require_known_labels(found, labels, ". top_labels=N leaves out all but the N commonest labels")
        return keep_labels(found, labels, left_out)

    examples = source_examples(
        keep_labels(learned, labels, left_out), None if dev is None else of(dev, "dev")
    )
    tests, others = of(test, "test"), of(within, "within")
    classifier = ClassifierConfig(
        labels=labels,
        multi_label=multi_label,
        frozen=frozen,
        class_weights="balanced" if balanced else "none",
    )
    length = Length(epochs, budget, evaluate_every, patience)
    experiment = Experiment(
        out=Path(out),
        config=settings_for(run, out, classifier, len(examples.train), length, changes=settings),
        examples=examples,
        tests=tests,
        within=others,
        seeds=seeds,
        baselines=baselines and bool(tests),
        watched=oracle_texts if tests else 0,
        record=DataRecord(
            PartRecord.of(examples.train),
            PartRecord.of(examples.dev),
            PartRecord.of(tests),
            PartRecord.of(others),
            licence=licence,
            left_out=dict(left_out.counts),
            seen=seen_in_training(examples.train, tests),
        ),
    )
    if progress is None:
        with Progress() as shown:
            report = run_experiment(experiment, shown)
    else:
        report = run_experiment(experiment, progress)
    if report is None:
        raise KeyboardInterrupt
    return Finetuned(load(out), report)


def _texts(
    texts: Texts, fields: LabelFields, language: str | None, name: str, left_out: LeftOut
) -> list[LabelledText]:
    """The labelled texts that were given, of whatever kind."""
    if isinstance(texts, str | os.PathLike):
        return read_labelled([texts], fields, left_out)
    if isinstance(texts, Mapping) and hasattr(texts, "with_format"):  # a dictionary of splits
        wanted = ("validation", "dev") if name == "dev" else (name,)
        split = next((split for split in wanted if split in texts), None)
        if split is None:
            there = ", ".join(map(str, texts)) or "none"
            raise InputError(f"{name}: has no split {' or '.join(wanted)}; give one of its splits: {there}")
        return _texts(texts[split], fields, language, name, left_out)
    if isinstance(texts, Mapping):
        found = []
        for tag, some in texts.items():
            found += _texts(some, fields, str(tag), f"{name}[{tag!r}]", left_out)
        return found
    if not isinstance(texts, Iterable):
        raise InputError(f"{name}: expected rows, files, or either by language, got {type(texts).__name__}")
    rows = texts if hasattr(texts, "features") else list(texts)
    if isinstance(rows, list) and rows and all(isinstance(one, str | os.PathLike) for one in rows):
        return read_labelled(rows, fields, left_out)
    return label_rows(rows, fields, language, name, left_out)
