"""`python -m benchmarks.training.memory`: the memory of a step, as modelled in docs/scaling.md and as
measured.

The measured value is the peak of PyTorch's CPU allocator, from before the first weights to the end of the
last step: weights, gradients, moments, activations, buckets, gathered blocks and everything else.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
from contextlib import ExitStack
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
import tyro
from rich.console import Console

from xformer.distributed.one_process import OneProcess
from xformer.distributed.processes import process_group
from xformer.model.config import ModelConfig
from xformer.model.multilingual import MultilingualModel
from xformer.pretraining.batches import StepBatches
from xformer.pretraining.forecast.estimate import passes_of
from xformer.pretraining.stages import FULL
from xformer.pretraining.synthetic_data import synthetic_shards
from xformer.pretraining.task import PretrainingTask
from xformer.runs.config import DataConfig, ObjectivesConfig, RunConfig, Sharding, TrainingConfig
from xformer.runs.directory import RunDirectory
from xformer.tokenizer import TokenizerOptions
from xformer.training.optimizer import clip_gradients
from xformer.training.run import make_trainer

STEPS = 3
_CPU = torch.profiler.ProfilerActivity.CPU


@dataclass(frozen=True)
class Memory:
    """Compare the memory model of docs/scaling.md with the measured memory, for two sizes of model.

    python -m benchmarks.training.memory --processes 2
    """

    processes: int = 1
    """Number of training processes. With more than one, both kinds of sharding are shown."""
    tokens: int = 4_096
    """About how many text tokens a step has: a quarter each in masked and translation LM, half in pairs."""

    def run(self) -> None:
        """Measure and print."""
        kinds: tuple[Sharding, ...] = get_args(Sharding) if self.processes > 1 else ("none",)
        console = Console(width=110, highlight=False)
        console.print(f"MiB, process 0 of {self.processes}")
        names = ("parameters", "sharding", "weights", "activations", "buckets", "model", "measured", "ratio")
        console.print(" ".join(f"{name:>12}" for name in names))
        for model in _MODELS:
            for sharding in kinds:
                count, parts, peak = _in_processes(self.processes, _config(model, self.tokens, sharding))
                shown = [f"{part / 2**20:,.1f}" for part in (*parts, sum(parts), peak)]
                row = (f"{count:,}", sharding, *shown, f"{sum(parts) / peak:.2f}")
                console.print(" ".join(f"{cell:>12}" for cell in row))


_MODELS = (
    ModelConfig(vocab_size=8_192, d_model=128, n_layers=4, n_heads=4, d_ff=192, bigrams=0),
    ModelConfig(vocab_size=16_384, d_model=384, n_layers=8, n_heads=6, d_ff=576, bigrams=0),
)


def _config(model: ModelConfig, tokens: int, sharding: Sharding) -> RunConfig:
    quarter = tokens // 4
    objectives = ObjectivesConfig(
        masked_lm_tokens=quarter,
        translation_lm_tokens=quarter,
        alignment_tokens=quarter,
        embedding_warmup_tokens=quarter,
    )
    return RunConfig(
        model=replace(model, dropout=0.0, attention_dropout=0.0),
        tokenizer=TokenizerOptions(vocabulary_size=model.vocab_size),
        data=DataConfig(max_length=128),
        objectives=objectives,
        training=TrainingConfig(budget=None, steps=STEPS, precision="fp32", sharding=sharding),
    )


def _in_processes(count: int, config: RunConfig) -> tuple[int, tuple[int, int, int], int]:
    """Number of parameters; the three parts of the memory model, and the peak of process 0, in bytes."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    environments = [
        {"RANK": str(rank), "WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        for rank in range(count)
    ]
    workers = [context.Process(target=_work, args=(env, config, there)) for env in environments]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        if worker.exitcode:
            raise SystemExit(f"a process ended with {worker.exitcode}")
    found: tuple[int, tuple[int, int, int], int] = here.recv()
    return found


def _work(environment: dict[str, str], config: RunConfig, answer: Connection) -> None:
    """The work of each process; the first one sends the result."""
    torch.set_num_threads(1)
    os.environ.update(environment)
    rank, count = int(environment["RANK"]), int(environment["WORLD_SIZE"])
    starts = np.random.default_rng(0).random(config.model.vocab_size) < 0.5
    shards = synthetic_shards(config)
    batches = StepBatches(shards, config, starts, rank, count)
    steps = [batches.make(step) for step in range(STEPS)]
    with ExitStack() as stack:
        processes = stack.enter_context(process_group()) if count > 1 else OneProcess(torch.device("cpu"))
        seen = stack.enter_context(torch.profiler.profile(activities=[_CPU], profile_memory=True))
        torch.manual_seed(0)
        model = MultilingualModel(config.model, config.objectives.pooling)
        sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
        task = PretrainingTask(config, model, batches, shards, gather_group=processes.gather_group)
        trainer = make_trainer(task, processes, "fp32", RunDirectory(Path()), config.training)
        optimizer = task.optimizer()
        for number, batch in enumerate(steps):
            optimizer.zero_grad(set_to_none=True)
            trainer.backward(trainer.complete(batch), FULL, number)
            clip_gradients(optimizer, config.optimizer.max_grad_norm)
            optimizer.step()
    if rank == 0:
        # Autograd keeps what all passes of a step need.
        kept = [[one.activation_bytes(config.model, "fp32") for one in passes_of(batch)] for batch in steps]
        weights, rest = _weight_bytes(sizes, count, config.training.sharding)
        answer.send((sum(sizes.values()), (weights, max(map(sum, kept)), rest), _peak(seen)))


def _weight_bytes(sizes: dict[str, int], world: int, sharding: Sharding) -> tuple[int, int]:
    """Bytes of weights, gradients and moments; and of DDP's buckets, or of the blocks that FSDP2 gathers."""
    total = sum(sizes.values())
    if world == 1 or sharding == "none":
        buckets = 4 * total if world > 1 else 0
        return 16 * total, buckets
    block = sum(size for name, size in sizes.items() if name.startswith("encoder.layers.0."))
    outside = sum(size for name, size in sizes.items() if not name.startswith("encoder.layers."))
    return 16 * total // world, 8 * (block + outside)


def _peak(seen: torch.profiler.profile) -> int:
    """The largest number of bytes that were allocated at one time."""
    profiler: Any = seen.profiler
    events, peak = list(profiler.kineto_results.experimental_event_tree()), 0
    while events:
        event = events.pop()
        events.extend(event.children)
        if event.tag.name == "Allocation":
            peak = max(peak, event.extra_fields.total_allocated)
    return peak


if __name__ == "__main__":
    tyro.cli(Memory).run()
