"""Advice at the end of a run, from its logs: after an evaluation, or after training alone."""

from __future__ import annotations

import math
import os

import numpy as np

from xformer.data.shards import TokenShards
from xformer.errors import InputError
from xformer.evaluation.advice import Advice, RunFacts, Standing, advise
from xformer.evaluation.bits_per_byte import HiddenTokens, bits_per_byte
from xformer.evaluation.outlook import outlook
from xformer.evaluation.panel import panel_texts
from xformer.evaluation.report import EvaluationReport
from xformer.evaluation.unigram import Unigram
from xformer.pretraining.prepare import open_shards
from xformer.pretraining.stages import FULL
from xformer.runs.checkpoint import TrainingState, newest_checkpoint
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory
from xformer.runs.find import find_run
from xformer.runs.metrics import PRETRAINING_FIELDS, read_metrics
from xformer.tokenizer import Tokenizer
from xformer.training.schedule import Span

_UNIGRAM = "a unigram model of each language"


def advice_on(
    run: RunDirectory,
    config: RunConfig,
    state: TrainingState,
    train: TokenShards,
    report: EvaluationReport,
) -> Advice:
    """Compare an evaluation with its baselines, and forecast a run of twice the length.

    Args:
        run: the run.
        config: its settings.
        state: of its newest checkpoint.
        train: its training split.
        report: its evaluation.

    Raises:
        InputError: a line of its logs cannot be read.
    """
    mlm, found = report.mlm, report.retrieval
    standings = [Standing("bits_per_byte", mlm.mean_bits_per_byte, mlm.unigram_mean_bits_per_byte, _UNIGRAM)]
    if found is not None and found.bag_mean_top1 is not None:
        standings.append(
            Standing("top1", found.mean_top1, found.bag_mean_top1, "a bag of subwords, the baseline")
        )
    elif found is not None:
        standings.append(
            Standing("top1", found.mean_top1, found.untrained_mean_top1, "the model before training")
        )
    bag_steps = report.bag.steps if report.bag is not None else None
    return _advice(run, config, state, train, standings, bag_steps)


def closing_advice(path: str | os.PathLike[str]) -> Advice | None:
    """Advice after training, where there is no evaluation: of the panel's last line and a unigram model.

    Returns:
        None where the panel did not measure the model at its last step.

    Raises:
        InputError: the run is damaged.
    """
    run = find_run(path)
    config, checkpoint = run.load_config(), newest_checkpoint(run.checkpoints, kinds=["model"])
    panel = read_metrics(run.panel, ("step", "elapsed"))
    if checkpoint is None or not panel or panel[-1]["step"] != checkpoint.state.step:
        return None
    bits = panel[-1].get("mean_bits_per_byte")
    if bits is None:
        return None
    tokenizer = Tokenizer.load(run.tokenizer)
    train, dev = (open_shards(run, split, tokenizer) for split in ("train", "dev"))
    try:
        texts = panel_texts(dev, config)
    except InputError:  # the corpus has changed since
        return None
    unigram = bits_per_byte(
        Unigram.fit(train).surprisal, HiddenTokens(texts.shards), tokenizer.byte_lengths()
    ).mean(np.array([texts.pivot, *texts.languages]))
    standing = Standing("bits_per_byte", bits, unigram, f"{_UNIGRAM} (on the panel's texts)")
    return _advice(run, config, checkpoint.state, train, [standing], None)


def _advice(
    run: RunDirectory,
    config: RunConfig,
    state: TrainingState,
    train: TokenShards,
    standings: list[Standing],
    bag_steps: int | None,
) -> Advice:
    metrics, panel = (
        read_metrics(run.metrics, PRETRAINING_FIELDS),
        read_metrics(run.panel, ("step", "elapsed")),
    )
    scores = {one.score: (one.value, one.baseline) for one in standings}
    ahead = outlook(metrics, panel, scores.get("bits_per_byte"), scores.get("top1"))
    share = Span.of(config.training).progress(state.step, state.elapsed)
    began = state.stage_began[0] if state.stage == FULL else state.step
    tokens = [line["tokens"] for line in metrics if line["step"] <= began]
    text_tokens = int(np.sum(train.n_tokens, dtype=np.int64))
    facts = RunFacts(
        command=_command(run, config, 1.0 if share < 0.99 else ahead.times),
        share=share,
        steps=state.step - began,
        warmup_steps=began,
        bag_steps=bag_steps,
        layers=config.model.n_layers,
        text_tokens=text_tokens,
        read=(state.tokens - (tokens[-1] if tokens else 0)) / max(1, text_tokens),
        masked_lm=bool(config.objectives.masked_lm_tokens or config.objectives.translation_lm_tokens),
        aligns=bool(config.objectives.alignment_tokens),
    )
    return advise([one for one in standings if math.isfinite(one.value)], facts, ahead)


def _command(run: RunDirectory, config: RunConfig, times: float) -> str:
    """The command that makes a run so many times as long."""
    span = Span.of(config.training)
    if times == 1:
        return f"xformer pretrain {run.path}"
    if span.steps is not None:
        return f"xformer pretrain {run.path} --steps {round(times * span.steps)}"
    seconds = times * (span.budget or 0.0)
    length = f"{seconds / 60:g}m" if seconds % 60 == 0 else f"{seconds:g}s"
    return f"xformer pretrain {run.path} --budget {length}"
