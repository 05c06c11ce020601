"""`xformer pretrain --dry-run`: what a run will cost, before it is begun.

Parameters, operations and the memory of weights are arithmetic (`estimate`). Seconds are measured: the
training loop itself runs for a few seconds of each stage, in a folder that is removed, on the run's own
shards where these exist, else on a sample of its corpus. Where that is the default corpus and not here yet,
on synthetic texts of its lengths. The run's folder is only read.
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from xformer.data.counts import count_tokens
from xformer.data.shards import TokenShards
from xformer.distributed.one_process import OneProcess
from xformer.errors import InputError
from xformer.model.multilingual import MultilingualModel
from xformer.pretraining.batches import StepBatches
from xformer.pretraining.forecast.estimate import parameter_counts, passes_of, weight_bytes
from xformer.pretraining.forecast.machine import PeakMemory, device_name
from xformer.pretraining.forecast.measure_steps import ENOUGH, Measured, for_measuring, measure
from xformer.pretraining.forecast.text_sample import sample_shards
from xformer.pretraining.parameter_groups import make_optimizer
from xformer.pretraining.prepare import (
    find_corpus,
    given_tokenizer,
    made_shards,
    open_shards,
    open_tokenizer,
    require_same_corpus,
)
from xformer.pretraining.pretrain import build_model
from xformer.pretraining.stages import EMBEDDING_WARMUP, FULL, depth_of
from xformer.pretraining.synthetic_data import synthetic_shards
from xformer.pretraining.task import PretrainingTask, held_out_batch
from xformer.progress import Progress
from xformer.runs.checkpoint import TrainingState
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory
from xformer.tokenizer import TokenizerError
from xformer.training.loop import Training
from xformer.training.precision import choose_precision
from xformer.training.schedule import Span
from xformer.training.trainer import Trainer


@dataclass(frozen=True)
class StageForecast:
    """One stage of the run.

    Attributes:
        name: `embedding_warmup`, in which no block is run, or `full`.
        measured_steps: how many steps the figures are from.
        seconds_per_step: of training; checkpoints and logs are not in it.
        tokens_per_step: text tokens, on average.
        flops_per_step: useful operations, forward and backward.
        activation_bytes: what autograd keeps between the two, by the formula.
        steps: of the run.
        seconds: of the run.
        tokens: of the run.
        flops: of the run.
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
    """What a run costs from its beginning to its end, on this machine, its data being prepared.

    Attributes:
        device: where it was measured.
        threads: of the CPU.
        processor_share: of the processor time that its threads could have had, how much they had
            while steps were measured; None on a GPU. On a machine that others use it is low, and the seconds
            hold for as long as they do.
        precision: of the products.
        data: which texts it was measured on.
        parameters: by part.
        weight_bytes: what they take while trained, by what for.
        activation_bytes: of the stage that keeps most, by the formula.
        process_bytes: the most that the process (on a GPU, PyTorch on the device) held while steps were
            measured; None where the system does not tell.
        checkpoint_bytes: of one checkpoint.
        checkpoint_seconds: to measure the loss on held-out texts and write it.
        checkpoints: how many are written.
        panel_seconds: of one evaluation of the panel, with all blocks; None where there is no dev split yet.
        panel_evaluations: how many there are.
        stages: in their order.
        steps: of all stages.
        tokens: of all stages.
        flops: of all stages.
        flops_per_second: while training.
        seconds: of training, which is what a budget counts.
        wall_seconds: with checkpoints and, where it was measured, the panel.
    """

    device: str
    threads: int
    processor_share: float | None
    precision: Literal["fp32", "bf16"]
    data: str
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

    def to_json(self) -> str:
        """One JSON object, indented."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False, allow_nan=False)


class Panel(Protocol):
    """The part of `xformer.evaluation.panel.Panel` that a forecast needs."""

    def evaluate(self, model: MultilingualModel, state: TrainingState) -> object:
        """Measure the model; write nothing."""


MakePanel = Callable[[RunDirectory, RunConfig, Progress], Panel | None]
"""Makes the panel of a run that is prepared, or None where there is none; it only reads."""


def forecast(
    run: RunDirectory,
    config: RunConfig,
    progress: Progress,
    *,
    device: torch.device | None = None,
    seconds: float = 12.0,
    make_panel: MakePanel | None = None,
) -> Forecast:
    """Measure a few steps of each stage, and work out the rest.

    Args:
        run: whose shards to use, if it has any; it is only read.
        config: the settings.
        progress: where to say what is measured.
        device: left out, a GPU if there is one.
        seconds: to spend on each stage, about; ten steps are run, however long they take.
        make_panel: makes the run's panel; left out, the forecast is of a run without one.

    Raises:
        InputError: the run's shards are damaged, or a loss is not finite. Without shards: its corpus or
            tokenizer is missing or damaged, or does not fit the settings.
    """
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    data = _Data.of(run, config, progress)
    counts = count_tokens(data.train)
    model = build_model(config, counts).to(device)
    precision = choose_precision(config.training.precision, device, config.model.d_model)
    batches = StepBatches(data.train, config, data.starts_word, counts=counts)
    held_out = held_out_batch(data.dev, config, data.starts_word) if data.dev else None
    warmup = config.training.bag_share if batches.aligns else 0.0
    optimizer = make_optimizer(model, config.optimizer)
    peak = PeakMemory(device)
    measured, stages = [], []
    for name, share in ((EMBEDDING_WARMUP, warmup), (FULL, 1.0 - warmup)):
        if not share:
            continue
        progress.say(f"dry run: measuring the {name.replace('_', ' ')} stage on {data.name}")
        short = for_measuring(config, name, seconds)
        task = PretrainingTask(
            short, model, batches, data.train, held_out, sparse_tables=device.type == "cpu"
        )
        with tempfile.TemporaryDirectory() as folder:
            place = RunDirectory(Path(folder))
            trainer = Trainer(task, OneProcess(device), precision, place)
            found = measure(Training(place, short.training, trainer, optimizer))
        measured.append(found)
        stages.append(_stage(name, share, found, batches, config, precision))
    parameters = parameter_counts(config.model, config.objectives.pooling)
    training_seconds = sum(stage.seconds for stage in stages)
    checkpoints = count_checkpoints(stages, config.training.checkpoint_every)
    flops = sum(stage.flops for stage in stages)
    every = config.training.panel_every if make_panel else 0.0
    panel = make_panel(run, config, progress) if make_panel and every and data.dev else None
    panel_seconds = _seconds_of(panel, model) if panel else None
    wall_seconds = training_seconds + checkpoints * measured[-1].checkpoint_seconds
    # One after the first step, then one each `every` seconds, which begin when the one before has ended.
    evaluations = 1 + int(wall_seconds // every) if every and (panel or not data.dev) else 0
    return Forecast(
        device=device_name(device),
        threads=torch.get_num_threads(),
        processor_share=_processor_share(measured) if device.type == "cpu" else None,
        precision=precision,
        data=data.name,
        parameters={str(part): count for part, count in parameters.items()},
        weight_bytes=weight_bytes(sum(parameters.values()), precision, by_row=parameters["bigrams"]),
        activation_bytes=max(stage.activation_bytes for stage in stages),
        process_bytes=peak.read(),
        checkpoint_bytes=measured[-1].checkpoint_bytes,
        checkpoint_seconds=measured[-1].checkpoint_seconds,
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
    )


def count_checkpoints(stages: Sequence[StageForecast], every: float) -> int:
    """How many a run writes: one after each step that ends late enough after the last, and one at its end.

    Args:
        stages: of the run, in order.
        every: seconds from one to the next; what writing one takes does not count.
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


