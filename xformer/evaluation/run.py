"""Evaluate a run directory: what `xformer evaluate` does."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

import torch

from xformer.errors import InputError
from xformer.evaluation.bag import TrainedBag, train_bag
from xformer.evaluation.evaluate import evaluate_model
from xformer.evaluation.picture import plot_retrieval
from xformer.evaluation.report import EvaluationReport
from xformer.evaluation.table import markdown_table
from xformer.pretraining.prepare import open_shards
from xformer.pretraining.pretrain import load_run
from xformer.progress import Progress, duration
from xformer.runs.directory import RunDirectory
from xformer.runs.model_card import write_model_card
from xformer.storage.files import atomic_write, try_to_write
from xformer.tokenizer import Tokenizer


class UnsavedError(InputError):
    """What was measured is whole, and could not be written into the run.

    Attributes:
        report: what was measured.
    """

    def __init__(self, message: str, report: EvaluationReport) -> None:
        super().__init__(message)
        self.report = report


def evaluate_run(
    path: str | os.PathLike[str],
    progress: Progress,
    *,
    split: str = "test",
    again: bool = False,
    bag_seconds: float = 100.0,
    device: torch.device | None = None,
) -> EvaluationReport:
    """Measure the newest checkpoint of a run, or read what was measured of it before.

    Leaves evaluation.json, evaluation.md, retrieval.png, the trained baseline, and a new model card in the
    run.

    Args:
        path: the run directory.
        progress: where to show what happens, and to say what is reused.
        split: `test` or `dev`.
        again: measure and train the baseline anew, whatever is there.
        bag_seconds: how long the baseline trains, unless one is there that trained for as long.
        device: left out, a GPU if there is one. The baseline always trains on the CPU.

    Raises:
        InputError: the run is missing, not yet trained, or damaged.
        UnsavedError: all is measured, but the run cannot be written to. That is said before the work begins,
            where it can be known.
    """
    run, config, model, state = load_run(path)
    tokenizer = Tokenizer.load(run.tokenizer)
    held_out = open_shards(run, split, tokenizer)
    if not again and (report := _measured(run)) is not None:
        asked = (split, held_out.info.split_sha256, state.step)
        if (report.split, report.split_sha256, report.step) == asked:
            progress.say(f"evaluation: reusing {run.evaluation}")
            return report
    if (problem := _problem(partial(try_to_write, run.evaluation))) is not None:
        progress.say(f"{problem}: what is measured will be shown, and not kept")
    train = open_shards(run, "train", tokenizer)
    bag = None if again else _kept_bag(run, bag_seconds)
    if bag is not None:
        progress.say(f"bag of subwords: reusing {run.bag}, {duration(bag.record.seconds)} of training")
    else:
        bag = train_bag(train, config, seconds=bag_seconds, progress=progress)
        if (problem := _problem(partial(bag.save, run.bag))) is not None:
            progress.say(f"{problem}; measuring goes on")
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    report = evaluate_model(
        model.to(device),
        tokenizer,
        train,
        held_out,
        pivot=config.data.pivot,
        bag=bag,
        dev=open_shards(run, "dev", tokenizer),
        step=state.step,
        seed=config.training.seed,
        device=device,
        progress=progress,
    )
    if (problem := _problem(partial(_write, run, report, progress))) is not None:
        raise UnsavedError(f"{problem}: what was measured is shown, and not in the run", report)
    progress.say(f"evaluation: {duration(sum(report.seconds.values()))}, written to {run.evaluation}")
    return report


def _write(run: RunDirectory, report: EvaluationReport, progress: Progress) -> None:
    """All that an evaluation leaves in a run but the baseline."""
    report.save(run.evaluation)
    with atomic_write(run.evaluation_table) as file:
        file.write(markdown_table(report))
    if plot_retrieval(report, run.retrieval_plot) is None:
        progress.say("no picture of retrieval: matplotlib is not installed (extra `plot`)")
    write_model_card(run)


def _problem(write: Callable[[], object]) -> str | None:
    """What keeps the system from writing; None if it has written."""
    try:
        write()
    except OSError as error:
        return f"{error.filename}: cannot be written ({error.strerror})"
    return None


def _measured(run: RunDirectory) -> EvaluationReport | None:
    """The last evaluation, if there is one that this version can read."""
    try:
        return EvaluationReport.load(run.evaluation)
    except InputError:
        return None


def _kept_bag(run: RunDirectory, seconds: float) -> TrainedBag | None:
    """The run's baseline, if it has one that trained for long enough."""
    if not run.bag.is_file():
        return None
    bag = TrainedBag.load(run.bag)
    return bag if bag.record.seconds >= seconds else None
