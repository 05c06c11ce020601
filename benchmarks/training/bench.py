"""All trainers, one after another, and what they come to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import torch

import xformer
from xformer.pretraining.prepare import open_shards
from xformer.progress import Progress, duration
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory
from xformer.storage.toml import save_toml
from xformer.tokenizer import Tokenizer

from ..environment import environment, version
from . import DeviceName, TrainerName
from .quality import QuestionSize
from .result import Outcome, Trained
from .worker import Job

NEEDS: dict[TrainerName, tuple[str, ...]] = {
    "padded": ("transformers",),
    "blocks": ("transformers",),
    "blocks-from-counts": ("transformers",),
    "sentence-transformers": ("transformers", "sentence-transformers"),
    "static-embedding": ("transformers", "sentence-transformers"),
    "xformer": (),
}


@dataclass(frozen=True)
class Options:
    """How much is done.

    Attributes:
        budget: seconds of training, for each trainer.
        marks: how many times a model is asked what it knows, after the start.
        size: how much it is asked.
        compiled: whether compiled variants of the blocks' model are tried.
        trainers: who takes part.
        device: where all compute.
        threads: to compute with; None for as many as PyTorch takes.
    """

    budget: float = 600.0
    marks: int = 20
    size: QuestionSize = field(default_factory=lambda: QuestionSize(tokens=60_000))
    compiled: bool = True
    trainers: Sequence[TrainerName] = get_args(TrainerName)
    device: DeviceName = "cpu"
    threads: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.budget < float("inf"):
            raise ValueError(f"budget: expected positive seconds, got {self.budget}")
        for name in ("marks", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name}: expected a whole number from 1, got {value}")

    @classmethod
    def quick(cls) -> Options:
        """A rough answer in five minutes, everything included, on two cores that nobody else uses."""
        small = QuestionSize(messages=100, languages=10, tokens=12_000)
        return cls(budget=30.0, marks=5, size=small, compiled=False)


def run_all(
    run: RunDirectory,
    config: RunConfig,
    options: Options,
    progress: Progress,
    on_trained: Callable[[Outcome], None] = lambda outcome: None,
) -> Outcome:
    """Train one after another.

    Args:
        run: prepared: tokenizer and shards.
        config: the settings of xformer's run, and size and seed of all models.
        options: how much is done.
        progress: told what is going on.
        on_trained: told what there is so far, after each trainer.
    """
    trained: dict[TrainerName, Trained] = {}
    about = _about(run, config, options)
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "config.toml"
        save_toml(settings, config)
        for name in options.trainers:
            missing = [package for package in NEEDS[name] if version(package) is None]
            if missing:
                trained[name] = Trained(name, "absent", note=f"{', '.join(missing)} not installed")
                continue
            progress.say(f"{name}: {duration(options.budget)} of training")
            job = Job(
                trainer=name,
                run=str(run.path.resolve()),
                config=str(settings),
                budget=options.budget,
                marks=options.marks,
                compiled=options.compiled,
                size=options.size,
                device=options.device,
                threads=options.threads,
            )
            trained[name] = _in_its_own_process(job, Path(folder))
            on_trained(Outcome(trained, about))
    return Outcome(trained, about)


def _in_its_own_process(job: Job, folder: Path) -> Trained:
    """What a worker found; `failed` where it died."""
    job_file, out = folder / f"{job.trainer}.job.json", folder / f"{job.trainer}.json"
    job_file.write_text(job.to_json(), encoding="utf-8")
    root = str(Path(xformer.__file__).resolve().parents[1])
    done = subprocess.run(
        [sys.executable, "-P", "-m", "xformer.benchmarks.training.worker", str(job_file), str(out)],
        env={**os.environ, "PYTHONPATH": root, "TOKENIZERS_PARALLELISM": "false"},
        stdout=subprocess.DEVNULL,
        check=False,
    )
    if not out.is_file():
        return Trained(job.trainer, "failed", note=f"exit status {done.returncode}; what it said is above")
    return Trained.from_json(json.loads(out.read_text(encoding="utf-8")))


def _about(run: RunDirectory, config: RunConfig, options: Options) -> dict[str, Any]:
    """Where, on what, and how much."""
    tokenizer = Tokenizer.load(run.tokenizer)
    train, test = (open_shards(run, split, tokenizer) for split in ("train", "test"))
    here = environment(torch.device(options.device))
    return {
        "budget_s": options.budget,
        "corpus": config.data.corpus,
        "languages": len(train.languages),
        "train_tokens": int(train.n_tokens.sum()),
        "held_out_sha256": test.info.split_sha256,
        "tokenizer": tokenizer.fingerprint(),
        "asked": {
            "messages": options.size.messages,
            "languages": options.size.languages,
            "tokens": options.size.tokens,
        },
        "device": here.device,
        "threads": (options.threads or here.threads) if options.device == "cpu" else None,
        "torch": here.torch,
        "commit": here.commit,
        "time": here.time,
        "packages": {name: version(name) for name in ("transformers", "sentence-transformers")},
    }
