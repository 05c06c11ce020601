"""`python -m benchmarks.training.cost`: the time per token, and its share of the matrix rate, by the size of
the model.

Masked LM alone. On one thread the time is that thread's processor time, which other processes hardly change.
On several threads it is wall-clock time, which needs an idle machine. The time per token is fitted as a +
b·P, with P the parameters of the blocks: a is the time without blocks (embedding, head, loss, batch), b the
time of each parameter. The matrix rate is that of a large product on as many threads, measured before and
after each model.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import tyro
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from xformer.model.config import ModelConfig
from xformer.model.multilingual import MultilingualModel
from xformer.pretraining.batches import StepBatches
from xformer.pretraining.forecast.estimate import parameter_counts, passes_of
from xformer.pretraining.parameter_groups import make_optimizer
from xformer.pretraining.stages import FULL
from xformer.pretraining.step_losses import StepLosses
from xformer.pretraining.synthetic_data import synthetic_shards
from xformer.runs.config import DataConfig, ObjectivesConfig, RunConfig, TrainingConfig
from xformer.tokenizer import TokenizerOptions
from xformer.training.memory import keep_freed_memory
from xformer.training.optimizer import clip_gradients

from .clock import TRAINING, matrix_rate

_SIZES = ((64, 2), (128, 4), (256, 2), (256, 6), (384, 4), (384, 8), (512, 6), (768, 8))  # width, blocks


@dataclass(frozen=True)
class Cost:
    """Measure the time per token for models of several sizes.

    python -m benchmarks.training.cost --threads 2
    """

    tokens: int = 4_096
    """About how many text tokens a step has."""
    steps: int = 6
    """Number of steps that are measured, after two that are not. The result is their median."""
    threads: int = 1
    """CPU threads."""

    def run(self) -> None:
        """Measure and print."""
        torch.set_num_threads(self.threads)
        # Autograd runs the backward pass on the CPU in this thread.
        clock = time.thread_time if self.threads == 1 else time.perf_counter
        keep_freed_memory()
        title = f"masked LM by parameters, fp32, {self.threads} thread{'s' * (self.threads > 1)}"
        table = Table(title=title, box=SIMPLE_HEAD)
        blocks, costs = [], []
        for width, depth in _SIZES:
            model = ModelConfig(
                vocab_size=8_192,
                d_model=width,
                n_layers=depth,
                n_heads=width // 32,
                d_ff=3 * width // 2,
                bigrams=0,
            )
            counts = parameter_counts(model, "mean")
            inner = counts["attention"] + counts["feed-forward"]
            before = matrix_rate("fp32", torch.device("cpu"), clock=clock)
            seconds, operations = self._measure(model, clock)
            rate = max(before, matrix_rate("fp32", torch.device("cpu"), clock=clock))
            blocks.append(inner)
            costs.append(seconds)
            row = {
                "width ×\nblocks": f"{width} × {depth}",
                "in blocks,\nmillion": f"{inner / 1e6:.2f}",
                "in all,\nmillion": f"{sum(counts.values()) / 1e6:.2f}",
                "µs a\ntoken": f"{1e6 * seconds:.1f}",
                "ps a token\nand one": f"{1e12 * seconds / inner:.1f}",
                "Mflop a\ntoken": f"{operations / 1e6:.2f}",
                "Gflop/s": f"{operations / seconds / 1e9:.1f}",
                "of the\nmatrix rate": f"{operations / seconds / rate:.2f}",
            }
            for name in row if not table.columns else ():
                table.add_column(name, justify="right")
            table.add_row(*row.values())
        slope, start = np.polyfit(blocks, costs, 1)
        table.caption = (
            f"a token: {1e6 * start:.1f} µs + {1e12 * slope:.1f} ps for each parameter of the blocks"
        )
        Console().print(table)

    def _measure(self, model: ModelConfig, clock: Callable[[], float]) -> tuple[float, float]:
        """Seconds and operations per token."""
        config = RunConfig(
            model=model,
            tokenizer=TokenizerOptions(vocabulary_size=model.vocab_size),
            data=DataConfig(max_length=128),
            objectives=ObjectivesConfig(
                masked_lm_tokens=self.tokens, translation_lm_tokens=0, alignment_tokens=0
            ),
            training=TrainingConfig(budget=None, steps=self.steps, precision="fp32"),
        )
        starts = np.random.default_rng(0).random(model.vocab_size) < 0.5
        batches = StepBatches(synthetic_shards(config), config, starts)
        torch.manual_seed(0)
        learner = MultilingualModel(model, config.objectives.pooling)
        losses = StepLosses(learner, config.objectives)
        optimizer = make_optimizer(learner, config.optimizer)
        seconds, operations = [], []
        for number in range(self.steps + 2):
            begin = clock()
            batch = batches.make(number)
            optimizer.zero_grad(set_to_none=True)
            loss, _ = losses(batch, FULL)
            loss.backward()
            clip_gradients(optimizer, config.optimizer.max_grad_norm)
            optimizer.step()
            seconds.append((clock() - begin) / batch.plan.n_tokens)
            forward = sum(one.forward_flops(model) for one in passes_of(batch))
            operations.append(TRAINING * forward / batch.plan.n_tokens)
        return float(np.median(seconds[2:])), float(np.median(operations[2:]))


if __name__ == "__main__":
    tyro.cli(Cost).run()
