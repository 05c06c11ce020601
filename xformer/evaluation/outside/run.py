"""Evaluation of a run on text from outside: what `xformer evaluate --on` does."""

from __future__ import annotations

import os
import re
from pathlib import Path

import torch

from xformer.data.embedded import TEST_CORPUS
from xformer.data.embedded.corpus import import_embedded
from xformer.data.import_plan import ImportOptions
from xformer.data.split import SplitSizes
from xformer.errors import InputError
from xformer.evaluation.outside.evaluate import evaluate_outside
from xformer.evaluation.outside.overlap import overlap_with
from xformer.evaluation.outside.picture import outside_figure
from xformer.evaluation.outside.report import OutsideReport, Overlap
from xformer.evaluation.outside.subject import Subject
from xformer.evaluation.outside.table import outside_markdown
from xformer.evaluation.outside.texts import OutsideTexts, read_outside
from xformer.evaluation.report_file import say_if_unwritable, write_report
from xformer.evaluation.run import bag_length, run_bag
from xformer.evaluation.sentence_layer import sentence_layer_of
from xformer.pretraining.load import load_run
from xformer.pretraining.prepare import find_corpus, open_shards, require_same_corpus
from xformer.progress import Progress, duration
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory
from xformer.runs.model_card import write_model_card
from xformer.tokenizer import Tokenizer

_HOLD_NOTHING_OUT = SplitSizes(dev=0, test=0)


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
    overlap: bool = True,
    force: bool = False,
    bag_seconds: float | None = None,
    device: torch.device | None = None,
) -> OutsideReport:
    """Evaluate the newest checkpoint of a run on other text, or read its evaluation on that text.

    The layer that vectors are taken from is the run's, chosen on its dev split; outside text has no say in
    it. Writes the scores, tables and a picture into the run's folder `outside`, and a new model card.

    Args:
        path: the run directory.
        on: a corpus, a folder of line-aligned files, or the name `declaration`: the embedded corpus, which is
            fetched.
        progress: shows how far the work is.
        split: what of it to read, see `read_outside`.
        pivot: tag of the language to compare the others with; None for the run's, or the data's own.
        min_messages: languages with fewer messages are left out of retrieval.
        baselines: measure bag, untrained model and character trigrams, too.
        bits: measure bits per byte, too.
        overlap: count the texts that stand in the training corpus.
        force: evaluate again, whatever the run has.
        bag_seconds: training time of the bag, as for `evaluate_run`.
        device: of the model; None for a GPU if there is one.

    Raises:
        InputError: the run or the text is missing or damaged, or does not have what was asked for.
        UnsavedError: all is measured, but the run cannot be written to.
    """
    run, config, model, state = load_run(path)
    tokenizer = Tokenizer.load(run.tokenizer)
    train = open_shards(run, "train", tokenizer)
    texts = read_outside(
        _test_corpus(run, progress) if str(on) == TEST_CORPUS else Path(on),
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
        "overlap": overlap,
    }
    target = _file(run, texts.name, texts.split, texts.sha256)
    earlier = None if force else OutsideReport.load_if_there(target)
    if earlier is not None and earlier.answers(texts.sha256, state.step, asked):
        progress.say(f"evaluation: reusing {target}; --force evaluates again")
        return earlier
    say_if_unwritable(target, progress)
    bag = None
    if baselines and texts.sets:
        bag = run_bag(run, config, train, progress, bag_seconds or bag_length(state), False)
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    layer = sentence_layer_of(run, model.to(device), state.step, device=device, progress=progress)
    subject = Subject(
        model, tokenizer, train, bag, layer, device, config.training.seed, baselines=baselines, bits=bits
    )
    shared = None
    if overlap:
        # Neither the text nor the training corpus of a run has changed since.
        shared = None if earlier is None else earlier.overlap
        shared = shared or _overlap(run, config, texts, progress)
    report = evaluate_outside(subject, texts, shared, asked, progress)
    pictures, table = {target.with_suffix(".png"): outside_figure(report)}, outside_markdown(report)
    write_report(report, target, pictures, progress, table=table, write_card=lambda: write_model_card(run))
    progress.say(f"evaluation: {duration(sum(report.seconds.values()))}, written to {target}")
    return report


def _test_corpus(run: RunDirectory, progress: Progress) -> Path:
    """The embedded corpus for tests, imported into the run's folder once."""
    folder = run.outside / TEST_CORPUS
    if not folder.is_dir():
        run.outside.mkdir(exist_ok=True)
        import_embedded(
            TEST_CORPUS, folder, ImportOptions(_HOLD_NOTHING_OUT), say=progress.say, progress=progress
        )
    return folder


def _overlap(run: RunDirectory, config: RunConfig, texts: OutsideTexts, progress: Progress) -> Overlap | None:
    """Of the texts with the run's training corpus; None where that is not at hand, which is said."""
    try:
        corpus = find_corpus(run, config.data, verify=False)
        if corpus is not None:
            require_same_corpus(run, corpus)
            total = corpus.manifest.split("train").total.records
            return overlap_with(texts.records, texts.tags, corpus.records("train"), total, progress)
        problem = f"{run.path}: has no corpus"
    except InputError as error:
        problem = str(error)
    progress.say(f"not compared with the training corpus, which is not at hand: {problem}")
    return None


def outside_reports(run: RunDirectory) -> list[OutsideReport]:
    """The evaluations on outside text that a run has, sorted by name; what cannot be read is left out."""
    found = [OutsideReport.load_if_there(path) for path in sorted(run.outside.glob("*.json"))]
    return [one for one in found if one is not None]


def _file(run: RunDirectory, name: str, split: str, digest: str) -> Path:
    plain = re.sub(r"[^\w.-]+", "_", name if split == name else f"{name}-{split}")
    return run.outside / f"{plain}-{digest[:8]}.json"