def _steps_in(seconds: float, a_step: float) -> int:
    """Steps after which so many seconds have passed."""
    return max(1, math.ceil(round(seconds / a_step, 9)))


def _seconds_of(panel: Panel, model: MultilingualModel) -> float:
    began = time.monotonic()
    panel.evaluate(model, TrainingState(stage=FULL))
    return time.monotonic() - began


def _processor_share(measured: Sequence[Measured]) -> float:
    had = sum(one.processor_seconds for one in measured)
    return had / (torch.get_num_threads() * sum(one.wall_seconds for one in measured))


def _stage(
    name: str,
    share: float,
    measured: Measured,
    batches: StepBatches,
    config: RunConfig,
    precision: Literal["fp32", "bf16"],
) -> StageForecast:
    """The stage in the whole run: so much of its steps or its seconds."""
    examples = [batches.make(step, name) for step in range(ENOUGH)]
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


@dataclass(frozen=True)
class _Data:
    """What is trained on, and what it is called."""

    name: str
    train: TokenShards
    dev: TokenShards | None
    starts_word: NDArray[np.bool_]

    @classmethod
    def of(cls, run: RunDirectory, config: RunConfig, progress: Progress) -> _Data:
        if run.tokenizer.is_file() and all(run.shards(split).is_dir() for split in ("train", "dev")):
            tokenizer = open_tokenizer(run)
            train, dev = (open_shards(run, split, tokenizer) for split in ("train", "dev"))
            return cls(f"the shards of {run.path}", train, dev, tokenizer.starts_word())
        corpus = find_corpus(run, config.data, verify=False)
        if corpus is None:
            words = np.random.default_rng(0).random(config.model.vocab_size) < 0.5
            name = "synthetic texts as long as the default corpus's, which is not downloaded yet"
            return cls(name, synthetic_shards(config), None, words)
        require_same_corpus(run, corpus)
        try:
            given = open_tokenizer(run) if run.tokenizer.is_file() else given_tokenizer(config)
            if given is not None and (made := made_shards(config.data, "train", corpus, given)):
                train = TokenShards.open(made, fingerprint=given.fingerprint(), verify=False)
                return cls(f"the shards of {made}", train, None, given.starts_word())
            progress.say(f"dry run: encoding a sample of {corpus.folder}")
            train, used = sample_shards(corpus, given, config.tokenizer, config.data.max_length)
        except TokenizerError as error:
            raise InputError(str(error)) from error
        return cls(f"a sample of {corpus.folder}, {len(train):,} texts", train, None, used.starts_word())
