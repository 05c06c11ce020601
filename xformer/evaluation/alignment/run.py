"""Alignment of a run: what `xformer evaluate --alignment` does."""

from __future__ import annotations

import os

import torch

from xformer.errors import InputError
from xformer.evaluation.alignment.measure import measure_alignment
from xformer.evaluation.alignment.picture import alignment_figure
from xformer.evaluation.alignment.report import AlignmentReport
from xformer.evaluation.parallel_texts import ParallelTexts
from xformer.evaluation.plan import settle_pivot, shared_messages
from xformer.evaluation.report_file import say_if_unwritable, write_report
from xformer.evaluation.sentence_layer import sentence_layer_of
from xformer.evaluation.space import layer_vectors
from xformer.pretraining.load import load_run
from xformer.pretraining.prepare import open_shards
from xformer.progress import Progress
from xformer.tokenizer import Tokenizer

_LEAST = 10


def evaluate_run_alignment(
    path: str | os.PathLike[str],
    progress: Progress,
    *,
    split: str = "test",
    pivot: str | None = None,
    min_messages: int | None = None,
    force: bool = False,
    device: torch.device | None = None,
) -> AlignmentReport:
    """Measure how language-neutral the space of a run's newest checkpoint is, or read what was measured.

    Writes alignment.json and alignment.png into the run; `xformer report` shows them.

    Args:
        path: the run directory.
        progress: shows how far the work is.
        split: `test` or `dev`.
        pivot: tag of the language to compare the others with; None for that of the run's settings.
        min_messages: languages with fewer texts are left out; None for 10.
        force: measure again, whatever the run has.
        device: of the model; None for a GPU if there is one.

    Raises:
        InputError: the run is missing, not yet trained, or damaged, or its split has no translations.
        UnsavedError: all is measured, but the run cannot be written to.
    """
    run, config, model, state = load_run(path)
    shards = open_shards(run, split, Tokenizer.load(run.tokenizer))
    shared = shared_messages(shards)
    if not shared:
        raise InputError(f"--alignment: no message of the {split} split is in two languages")
    tag, notes = settle_pivot(shards, config.data.pivot, pivot, shared)
    for note in notes:
        progress.say(note)
    least = _LEAST if min_messages is None else min_messages
    texts = ParallelTexts.of(shards, tag, least=least)
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    chosen = sentence_layer_of(run, model.to(device), state.step, device=device, progress=progress)
    digest = shards.info.split_sha256
    last = None if force else AlignmentReport.load_if_there(run.alignment)
    if last is not None and last.answers(digest, state.step, tag, least, chosen.layer):
        progress.say(f"alignment: reusing {run.alignment}; --force measures again")
        return last
    say_if_unwritable(run.alignment, progress)
    layers = layer_vectors(model, texts, device=device, progress=progress)
    found = measure_alignment(texts, layers, chosen.layer, seed=config.training.seed, progress=progress)
    report = AlignmentReport(
        split=split,
        split_sha256=digest,
        step=state.step,
        pivot=tag,
        least=least,
        layer=chosen.layer,
        texts=len(texts.examples),
        layers=found.layers,
        languages=found.languages,
        pivot_place=found.pivot_place,
        map_variance=found.map_variance,
    )
    write_report(report, run.alignment, {run.alignment_plot: alignment_figure(report)}, progress)
    return report
