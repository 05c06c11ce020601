"""One trainer in a process of its own: `python -P -m xformer.benchmarks.training.worker JOB OUT`."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

import torch

import xformer
from xformer.errors import InputError
from xformer.model.multilingual import MultilingualModel
from xformer.pretraining.prepare import open_shards
from xformer.progress import Progress
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory
from xformer.storage.files import atomic_write
from xformer.storage.toml import load_toml
from xformer.tokenizer import Tokenizer

from . import DeviceName, TrainerName
from .clock import matrix_rate
from .quality import Questions, QuestionSize
from .result import Trained
from .trainers.assignment import Assignment
from .trainers.contrastive import train_contrastive
from .trainers.masked_lm import train_masked_lm
from .trainers.ours import train_ours
from .trainers.static_embedding import train_static_embedding


@dataclass(frozen=True)
class Options:
    """What is trained, for how long, and how it is evaluated.

    Attributes:
        budget: seconds of training, for each trainer.
        marks: number of evaluations after the first one, which is before the first step.
        size: how much is evaluated.
        compiled: whether compiled variants of the blocks' model are tried.
        trainers: the trainers that run.
        device: where they compute.
        threads: CPU threads; None for PyTorch's own choice.
        company: number of busy processes beside each trainer.
    """

    budget: float = 600.0
    marks: int = 20
    size: QuestionSize = field(default_factory=lambda: QuestionSize(tokens=60_000))
    compiled: bool = True
    trainers: Sequence[TrainerName] = get_args(TrainerName)
    device: DeviceName = "cpu"
    threads: int | None = None
    company: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.budget < float("inf"):
            raise ValueError(f"budget: expected positive seconds, got {self.budget}")
        for name in ("marks", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name}: expected a whole number from 1, got {value}")
        if self.company < 0:
            raise ValueError(f"company: expected a whole number from 0, got {self.company}")

    @classmethod
    def quick(cls) -> Options:
        """A rough answer in five minutes, everything included, on two idle cores."""
        small = QuestionSize(messages=100, languages=10, tokens=12_000)
        return cls(budget=30.0, marks=5, size=small, compiled=False)


@dataclass(frozen=True)
class Job:
    """What a worker is to do.

    Attributes:
        trainer: the trainer.
        run: the prepared run directory.
        config: file of all settings.
        options: those of the bench.
    """

    trainer: TrainerName
    run: str
    config: str
    options: Options

    def to_json(self) -> str:
        """One object."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Job:
        """The job that `to_json` wrote."""
        table: dict[str, Any] = json.loads(text)
        options = table["options"] | {"size": QuestionSize(**table["options"]["size"])}
        return cls(**table | {"options": Options(**options)})


def train_one(job: Job, config: RunConfig, progress: Progress) -> Trained:
    """Train, in this process.

    Raises:
        ImportError: the trainer's package is not installed.
    """
    load, options, device = _load(), job.options, torch.device(job.options.device)
    run = RunDirectory(Path(job.run))
    tokenizer = Tokenizer.load(run.tokenizer)
    lengths, pivot = tokenizer.byte_lengths(), config.data.pivot

    def questions(split: str) -> Questions:
        return Questions.of(open_shards(run, split, tokenizer), lengths, pivot, options.size, device)

    like = MultilingualModel(config.model, config.objectives.pooling)
    given = Assignment(
        config=config,
        parameters=sum(p.numel() for p in like.parameters()),
        shards=open_shards(run, "train", tokenizer),
        questions=questions("test"),
        budget=options.budget,
        marks=options.marks,
    )
    # A large bf16 product can take seconds: its rate is measured only if it was used.
    before = matrix_rate("fp32", device)
    if job.trainer == "xformer":
        with tempfile.TemporaryDirectory() as scratch:
            found = train_ours(given, tokenizer, questions("dev"), Path(scratch), progress)
    elif job.trainer == "sentence-transformers":
        found = train_contrastive(given)
    elif job.trainer == "static-embedding":
        found = train_static_embedding(given)
    else:
        found = train_masked_lm(
            given,
            blocks=job.trainer != "padded",
            compiled=options.compiled,
            from_counts=job.trainer == "blocks-from-counts",
        )
    rate, timed = matrix_rate(found.precision, device), found.timed
    seconds = found.seconds or timed.seconds
    return Trained(
        name=job.trainer,
        status="ok",
        note=found.note,
        parameters=found.parameters,
        points=timed.points,
        steps=timed.steps,
        seconds=timed.seconds,
        tokens_per_s=timed.work.tokens / seconds,
        flops_per_s=timed.work.flops / seconds,
        matrix_flops_per_s=max(rate, before) if found.precision == "fp32" else rate,
        peak_bytes=timed.peak_bytes,
        load=(*load, *_load()),
    )


def _load() -> tuple[float, ...]:
    """The load of the machine over the last minute, if the system tells."""
    return (round(os.getloadavg()[0], 2),) if hasattr(os, "getloadavg") else ()


def _leave_checkout() -> None:
    """Remove the checkout's root from the search path: transformers would import its `kernels`."""
    root = Path(xformer.__file__).resolve().parents[1]
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != root]


def main(arguments: list[str]) -> int:
    """Train by a job file and write the result; the exit status."""
    # Ctrl-C reaches the parent process too, which reports it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    job_file, out = arguments
    job = Job.from_json(Path(job_file).read_text(encoding="utf-8"))
    _leave_checkout()
    if job.options.threads is not None:
        torch.set_num_threads(job.options.threads)
    try:
        config = load_toml(job.config, RunConfig)
        if job.options.threads is not None:
            config = replace(config, training=replace(config.training, threads=job.options.threads))
        with Progress() as progress:
            trained = train_one(job, config, progress)
    except ImportError as error:
        trained = Trained(job.trainer, "absent", note=str(error))
    except InputError as error:
        trained = Trained(job.trainer, "failed", note=str(error))
    with atomic_write(Path(out)) as file:
        json.dump(trained.to_json(), file)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
