"""One translation run, from its settings to its last checkpoint."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from xformer.data.translated import TranslatedTexts
from xformer.distributed.one_process import OneProcess
from xformer.errors import InputError
from xformer.pretraining.pretrained import open_text_tokenizer
from xformer.progress import Progress, duration
from xformer.runs.checkpoint import TrainingState, newest_checkpoint
from xformer.runs.copied_tokenizer import copy_tokenizer
from xformer.runs.directory import RunDirectory
from xformer.storage.files import atomic_write
from xformer.tokenizer import TokenizerError, fit_tokenizer
from xformer.tokenizer.interface import TextTokenizer
from xformer.training.loop import Callback
from xformer.training.run import Recipe, train_run
from xformer.translation.config import TranslationConfig
from xformer.translation.dev import DevSample
from xformer.translation.encoded import EncodedPairs, Vocabulary
from xformer.translation.model import new_model
from xformer.translation.task import TranslationTask


@dataclass(frozen=True)
class TranslationTexts:
    """What a run learns from and is chosen by.

    Attributes:
        train: to learn from.
        dev: held out; checkpoints are compared by it.
    """

    train: TranslatedTexts
    dev: TranslatedTexts


def train_translator(
    path: str | os.PathLike[str],
    config: TranslationConfig,
    texts: TranslationTexts,
    progress: Progress,
    device: torch.device | None = None,
) -> bool:
    """Train the run at `path` to its end, from its newest checkpoint, if it has one.

    Args:
        path: a new folder, or one of an earlier call with the same settings and texts.
        config: settings of the run.
        texts: in the directions of the settings.
        progress: where to report.
        device: by default a GPU if there is one.

    Returns:
        Whether the run is complete; False after Ctrl-C.

    Raises:
        InputError: as `train_run`; a direction has no pairs, or all of its pairs are too long.
    """
    tasks: list[TranslationTask] = []

    def prepare(run: RunDirectory, config: TranslationConfig, progress: Progress) -> TranslationConfig:
        _settle_tokenizer(run, config, texts.train, progress)
        tokenizer = open_text_tokenizer(run)
        vocabulary = Vocabulary.of(tokenizer, config.translation.targets)
        return with_rows(config, vocabulary.rows)

    def task(
        run: RunDirectory, config: TranslationConfig, processes: OneProcess, progress: Progress
    ) -> TranslationTask:
        with processes.all_or_none():
            tokenizer = open_text_tokenizer(run)
            made = _task(run, config, texts, tokenizer, processes, progress)
        tasks[:] = [made]
        return made

    def callback(run: RunDirectory, config: TranslationConfig, progress: Progress) -> Callback:
        return _watch(run, tasks[0], progress)

    recipe = Recipe(config.translation.task, task=task, prepare=prepare, made=_made_by, resolve=_resolved)
    return train_run(path, config, recipe, progress, device, callback)


def with_rows(config: TranslationConfig, rows: int | None) -> TranslationConfig:
    """The settings with this number of rows in the embedding."""
    encoder, decoder = (replace(half, vocab_size=rows) for half in (config.encoder, config.decoder))
    return replace(config, encoder=encoder, decoder=decoder)


def never_generated(tokenizer: TextTokenizer, vocabulary: Vocabulary) -> tuple[int, ...]:
    """Ids that stand in no target: special ones but for the end, and tags."""
    special = {*tokenizer.special_ids, *tokenizer.prefix, *tokenizer.suffix} - {vocabulary.end}
    return (*sorted(special), *range(vocabulary.pieces, vocabulary.rows))


def dev_scores(run: RunDirectory) -> list[dict[str, Any]]:
    """The evaluations of a run on its dev sample: step, seconds of training, chrF of each direction."""
    if not run.dev_scores.is_file():
        return []
    found: list[dict[str, Any]] = json.loads(run.dev_scores.read_text(encoding="utf-8"))
    return found


def _task(
    run: RunDirectory,
    config: TranslationConfig,
    texts: TranslationTexts,
    tokenizer: TextTokenizer,
    processes: OneProcess,
    progress: Progress,
) -> TranslationTask:
    options = config.translation
    train = EncodedPairs.of(texts.train, texts.train.pairs(options.pairs), tokenizer, options)
    held_out = EncodedPairs.of(texts.dev, texts.dev.pairs(options.pairs), tokenizer, options)
    dev = replace(held_out, pairs=held_out.pairs.first_of_each(options.dev_pairs))
    sample = DevSample(texts.dev, dev, tokenizer, never_generated(tokenizer, train.vocabulary), options)
    begun = newest_checkpoint(run.checkpoints) is not None
    model = new_model(config, train.vocabulary, begun=begun)
    task = TranslationTask(
        config, model, train, sample, tokenizer.fingerprint(), rank=processes.rank, world=processes.world
    )
    tokens = int(train.source_lengths.sum() + train.target_lengths.sum())
    left_out = f"; {train.too_long:,} too long ones are left out" if train.too_long else ""
    progress.say(
        f"data: {len(train):,} pairs, {tokens:,} tokens, {len(options.directions)} directions{left_out};"
        f" {len(dev):,} pairs are held out; a pass over the data is {task.steps_of_a_pass:,} steps"
    )
    return task


def _settle_tokenizer(
    run: RunDirectory, config: TranslationConfig, train: TranslatedTexts, progress: Progress
) -> None:
    """The pretrained run's tokenizer, or a new one of the training texts, if the run has none yet."""
    if run.tokenizer.is_file() or run.tokenizer_folder.is_dir():
        return
    if config.origin.run is not None:
        copy_tokenizer(run, config.origin.run)
        return
    try:
        made = fit_tokenizer(
            lambda: zip(train.languages, train.texts, strict=True),
            config.tokenizer,
            run.tokenizer,
            progress=progress,
            say=progress.say,
        )
    except TokenizerError as error:
        raise InputError(str(error)) from error
    progress.say(f"tokenizer: {made.vocab_size:,} pieces")


def _made_by(run: RunDirectory) -> dict[str, bool]:
    return {"data": False, "tokenizer": run.tokenizer.is_file() or run.tokenizer_folder.is_dir()}


def _resolved(run: RunDirectory, config: TranslationConfig) -> TranslationConfig:
    """The settings of a call, with the number of rows that the run at hand has."""
    if run.config.is_file() and config.encoder.vocab_size is None:
        return with_rows(config, run.load_config(TranslationConfig).encoder.vocab_size)
    return config


def _watch(run: RunDirectory, task: TranslationTask, progress: Progress) -> Callback:
    """A callback that writes down and says what each evaluation found."""

    def watch(model: Any, state: TrainingState) -> Mapping[str, float] | None:
        if not state.evaluations or state.evaluations[-1][0] != state.step or task.scores is None:
            return None
        found = task.scores.chrf
        # Those of later steps, from before the run was stopped, go.
        before = [one for one in dev_scores(run) if one["step"] < state.step]
        row = {"step": state.step, "seconds": round(state.elapsed, 1), "chrf": found}
        with atomic_write(run.dev_scores) as file:
            json.dump([*before, row], file)
        best, mean = max(100 - loss for _, loss in state.evaluations), task.scores.mean
        progress.say(f"step {state.step:,}, {duration(state.elapsed)}: dev chrF {mean:.2f}, best {best:.2f}")
        return {f"dev_chrf/{name}": value for name, value in found.items()}

    return watch
