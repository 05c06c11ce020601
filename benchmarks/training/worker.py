"""One trainer in a process of its own: `python -P -m xformer.benchmarks.training.worker JOB OUT`."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

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
from .trainers.bert import Precision
from .trainers.contrastive import train_contrastive
from .trainers.masked_lm import train_masked_lm
from .trainers.ours import train_ours
from .trainers.static_embedding import train_static_embedding


@dataclass(frozen=True)
class Job:
    """What a worker is to do.

    Attributes:
        trainer: who trains.
        run: the prepared run directory.
        config: file of all settings.
        budget: seconds of training.
        marks: how many times the model is asked after the start.
        compiled: whether compiled variants are tried.
        size: how much the model is asked.
        device: `cpu` or `cuda`.
        threads: to compute with; None for as many as PyTorch takes.
    """

    trainer: TrainerName
    run: str
    config: str
    budget: float
    marks: int
    compiled: bool
    size: QuestionSize
    device: DeviceName = "cpu"
    threads: int | None = None

    def to_json(self) -> str:
        """One object."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Job:
        """What `to_json` gave."""
        table: dict[str, Any] = json.loads(text)
        return cls(**table | {"size": QuestionSize(**table["size"])})


def train_one(job: Job, config: RunConfig, progress: Progress) -> Trained:
    """Train, in this process.

    Raises:
        ImportError: the trainer's package is not installed.
    """
    load, device = _load(), torch.device(job.device)
    run = RunDirectory(Path(job.run))
    tokenizer = Tokenizer.load(run.tokenizer)
    shards = open_shards(run, "train", tokenizer)
    lengths, pivot = tokenizer.byte_lengths(), config.data.pivot
    questions = Questions.of(open_shards(run, "test", tokenizer), lengths, pivot, job.size, device)
    like = MultilingualModel(config.model, config.objectives.pooling)
    parameters = sum(p.numel() for p in like.parameters())
    # A large bf16 product can take seconds: its rate is measured once it is known to be used.
    before = matrix_rate("fp32", device)
    precision: Precision = "fp32"
    working: float | None = None
    if job.trainer == "xformer":
        dev = Questions.of(open_shards(run, "dev", tokenizer), lengths, pivot, job.size, device)
        with tempfile.TemporaryDirectory() as scratch:
            ours = train_ours(
                config,
                shards,
                tokenizer,
                questions,
                dev,
                job.budget,
                job.marks,
                Path(scratch),
                progress,
                device,
            )
        timed, found, precision, note = ours.timed, ours.parameters, ours.precision, ours.note
        working = ours.seconds
    elif job.trainer == "sentence-transformers":
        timed, found, precision, note = train_contrastive(
            config, parameters, shards, questions, job.budget, job.marks
        )
    elif job.trainer == "static-embedding":
        timed, found, precision, note = train_static_embedding(
            config, shards, questions, job.budget, job.marks
        )
    else:
        timed, found, precision, note = train_masked_lm(
            config,
            parameters,
            shards,
            questions,
            job.budget,
            job.marks,
            blocks=job.trainer != "padded",
            compiled=job.compiled,
            from_counts=job.trainer == "blocks-from-counts",
        )
    rate = matrix_rate(precision, device)
    seconds = working or timed.seconds
    return Trained(
        name=job.trainer,
        status="ok",
        note=note,
        parameters=found,
        points=timed.points,
        steps=timed.steps,
        seconds=timed.seconds,
        tokens_per_s=timed.work.tokens / seconds,
        flops_per_s=timed.work.flops / seconds,
        matrix_flops_per_s=max(rate, before) if precision == "fp32" else rate,
        peak_bytes=timed.peak_bytes,
        load=(*load, *_load()),
    )


def _load() -> tuple[float, ...]:
    """The machine's load over the last minute, where the system tells."""
    return (round(os.getloadavg()[0], 2),) if hasattr(os, "getloadavg") else ()


def _leave_checkout() -> None:
    """Take the checkout's root off the search path: its `kernels` is not what transformers means by that."""
    root = Path(xformer.__file__).resolve().parents[1]
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != root]


def main(arguments: list[str]) -> int:
    """Train as the job file says and write the result; the exit status."""
    # Ctrl-C reaches whoever started this, too, and that one says so.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    job_file, out = arguments
    job = Job.from_json(Path(job_file).read_text(encoding="utf-8"))
    _leave_checkout()
    if job.threads is not None:
        torch.set_num_threads(job.threads)
    try:
        with Progress() as progress:
            trained = train_one(job, load_toml(job.config, RunConfig), progress)
    except ImportError as error:
        trained = Trained(job.trainer, "absent", note=str(error))
    except InputError as error:
        trained = Trained(job.trainer, "failed", note=str(error))
    with atomic_write(Path(out)) as file:
        json.dump(trained.to_json(), file)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
