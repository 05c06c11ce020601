"""`xformer evaluate` of a fine-tuned run: its test files again, by the options that the run keeps."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xformer.cli.finetune.classify import FinetuneClassify
from xformer.cli.finetune.options import FinetuneOptions
from xformer.cli.finetune.pair import FinetunePair
from xformer.cli.finetune.tag import FinetuneTag
from xformer.errors import InputError

if TYPE_CHECKING:
    from xformer.evaluation.classification.report import ClassificationReport
    from xformer.progress import Progress
    from xformer.runs.directory import RunDirectory

_PATHS = ("run", "out", "train", "dev", "test", "within", "parallel")


def evaluate_again(run: RunDirectory, progress: Progress, *, force: bool) -> ClassificationReport:
    """The scores of a complete run on its test files.

    Args:
        run: it was fine-tuned.
        progress: where to report.
        force: compute them, even if the run has scores of this checkpoint on the same texts.

    Raises:
        InputError: the run is not complete, was imported, was made in Python or without test files, or a file
            is gone.
    """
    from xformer.evaluation.classification.report import ClassificationReport
    from xformer.finetuning.config import FinetuningConfig
    from xformer.finetuning.data_record import read_data_record
    from xformer.finetuning.experiment import run_experiment
    from xformer.runs.checkpoint import best_checkpoint

    if (source := run.load_config(FinetuningConfig).source) is not None:
        raise InputError(
            f"{run.path}: a classifier that was imported from {source.name}; it has no test files"
        )
    record, best = read_data_record(run), best_checkpoint(run.checkpoints)
    if record is None or best is None:
        raise InputError(f"{run.path}: is not complete; the command that began it goes on with it")
    options = options_of(run, record.options)
    if not record.test.files:
        raise InputError(
            f"{run.path}: has no test files; give the command that made it with --test FILES: nothing is"
            " trained again"
        )
    saved = ClassificationReport.load_if_there(run.classification)
    usable = saved if saved is not None and saved.step[0] == best.state.step else None
    try:
        experiment = options.experiment(progress)
    except InputError as error:
        if usable is None or force:
            raise
        progress.say(f"{error}; these are the scores that the run has")
        return usable
    same = experiment.record is not None and experiment.record.test.sha256 == record.test.sha256
    if usable is not None and same and not force:
        progress.say(f"evaluated before, at step {best.state.step:,}; --force does it again")
        return usable
    report = run_experiment(experiment, progress)
    if report is None:
        raise KeyboardInterrupt
    return report


def options_of(run: RunDirectory, given: dict[str, Any] | None) -> FinetuneOptions:
    """The command that made a run, from the options that it keeps; relative paths as they were given.

    Raises:
        InputError: Python made the run, or another version.
    """
    from xformer.finetuning.config import FinetuningConfig

    if given is None:
        raise InputError(f"{run.path}: was made in Python from rows, which are in no file; evaluate it there")
    kinds: dict[str, type[FinetuneOptions]] = {
        "text": FinetuneClassify,
        "pair": FinetunePair,
        "words": FinetuneTag,
    }
    kind = kinds[run.load_config(FinetuningConfig).classifier.example]
    known = {field.name for field in fields(kind)}
    if unknown := sorted(set(given) - known):
        raise InputError(f"{run.labelled_data}: options.{unknown[0]}: unknown; another version made this run")
    values: dict[str, Any] = {name: _value(name, value) for name, value in given.items()}
    return kind(**values | {"out": run.path})


def _value(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_value(name, one) for one in value)
    return Path(value) if name in _PATHS and value is not None else value
