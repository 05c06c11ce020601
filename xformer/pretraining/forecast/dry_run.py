"""Forecast of a pretraining run: what `xformer pretrain --dry-run` prints.

Parameters, operations and the memory of weights are computed (`estimate`). Seconds are measured: the training
loop itself runs for a few seconds in each stage (`measure_steps`), on texts like those of the run
(`text_sample`). The run's folder is only read.
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch

from xformer.data.counts import count_tokens
from xformer.distributed.one_process import OneProcess
from xformer.errors import InputError
from xformer.model.multilingual import MultilingualModel
from xformer.pretraining.batches import StepBatches
from xformer.pretraining.checks import StartChecks
from xformer.pretraining.forecast.estimate import parameter_counts, passes_of, weight_bytes
from xformer.pretraining.forecast.machine import PeakMemory, device_name
from xformer.pretraining.forecast.measure_steps import MIN_STEPS, MeasuredSteps, measure, short_run
from xformer.pretraining.forecast.text_sample import ForecastTexts, for_sample
from xformer.pretraining.parameter_groups import make_optimizer
from xformer.pretraining.prepare import find_corpus, require_same_corpus, start_checks
from xformer.pretraining.pretrain import build_model, made_by
from xformer.pretraining.resolve import resolve_from_run, with_vocabulary
from xformer.pretraining.sampling_report import SamplingReport
from xformer.pretraining.stages import EMBEDDING_WARMUP, FULL, depth_of
from xformer.pretraining.task import PretrainingTask, held_out_batch
from xformer.progress import Progress
from xformer.runs.checkpoint import TrainingState, newest_checkpoint
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory
from xformer.runs.effects import evaluation_only
from xformer.runs.settings import require_same_settings
from xformer.training.loop import Training
from xformer.training.precision import MatrixPrecision
from xformer.training.precision_trial import settle_precision
from xformer.training.schedule import Span
from xformer.training.thread_choice import threads_of
from xformer.training.trainer import Trainer


@dataclass(frozen=True)
class StageForecast:
    """The forecast of one stage.

    Attributes:
        name: `embedding_warmup`, in which no block is run, or `full`.
        measured_steps: number of steps that were timed.
        seconds_per_step: of training, without checkpoints and logs.
        tokens_per_step: text tokens, on average.
        flops_per_step: useful operations, forward and backward.
        activation_bytes: what autograd keeps between the two, computed.
        steps: in the whole run, as `seconds`, `tokens` and `flops`.
        seconds: of training.
        tokens: text tokens.
        flops: useful operations.
    """

    name: str
    measured_steps: int
    seconds_per_step: float
    tokens_per_step: float
    flops_per_step: float
    activation_bytes: int
    steps: int
    seconds: float
    tokens: int
    flops: float


@dataclass(frozen=True)
class Forecast:
    """The forecast of a run on this machine, from its first step to its last.

    Attributes:
        device: name of the device.
        threads: of the CPU, on which a step of the last stage runs.
        processor_share: processor time that the process had, divided by the wall-clock time of its threads;
            None on a GPU. It is low on a machine with other work, and the seconds are valid while that lasts.
        precision: of the products.
        data: the texts that were used.
        checks: what the run says of its corpus before it trains; None where there is no corpus yet.
        vocabulary: number of pieces of the tokenizer.
        parameters: number of parameters by part.
        weight_bytes: memory of the parameters while they are trained, by use.
        activation_bytes: of the stage that keeps most, computed.
        process_bytes: peak memory of the process (on a GPU, of PyTorch on the device) while steps were
            measured; None where the system does not report it.
        checkpoint_bytes: of one checkpoint.
        checkpoint_seconds: to measure the loss on held-out texts and write a checkpoint.
        checkpoints: number of checkpoints that are written.
        panel_seconds: of one evaluation of the panel, with all blocks; None where there is no dev split yet.
        panel_evaluations: number of evaluations of the panel.
        stages: in their order.
        steps: of all stages.
        tokens: of all stages.
        flops: of all stages.
        flops_per_second: while training.
        seconds: of training, which is what a budget counts.
        wall_seconds: with checkpoints and, where it was measured, the panel.
        trained_steps: of these steps, those that the run has taken already.
        trained_seconds: of these seconds, those that the run was trained for already.
        sampling: what rules about sources and small languages make of these texts.
    """

    device: str
    threads: int
    processor_share: float | None
    precision: Literal["fp32", "bf16"]
    data: str
    checks: StartChecks | None
    vocabulary: int
    parameters: dict[str, int]
    weight_bytes: dict[str, int]
    activation_bytes: int
    process_bytes: int | None
    checkpoint_bytes: int
    checkpoint_seconds: float
    checkpoints: int
    panel_seconds: float | None
    panel_evaluations: int
    stages: tuple[StageForecast, ...]
    steps: int
    tokens: int
    flops: float
    flops_per_second: float
    seconds: float
    wall_seconds: float
    trained_steps: int
    trained_seconds: float
    sampling: SamplingReport = field(default_factory=SamplingReport)

    def to_json(self) -> str:
        """One JSON object, indented."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False, allow_nan=False)


