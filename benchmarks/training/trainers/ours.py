"""`xformer.training` by the clock: its own loop with its own settings, looked at when it saves."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from xformer.data.counts import count_tokens
from xformer.distributed.one_process import OneProcess
from xformer.evaluation.bits_per_byte import model_surprisal
from xformer.model.multilingual import MultilingualModel
from xformer.pretraining.batches import StepBatch, StepBatches
from xformer.pretraining.forecast.machine import PeakMemory
from xformer.pretraining.pretrain import build_model
from xformer.pretraining.stages import FULL
from xformer.pretraining.task import PretrainingTask
from xformer.progress import Progress
from xformer.runs.checkpoint import TrainingState
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory
from xformer.runs.metrics import read_metrics
from xformer.tokenizer import Tokenizer
from xformer.training.loop import Training, train
from xformer.training.memory import keep_freed_memory
from xformer.training.precision_trial import settle_precision
from xformer.training.schedule import Span
from xformer.training.thread_choice import threads_of
from xformer.training.trainer import Trainer

from ..clock import Cost, Timed, Work
from ..quality import Quality, Questions
from ..result import Point
from .assignment import Assignment, Finished

_SAMPLED = 8


def train_ours(
    given: Assignment, tokenizer: Tokenizer, dev: Questions, scratch: Path, progress: Progress
) -> Finished:
    """Train as `xformer pretrain` does.

    Args:
        given: what every trainer is given; length and intervals of the run are taken from its budget.
        tokenizer: of the run.
        dev: chooses after how many blocks vectors are taken, as in `xformer evaluate`.
        scratch: an empty folder for the run's own files.
        progress: where to show what happens.

    Returns:
        The work and its seconds are those of the stage with blocks.
    """
    config, shards, questions, device, budget = (
        given.config, given.shards, given.questions, given.device, given.budget
    )  # fmt: skip
    every = budget / given.marks
    options = replace(
        config.training,
        budget=f"{budget}s",
        steps=None,
        checkpoint_every=every,
        keep_checkpoints=1,
        log_every=every / 5,
    )
    config = replace(config, training=options)
    run = RunDirectory(scratch)
    keep_freed_memory()
    began = time.perf_counter()
    counts = count_tokens(shards)
    model = build_model(config, counts).to(device)
    setup = time.perf_counter() - began
    batches = StepBatches(shards, config, tokenizer.starts_word(), counts=counts)
    task = PretrainingTask(config, model, batches, shards, sparse_tables=device.type == "cpu")
    trainer, optimizer = Trainer(task, OneProcess(device), "fp32", run), task.optimizer()
    choice = settle_precision(options.precision, trainer, optimizer, Span.of(options))
    precision, threads = choice.precision, threads_of(options, device, 1)
    training = Training(run, options, trainer, optimizer, threads=threads.chooser)
    points = [Point.of(setup, 0, _examine(model, questions, dev, 0))]
    peaks, memory = [0], PeakMemory(device)

    def look(state: TrainingState) -> None:
        nonlocal memory
        peaks.append(memory.read() or 0)
        layers = config.model.n_layers if state.stage == FULL else 0
        points.append(Point.of(setup + state.elapsed, state.tokens, _examine(model, questions, dev, layers)))
        memory = PeakMemory(device)

    state, _ = train(training, TrainingState(precision=precision), progress, look)
    steps, seconds, waited = _with_blocks(run, state)
    work = _work_of_a_step(config, batches, model, state.step)
    timed = Timed(
        tuple(points),
        setup + state.elapsed,
        Work(round(work.tokens * steps), work.flops * steps),
        state.step,
        max(peaks),
    )
    full = state.stage == FULL
    stages = f"blocks from {state.stage_began[1]:.0f} s on" if full else "no blocks were trained"
    parameters = sum(p.numel() for p in model.parameters())
    last = threads.chooser.present(state.stage)
    note = f"{choice}; threads: {threads}, {last} at the end; {stages}, {steps:,} steps with them"
    note += f", which waited for data {waited:.1%} of the time"
    return Finished(timed, parameters, precision, note, seconds)


def _examine(model: MultilingualModel, questions: Questions, dev: Questions, layers: int) -> Quality:
    """Evaluate a model with some blocks; vectors are taken after the number that is best on the dev split."""
    best = 0
    if layers:
        best = int(np.argmax([dev.top1(model, layer) or 0.0 for layer in range(layers + 1)]))
    return questions.examine(model, model_surprisal(model, n_layers=layers, device=questions.device), best)


def _with_blocks(run: RunDirectory, state: TrainingState) -> tuple[int, float, float]:
    """Steps in which blocks took part, their seconds, and what share of those they waited for data: from the
    first line of that stage to the last.
    """
    lines = [line for line in read_metrics(run.metrics) if line["stage"] == FULL]
    if len(lines) > 1:
        first, last = lines[0], lines[-1]
        seconds = last["elapsed"] - first["elapsed"]
        waits = (b["data_wait"] * (b["elapsed"] - a["elapsed"]) for a, b in pairwise(lines))
        return last["step"] - first["step"], seconds, sum(waits) / seconds
    step, elapsed = state.stage_began
    if state.stage != FULL:
        return 0, 0.0, 0.0
    return state.step - step, state.elapsed - elapsed, sum(line["data_wait"] for line in lines)


def _work_of_a_step(config: RunConfig, batches: StepBatches, model: MultilingualModel, steps: int) -> Work:
    """The mean work of some steps in the blocks; texts read only as a bag of subwords do not count."""
    head = model.masked_lm.head
    d_model, vocabulary = config.model.d_model, config.model.rows

    def cost(pieces: int | None) -> Cost:
        return Cost.of(model.encoder.layers, head, d_model, vocabulary if pieces is None else pieces)

    made = [_work(batches.make(int(step)), cost) for step in np.linspace(0, max(steps - 1, 0), _SAMPLED)]
    tokens = sum(work.tokens for work in made) // _SAMPLED
    return Work(tokens, sum(work.flops for work in made) / _SAMPLED)


def _work(batch: StepBatch, cost: Callable[[int | None], Cost]) -> Work:
    """The work of a step, given the cost of a model with an output layer of some size."""
    tokens, flops = 0, 0.0
    for part in batch.masked.values():
        pieces = None if part.sample is None else len(part.sample.ids)
        flops += cost(pieces).training(part.inputs.lengths, len(part.targets))
        tokens += part.inputs.n_tokens
    if pairs := batch.pairs.get("alignment"):
        flops += cost(None).training(pairs.inputs.lengths, 0)
        tokens += pairs.inputs.n_tokens
    return Work(tokens, flops)
