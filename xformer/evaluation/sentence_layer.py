"""Choose the layer after which a run's sentence vectors are taken: the one where dev texts retrieve best.

Middle layers are often more alike across languages than the last (XTREME also uses one, Hu et al. 2020). The
choice belongs to a checkpoint. It is made once, with the pivot language of the run's settings, and kept in
the run, so that evaluation, the commands and `xformer.load` all take the same vectors.
"""

from __future__ import annotations

import os
from contextlib import suppress

import numpy as np
import torch

from xformer.data.reporting import ProgressCallback
from xformer.embedding.encode import encode_tokens_by_layer
from xformer.evaluation.plan import RetrievalTexts, settle_pivot, shared_messages
from xformer.model.multilingual import MultilingualModel
from xformer.pretraining.load import load_run, open_tokenizer
from xformer.pretraining.prepare import open_shards
from xformer.runs.checkpoint_folders import checkpoint_folders, step_of
from xformer.runs.directory import RunDirectory
from xformer.runs.find import find_run
from xformer.runs.sentence_layer import SentenceLayer, record_layer, recorded_layer


def choose_sentence_layer(
    model: MultilingualModel,
    texts: RetrievalTexts | None,
    *,
    step: int = 0,
    batch_tokens: int | None = None,
    device: torch.device | str = "cpu",
    progress: ProgressCallback | None = None,
) -> SentenceLayer:
    """Measure retrieval after each block, from one pass, and choose the best layer.

    Args:
        model: lies on `device`.
        texts: of the dev split; None where it has nothing to compare.
        step: optimizer steps that the model has taken; only recorded.
        batch_tokens: most tokens in a batch; None for what is fast on the device.
        device: where to compute.
        progress: called with ("choose the layer on dev", texts done, texts in all).

    Returns:
        The first of the best layers; the last layer where there is nothing to compare.
    """
    if texts is None:
        return SentenceLayer(step, model.config.n_layers, [])
    vectors = encode_tokens_by_layer(
        model,
        texts.sequences(),
        batch_tokens=batch_tokens,
        device=device,
        progress=progress,
        what="choose the layer on dev",
    )
    by_layer = [texts.retrieval(one).mean_top1 for one in vectors]
    return SentenceLayer(step, int(np.argmax(by_layer)), by_layer)


def sentence_layer_of(
    run: RunDirectory,
    model: MultilingualModel,
    step: int,
    *,
    force: bool = False,
    device: torch.device | str = "cpu",
    progress: ProgressCallback | None = None,
) -> SentenceLayer:
    """The choice for a run's checkpoint: the recorded one, or a new one, which is recorded.

    Where the run cannot be written to, the choice holds for this call alone; the next one makes the same.

    Args:
        run: the run.
        model: with the weights of the checkpoint, on `device`.
        step: of the checkpoint.
        force: measure again, whatever is recorded.
        device: where to compute.
        progress: as for `choose_sentence_layer`.

    Raises:
        InputError: nothing is recorded, and the run's dev shards are missing or damaged.
    """
    if not force and (recorded := recorded_layer(run, step)) is not None:
        return recorded
    texts = _dev_texts(run)
    choice = choose_sentence_layer(model, texts, step=step, device=device, progress=progress)
    with suppress(OSError):
        record_layer(run, choice)
    return choice


def settle_sentence_layer(path: str | os.PathLike[str], progress: ProgressCallback | None) -> SentenceLayer:
    """Make the choice for a run's newest checkpoint, unless it is recorded: what the end of training does.

    Args:
        path: the run's folder.
        progress: as for `choose_sentence_layer`.

    Raises:
        InputError: as `load_run` and `sentence_layer_of`.
    """
    run = find_run(path)
    newest = checkpoint_folders(run.checkpoints)[:1]
    if newest and (recorded := recorded_layer(run, step_of(newest[0]))) is not None:
        return recorded
    run, _, model, state = load_run(path)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return sentence_layer_of(run, model.to(device), state.step, device=device, progress=progress)


def _dev_texts(run: RunDirectory) -> RetrievalTexts | None:
    """What the dev split can compare, with the pivot of the settings or the one that replaces it."""
    dev = open_shards(run, "dev", open_tokenizer(run))
    if not (shared := shared_messages(dev)):
        return None
    pivot, _ = settle_pivot(dev, run.load_config().data.pivot, None, shared)
    return RetrievalTexts.of(dev, pivot)
