"""One side: a whole training loop that computes when it is told to.

`python -P -m xformer.benchmarks.finetuning.worker JOB` trains on the texts of a job. After so many steps it
prints how many seconds they took, and waits for a line on standard input before it goes on. Both sides are
the loops that people run, so that what a loop does beside its steps counts, too.

The texts are tokenised before, since both sides would use the same tokenizer.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

import xformer
from xformer.data.labelled import LabelledText
from xformer.finetuning.batches import Examples
from xformer.finetuning.config import BaseConfig, ClassifierConfig, FinetuningConfig, FinetuningOptimizer
from xformer.finetuning.inputs.texts import TokenTexts
from xformer.finetuning.model import FinetunedModel
from xformer.finetuning.task import ClassificationTask
from xformer.model.config import ModelConfig
from xformer.progress import Progress
from xformer.runs.checkpoint import TrainingState
from xformer.runs.config import TrainingConfig
from xformer.runs.kind import CLASSIFICATION
from xformer.storage.structure import structure
from xformer.training.run import Recipe, train_run

SideName = Literal["xformer", "trainer", "trainer max_length"]
"""This package; Hugging Face's Trainer, each batch padded to its longest text, or to the longest of all."""

_FOREVER = 10**6
_PAD = 1


@dataclass(frozen=True)
class Job:
    """What a side trains on.

    Attributes:
        side: which loop.
        model: the encoder's shape.
        texts: token ids of each text, cut to `max_tokens`.
        labels: number of each text's class.
        n_classes: number of classes.
        max_tokens: the longest text.
        batch_texts: texts of a step.
        burst: steps of a turn.
        threads: of the CPU.
        precision: of matrix products; `auto` is the Trainer's default, fp32, on its side.
        frozen_embedding: whether the embedding does not learn.
    """

    side: SideName
    model: ModelConfig
    texts: tuple[tuple[int, ...], ...]
    labels: tuple[int, ...]
    n_classes: int
    max_tokens: int
    batch_texts: int
    burst: int
    threads: int
    precision: Literal["auto", "fp32", "bf16"]
    frozen_embedding: bool = False

    def to_json(self) -> str:
        """One object."""
        return json.dumps(asdict(self))


class Turns:
    """Counts steps; after each `burst` of them it says how long they took, and waits."""

    def __init__(self, burst: int) -> None:
        self._burst, self._step, self._began = burst, 0, _clocks()

    def step(self) -> None:
        """A step has been taken."""
        self._step += 1
        if self._step % self._burst == 0:
            wall, cpu = (now - then for now, then in zip(_clocks(), self._began, strict=True))
            print(wall, cpu, file=sys.__stdout__, flush=True)
            if not sys.stdin.readline():
                sys.exit(0)
            self._began = _clocks()


def _clocks() -> tuple[float, float]:
    """Seconds, and those that the processors worked for this process."""
    return time.perf_counter(), time.process_time()


def ours(job: Job) -> None:
    """Train with this package's loop until standard input is closed."""
    labels = tuple(map(str, range(job.n_classes)))
    config = FinetuningConfig(
        BaseConfig("none", 0, init="random", max_length=job.max_tokens),
        job.model,
        ClassifierConfig(labels, max_tokens=job.max_tokens, batch_texts=job.batch_texts),
        optimizer=FinetuningOptimizer(embedding_lr=0.0 if job.frozen_embedding else 1.0),
        training=TrainingConfig(
            budget=None,
            steps=_FOREVER,
            precision=job.precision,
            threads=job.threads,
            trackers=(),
            checkpoint_every=1e9,
        ),
    )
    lengths = np.array([len(one) for one in job.texts], dtype=np.int64)
    ids = np.concatenate([np.array(one, dtype=np.int32) for one in job.texts])
    tokens = TokenTexts(ids, lengths, job.max_tokens)
    data = Examples.of(
        [LabelledText("", (labels[label],), "und", "") for label in job.labels], tokens, labels, False
    )
    turns = Turns(job.burst)

    def callback(model: Any, state: TrainingState) -> Mapping[str, float] | None:
        turns.step()
        return None

    recipe = Recipe[FinetuningConfig](
        CLASSIFICATION,
        task=lambda run, config, processes, progress: ClassificationTask(
            config, FinetunedModel(config), data, data, "none", sparse_tables=True
        ),
    )
    with tempfile.TemporaryDirectory() as scratch, Progress() as progress:
        train_run(Path(scratch) / "run", config, recipe, progress, torch.device("cpu"), lambda *_: callback)


def theirs(job: Job) -> None:
    """Train with Hugging Face's Trainer until standard input is closed.

    Raises:
        ImportError: transformers or accelerate is missing.
    """
    from transformers import (
        ModernBertConfig,
        ModernBertForSequenceClassification,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    from xformer.interop.huggingface.config import config_to_huggingface

    fields = config_to_huggingface(job.model) | {"num_labels": job.n_classes, "reference_compile": False}
    model = ModernBertForSequenceClassification(ModernBertConfig(**fields))
    model.get_input_embeddings().requires_grad_(not job.frozen_embedding)
    turns = Turns(job.burst)

    class Waiting(TrainerCallback):
        """Takes turns."""

        def on_step_end(self, *arguments: Any, **others: Any) -> None:
            turns.step()

    def collate(rows: list[tuple[tuple[int, ...], int]]) -> dict[str, torch.Tensor]:
        width = job.max_tokens if job.side == "trainer max_length" else max(len(ids) for ids, _ in rows)
        ids = torch.full((len(rows), width), _PAD)
        mask = torch.zeros(len(rows), width, dtype=torch.int64)
        for place, (tokens, _) in enumerate(rows):
            ids[place, : len(tokens)] = torch.tensor(tokens)
            mask[place, : len(tokens)] = 1
        return {"input_ids": ids, "attention_mask": mask, "labels": torch.tensor([one for _, one in rows])}

    with tempfile.TemporaryDirectory() as scratch:
        arguments = TrainingArguments(
            output_dir=scratch,
            per_device_train_batch_size=job.batch_texts,
            max_steps=_FOREVER,
            use_cpu=True,
            bf16=job.precision == "bf16",
            report_to=[],
            save_strategy="no",
            logging_strategy="steps",
            logging_steps=10,
            disable_tqdm=True,
            remove_unused_columns=False,
        )
        rows = list(zip(job.texts, job.labels, strict=True))
        Trainer(
            model=model, args=arguments, train_dataset=rows, data_collator=collate, callbacks=[Waiting()]
        ).train()


def main(arguments: list[str]) -> int:
    """Train by a job file; the exit status."""
    job = structure(json.loads(Path(arguments[0]).read_text(encoding="utf-8")), Job)
    # transformers would import the checkout's `kernels` as the package of that name.
    root = Path(xformer.__file__).resolve().parents[1]
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != root]
    torch.set_num_threads(job.threads)
    sys.stdout = sys.stderr
    try:
        (ours if job.side == "xformer" else theirs)(job)
    except ImportError as error:
        print(f"absent {' '.join(str(error).split())}", file=sys.__stdout__, flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
