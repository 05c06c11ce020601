"""Evaluation of a run directory: what `xformer evaluate` does."""

from __future__ import annotations

import os
from dataclasses import replace

import torch

from xformer.data.shards import TokenShards
from xformer.evaluation.bag import TrainedBag, train_bag
from xformer.evaluation.evaluate import evaluate_model
from xformer.evaluation.picture import retrieval_figure, space_figure
from xformer.evaluation.plan import EvaluationPlan, shared_messages
from xformer.evaluation.report import EvaluationReport
from xformer.evaluation.report_file import say_if_unwritable, write_problem, write_report
from xformer.evaluation.run_advice import advice_on
from xformer.evaluation.sentence_layer import sentence_layer_of
from xformer.evaluation.space_map import measure_map
from xformer.evaluation.table import markdown_table
from xformer.pretraining.load import load_run
from xformer.pretraining.prepare import open_shards
from xformer.progress import Progress, duration
from xformer.runs.checkpoint import TrainingState
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory
from xformer.runs.model_card import write_model_card
from xformer.runs.trackers import Trackers
from xformer.tokenizer import Tokenizer

_BAG_SECONDS = 10.0, 100.0
"""Least and most training time of the baseline."""


def evaluate_run(
    path: str | os.PathLike[str],
    progress: Progress,
    *,
    split: str = "test",
    pivot: str | None = None,
    min_messages: int | None = None,
    force: bool = False,
    bag_seconds: float | None = None,
    device: torch.device | None = None,
) -> EvaluationReport:
    """Evaluate the newest checkpoint of a run, or read its last evaluation.

    The model runs on a GPU if there is one; the baseline is trained on the CPU. Writes evaluation.json,
    evaluation.md, retrieval.png, space.png, the trained baseline and a new model card into the run.

    Args:
        path: the run directory.
        progress: shows how far the work is, and what is reused.
        split: `test` or `dev`.
        pivot: tag of the language to compare the others with; None for that of the run's settings.
        min_messages: languages with fewer messages are left out of retrieval; None for 100, or half of the
            split's messages if that is less.
        force: evaluate and train the baseline again, whatever the run has.
        bag_seconds: training time of the baseline. One in the run that was trained for as long is reused.
            None: as long as the run was trained, from 10 to 100 seconds.
        device: of the model; None for a GPU if there is one. The baseline is always trained on the CPU.

    Raises:
        InputError: the run is missing, not yet trained, or damaged, or the split does not have the pivot or
            so many messages. It is raised before the work begins.
        UnsavedError: the evaluation is complete, but the run cannot be written to. Where this can be known,
            a message says it before the work begins.
    """
    run, config, model, state = load_run(path)
    tokenizer = Tokenizer.load(run.tokenizer)
    held_out, dev = (open_shards(run, name, tokenizer) for name in (split, "dev"))
    plan = EvaluationPlan.of(held_out, config.data.pivot, dev=dev, pivot=pivot, min_messages=min_messages)
    for note in plan.notes:
        progress.say(note)
    last = None if force else EvaluationReport.load_if_there(run.evaluation)
    if last is not None and last.answers(plan, state.step):
        progress.say(f"evaluation: reusing {run.evaluation}, {last.question}; --force evaluates again")
        return last
    say_if_unwritable(run.evaluation, progress)
    for part, why in plan.left_out.items():
        progress.say(f"{part}: {why}")
    train = open_shards(run, "train", tokenizer)
    bag = None
    if plan.texts is not None:
        bag = run_bag(run, config, train, progress, bag_seconds or bag_length(state), force)
    if plan.texts is not None and bag is None:
        plan.left_out["bag of subwords"] = "no text of the training split has a translation to train it on"
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    layer = sentence_layer_of(
        run, model.to(device), state.step, force=force, device=device, progress=progress
    )
    report = evaluate_model(
        model,
        tokenizer,
        train,
        plan,
        bag=bag,
        sentence_layer=layer,
        step=state.step,
        seed=config.training.seed,
        device=device,
        progress=progress,
    )
    report = replace(report, advice=advice_on(run, config, state, train, report))
    shown = measure_map(model, dev, plan.pivot, layer.layer, tokenizer.decode, device=device)
    pictures = {
        run.retrieval_plot: retrieval_figure(report),
        run.space_plot: None if shown is None else space_figure(shown),
    }
    table = markdown_table(report)
    write_report(
        report, run.evaluation, pictures, progress, table=table, write_card=lambda: write_model_card(run)
    )
    trackers = Trackers(
        config.training.trackers, run.events, run.path.resolve().name, state.step, progress.say
    )
    trackers.add(report.tracked(), state.step, late=True)
    trackers.close()
    progress.say(f"evaluation: {duration(sum(report.seconds.values()))}, written to {run.evaluation}")
    return report


def bag_length(state: TrainingState) -> float:
    """How long the baseline is trained, in seconds: as long as the run was, from 10 to 100."""
    return min(max(state.elapsed, _BAG_SECONDS[0]), _BAG_SECONDS[1])


def run_bag(
    run: RunDirectory,
    config: RunConfig,
    train: TokenShards,
    progress: Progress,
    seconds: float,
    force: bool,
) -> TrainedBag | None:
    """The run's bag, or a new one; None where the training split has no translations."""
    bag = TrainedBag.load(run.bag) if run.bag.is_file() and not force else None
    if bag is not None and bag.record.seconds >= seconds:
        progress.say(f"bag of subwords: reusing {run.bag}, {duration(bag.record.seconds)} of training")
        return bag
    if not shared_messages(train):
        return None
    trained = train_bag(train, config, seconds=seconds, progress=progress)
    if problem := write_problem(lambda: trained.save(run.bag)):
        progress.say(f"{problem}; the evaluation goes on")
    return trained
