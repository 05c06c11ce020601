"""Evaluation of a run on text from outside: what `xformer evaluate --on` does."""

from __future__ import annotations

import os
import re
from pathlib import Path

import torch

from xformer.errors import InputError
from xformer.evaluation.outside.evaluate import Subject, evaluate_outside
from xformer.evaluation.outside.report import OutsideReport
from xformer.evaluation.outside.texts import read_outside
from xformer.evaluation.run import bag_length, run_bag, write_problem
from xformer.evaluation.sentence_layer import sentence_layer_of
from xformer.pretraining.load import load_run
from xformer.pretraining.prepare import open_shards
from xformer.progress import Progress, duration
from xformer.runs.directory import RunDirectory
from xformer.tokenizer import Tokenizer


def evaluate_run_outside(
    path: str | os.PathLike[str],
    on: str | os.PathLike[str],
    progress: Progress,
    *,
    split: str | None = None,
    pivot: str | None = None,
    min_messages: int | None = None,
    baselines: bool = True,
    bits: bool = True,
    force: bool = False,
    bag_seconds: float | None = None,
    device: torch.device | None = None,
) -> OutsideReport:
    """Evaluate the newest checkpoint of a run on other text, or read its evaluation on that text.

    The layer that vectors are taken from is the run's, chosen on its dev split; outside text has no say in
    it. Writes the scores into the run's folder `outside`.

    Args:
        path: the run directory.
        on: a corpus, or a folder of line-aligned files.
        progress: shows how far the work is.
        split: what of it to read, see `read_outside`.
        pivot: tag of the language to compare the others with; None for the run's, or the data's own.
        min_messages: languages with fewer messages are left out of retrieval.
        baselines: measure bag, untrained model and character trigrams, too.
        bits: measure bits per byte, too.
        force: evaluate again, whatever the run has.
        bag_seconds: training time of the bag, as for `evaluate_run`.
        device: of the model; None for a GPU if there is one.

    Raises:
        InputError: the run or the text is missing or damaged, or does not have what was asked for.
    """
    run, config, model, state = load_run(path)
    tokenizer = Tokenizer.load(run.tokenizer)
    train = open_shards(run, "train", tokenizer)
    texts = read_outside(
        Path(on),
        tokenizer,
        train.languages,
        max_length=config.data.max_length,
        configured_pivot=config.data.pivot,
        split=split,
        pivot=pivot,
        min_messages=min_messages,
        progress=progress,
    )
    for note in texts.notes:
        progress.say(note)
    asked: dict[str, str | int | bool | None] = {
        "split": split,
        "pivot": pivot,
        "min_messages": min_messages,
        "baselines": baselines,
        "bits": bits,
    }
    target = _file(run, texts.name, texts.split, texts.sha256)
    report = None if force else _earlier(target)
    if report is not None and report.answers(texts.sha256, state.step, asked):
        progress.say(f"evaluation: reusing {target}; --force evaluates again")
        return report
    bag = None
    if baselines and texts.sets:
        bag = run_bag(run, config, train, progress, bag_seconds or bag_length(state), False)
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    layer = sentence_layer_of(run, model.to(device), state.step, device=device, progress=progress)
    subject = Subject(
        model, tokenizer, train, bag, layer, device, config.training.seed, baselines=baselines, bits=bits
    )
    report = evaluate_outside(subject, texts, None, asked, progress)
    if problem := write_problem(lambda: _write(report, target)):
        progress.say(f"{problem}: the evaluation is shown, but not saved")
    else:
        progress.say(f"evaluation: {duration(sum(report.seconds.values()))}, written to {target}")
    return report


def outside_reports(run: RunDirectory) -> list[OutsideReport]:
    """The evaluations on outside text that a run has, sorted by name; what cannot be read is left out."""
    found = [_earlier(path) for path in sorted(run.outside.glob("*.json"))]
    return [one for one in found if one is not None]


def _file(run: RunDirectory, name: str, split: str, digest: str) -> Path:
    plain = re.sub(r"[^\w.-]+", "_", name if split == name else f"{name}-{split}")
    return run.outside / f"{plain}-{digest[:8]}.json"


def _write(report: OutsideReport, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    report.save(target)


def _earlier(path: Path) -> OutsideReport | None:
    try:
        return OutsideReport.load(path)
    except InputError:
        return None