class Panel(Protocol):
    """The part of `xformer.evaluation.panel.Panel` that a forecast needs."""

    def evaluate(self, model: MultilingualModel, state: TrainingState) -> object:
        """Measure the model; write nothing."""


MakePanel = Callable[[RunDirectory, RunConfig, Progress], Panel | None]
"""Makes the panel of a run that is prepared, or None if it has none."""


def forecast(
    run: RunDirectory,
    config: RunConfig,
    progress: Progress,
    *,
    seconds: float = 12.0,
    make_panel: MakePanel | None = None,
    device: torch.device | None = None,
) -> Forecast:
    """Measure a few steps of each stage, on a GPU if there is one, and compute the rest.

    Args:
        run: its shards are used if it has any; it is only read.
        config: the settings.
        progress: shows what is measured.
        seconds: to measure each stage for, about; at least ten steps are run.
        make_panel: makes the run's panel; left out, the forecast is for a run without a panel.
        device: where to measure; None for a GPU if there is one.

    Raises:
        InputError: the run began with other settings, its shards are damaged, or a loss is not finite.
            Without shards: the corpus or the tokenizer is missing or damaged, or does not fit the settings.
    """
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    config = resolve_from_run(run, config)
    require_same_settings(run, config, made_by(run), evaluation_only)
    checks, config = _checks(run, config)
    for line in checks.lines() if checks else ():
        progress.say(line)
    texts = ForecastTexts.of(run, config, progress)
    config = with_vocabulary(config, texts.pieces)
    config = for_sample(config, texts, checks)
    sampling = SamplingReport.of(texts.train, config)
    for line in sampling.lines():
        progress.say(f"{line} ({texts.name})")
    counts = count_tokens(texts.train)
    model = build_model(config, counts).to(device)
    batches = StepBatches(texts.train, config, texts.starts_word, counts=counts)
    held_out = held_out_batch(texts.dev, config, texts.starts_word) if texts.dev else None
    warmup = config.objectives.embedding_warmup_share if batches.aligns else 0.0
    optimizer = make_optimizer(model, config.optimizer)
    peak = PeakMemory(device)
    threads = threads_of(config.training, device, 1).chooser

    def trainer_of(settings: RunConfig, place: RunDirectory, precision: MatrixPrecision) -> Trainer:
        sparse = device.type == "cpu"
        task = PretrainingTask(settings, model, batches, texts.train, held_out, sparse_tables=sparse)
        return Trainer(task, OneProcess(device), precision, place)

    span, asked = Span.of(config.training), config.training.precision
    precision = settle_precision(asked, trainer_of(config, run, "fp32"), optimizer, span).precision
    measured, stages, thread_seconds = [], [], 0.0
    for name, share in ((EMBEDDING_WARMUP, warmup), (FULL, 1.0 - warmup)):
        if not share:
            continue
        progress.say(f"dry run: measuring the {name.replace('_', ' ')} stage on {texts.name}")
        short = short_run(config, name, seconds)
        with tempfile.TemporaryDirectory() as folder:
            place = RunDirectory(Path(folder))
            trainer = trainer_of(short, place, precision)
            found = measure(Training(place, short.training, trainer, optimizer, threads=threads))
        thread_seconds += threads.present(name) * found.wall_seconds
        measured.append(found)
        stages.append(_stage(name, share, found, batches, config, precision))
    last, parameters = measured[-1], parameter_counts(config.model, config.objectives.pooling)
    training_seconds, flops = sum(stage.seconds for stage in stages), sum(stage.flops for stage in stages)
    checkpoints = count_checkpoints(stages, config.training.checkpoint_every)
    wall_seconds = training_seconds + checkpoints * last.checkpoint_seconds
    panel_seconds, evaluations = None, 0
    if make_panel and (every := config.training.panel_every):
        panel = make_panel(run, config, progress) if texts.dev else None
        if panel:
            began = time.monotonic()
            panel.evaluate(model, TrainingState(stage=FULL))
            panel_seconds = time.monotonic() - began
        if panel or not texts.dev:
            # One after the first step, then one each `every` seconds after the end of the one before.
            evaluations = 1 + int(wall_seconds // every)
    processor_share = sum(one.processor_seconds for one in measured) / thread_seconds
    checkpoint = newest_checkpoint(run.checkpoints)
    trained = TrainingState() if checkpoint is None else checkpoint.state
    return Forecast(
        device=device_name(device),
        threads=threads.present(stages[-1].name),
        processor_share=processor_share if device.type == "cpu" else None,
        precision=precision,
        data=texts.name,
        checks=checks,
        vocabulary=texts.pieces,
        parameters={str(part): count for part, count in parameters.items()},
        weight_bytes=weight_bytes(sum(parameters.values()), precision, by_row=parameters["bigrams"]),
        activation_bytes=max(stage.activation_bytes for stage in stages),
        process_bytes=peak.read(),
        checkpoint_bytes=last.checkpoint_bytes,
        checkpoint_seconds=last.checkpoint_seconds,
        checkpoints=checkpoints,
        panel_seconds=panel_seconds,
        panel_evaluations=evaluations,
        stages=tuple(stages),
        steps=sum(stage.steps for stage in stages),
        tokens=sum(stage.tokens for stage in stages),
        flops=flops,
        flops_per_second=flops / training_seconds,
        seconds=training_seconds,
        wall_seconds=wall_seconds + evaluations * (panel_seconds or 0.0),
        trained_steps=trained.step,
        trained_seconds=trained.elapsed,
        sampling=sampling,
    )


def _checks(run: RunDirectory, config: RunConfig) -> tuple[StartChecks | None, RunConfig]:
    """What the run says before it trains, and the settings with its pivot."""
    try:
        corpus = find_corpus(run, config.data, verify=False)
        if corpus is None:
            return None, config
        require_same_corpus(run, corpus)
        return start_checks(run, config, corpus)
    except InputError:
        if run.shards("train").is_dir():  # a prepared run needs its corpus no more
            return StartChecks.load(run.checks), config
        raise


def count_checkpoints(stages: Sequence[StageForecast], every: float) -> int:
    """Number of checkpoints of a run: one whenever `every` seconds have passed, and one at the end.

    Args:
        stages: of the run, in order.
        every: seconds from one checkpoint to the next, without the time to write one.
    """
    written, since = 0, 0.0
    for stage in stages:
        apart = _steps_in(every, stage.seconds_per_step)
        first = _steps_in(every - since, stage.seconds_per_step)
        if stage.steps < first:
            since += stage.steps * stage.seconds_per_step
            continue
        more, left = divmod(stage.steps - first, apart)
        written, since = written + 1 + more, left * stage.seconds_per_step
    return written + (since > 0)


def _steps_in(seconds: float, per_step: float) -> int:
    """Number of steps until so many seconds have passed, at least one."""
    return max(1, math.ceil(round(seconds / per_step, 9)))


def _stage(
    name: str,
    share: float,
    measured: MeasuredSteps,
    batches: StepBatches,
    config: RunConfig,
    precision: MatrixPrecision,
) -> StageForecast:
    """The forecast of a stage that takes `share` of the run's steps or seconds."""
    examples = [batches.make(step, name) for step in range(MIN_STEPS)]
    passes = [passes_of(batch, depth_of(name)) for batch in examples]
    flops = np.mean([3 * sum(one.forward_flops(config.model) for one in step) for step in passes])
    tokens = np.mean([batch.plan.n_tokens for batch in examples])
    kept = [sum(one.activation_bytes(config.model, precision) for one in step) for step in passes]
    span = Span.of(config.training)
    if span.steps is not None:
        # A step belongs to the warm-up if the share is not reached before it.
        rounded = math.ceil if name == EMBEDDING_WARMUP else math.floor
        steps = rounded(round(share * span.steps, 9))
    else:
        steps = max(1, round(share * (span.budget or 0.0) / measured.seconds_per_step))
    return StageForecast(
        name=name,
        measured_steps=measured.steps,
        seconds_per_step=measured.seconds_per_step,
        tokens_per_step=float(tokens),
        flops_per_step=float(flops),
        activation_bytes=max(kept),
        steps=steps,
        seconds=steps * measured.seconds_per_step,
        tokens=round(steps * tokens),
        flops=float(steps * flops),
    )
