"""`xformer.load`: a run as a model that can be used."""

from __future__ import annotations

import os

import torch

from xformer.api.model import Model
from xformer.embedding.precision import device_of, prepare
from xformer.errors import InputError
from xformer.finetuning.load import open_finetuned
from xformer.model.int8 import quantise_translator
from xformer.model.multilingual import MultilingualModel
from xformer.pretraining.pretrained import PretrainedRun, PretrainedSettings, open_pretrained
from xformer.runs.directory import RunDirectory
from xformer.runs.find import find_run
from xformer.runs.kind import CLASSIFICATION, SUMMARIZATION, TRANSLATION, task_of
from xformer.runs.opening import Which
from xformer.runs.sentence_layer import SentenceLayer
from xformer.translation.load import open_translation
from xformer.translation.translator import Translator


def load(
    path: str | os.PathLike[str],
    *,
    checkpoint: Which | None = None,
    device: str | torch.device | None = None,
    dtype: str = "auto",
    threads: int | None = None,
) -> Model:
    """Open a run that `xformer pretrain`, `xformer import` or `xformer finetune` made, to use its model.

    >>> import xformer
    >>> model = xformer.load("runs/demo")
    >>> vectors = model.encode(["Open the file", "Datei öffnen", "Save the file"])
    >>> vectors.shape
    (3, 192)

    Weights are read without pickle, after their hashes were compared. No global state of PyTorch is changed.

    Args:
        path: the run's folder.
        checkpoint: `newest`; `best`, the one with the lowest loss on held-out texts; or a step whose
            checkpoint the run has. None: the newest, and of a run that was fine-tuned the best.
        device: where to compute, as torch names it; None for a GPU if there is one.
        dtype: precision of matrix products: `fp32`, `bf16`, or `auto`: bf16 on a GPU that has it, else fp32.
            `int8` is faster on a CPU with AVX2 and changes vectors, and what a translator writes, a little.
            Vectors are always float32.
        threads: of the CPU, while the model computes; PyTorch's own number is back after each call. None
            leaves it as it is.

    Raises:
        InputError: there is no run, it has no such checkpoint, a file is damaged, or an option is unknown;
            the message names what was expected, and the command that helps.
    """
    if threads is not None and (isinstance(threads, bool) or not isinstance(threads, int) or threads < 1):
        raise InputError(f"threads: expected a whole number from 1, or None; got {threads!r}")
    place = device_of(device)
    run = find_run(path)
    if task_of(run) in (TRANSLATION, SUMMARIZATION):
        return _load_translator(run, "best" if checkpoint is None else checkpoint, place, dtype, threads)
    if task_of(run) == CLASSIFICATION:
        return _load_finetuned(run, "best" if checkpoint is None else checkpoint, place, dtype, threads)
    opened = open_pretrained(run.path, "newest" if checkpoint is None else checkpoint)
    return Model(opened, prepare(opened.network, dtype, place), place, threads)


def _load_finetuned(
    run: RunDirectory, checkpoint: Which, place: torch.device, dtype: str, threads: int | None
) -> Model:
    """A model that classifies, and encodes with the encoder as it was fine-tuned."""
    opened = open_finetuned(run.path, checkpoint)
    config, classifier = opened.config, opened.model
    with torch.device("meta"):
        network = MultilingualModel(config.model, config.base.pooling)
    network.encoder = classifier.encoder
    if config.classifier.coordinates == "shared":
        network.pooling = classifier.pooling
    del network.masked_lm  # which was not kept
    prepared = prepare(network.eval(), dtype, place)
    layer = SentenceLayer(opened.state.step, config.layers, [])
    encoder = PretrainedRun(
        run,
        config,
        PretrainedSettings(
            config.model,
            config.base.pooling,
            config.base.max_length,
            cuts=bool(opened.tokenizer.prefix or opened.tokenizer.suffix),
        ),
        opened.tokenizer,
        prepared.model,
        opened.state,
        layer,
        f"{run.path}: fine-tuning keeps no masked-LM head; `xformer fill-mask {config.base.run}` has one",
    )
    model = Model(encoder, prepared, place, threads)
    model._use_finetuned(classifier.to(place), opened.temperature, layer)
    return model


def _load_translator(
    run: RunDirectory, checkpoint: Which, place: torch.device, dtype: str, threads: int | None
) -> Model:
    """A model that translates or summarizes, and encodes with the encoder of what does."""
    opened = open_translation(run.path, checkpoint)
    config = opened.config
    with torch.device("meta"):
        network = MultilingualModel(config.model, "mean")
    del network.masked_lm  # which was not kept
    network.encoder = opened.model.encoder
    prepared = prepare(network.eval(), dtype, place)
    if prepared.dtype == "int8":
        quantise_translator(opened.model)
    encoder = PretrainedRun(
        run,
        config,
        PretrainedSettings(config.model, "mean", config.translation.max_tokens),
        opened.tokenizer,
        prepared.model,
        opened.state,
        SentenceLayer(opened.state.step, config.model.n_layers, []),
        f"{run.path}: a run that translates or summarizes keeps no masked-LM head",
    )
    model = Model(encoder, prepared, place, threads)
    writer = Translator(opened, place, model._computing)
    if config.translation.summarizes:
        model._summarizer = writer
    else:
        model._translator = writer
    return model
