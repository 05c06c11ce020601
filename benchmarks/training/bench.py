"""Run all trainers, one after another, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

import xformer
from xformer.pretraining.prepare import open_shards
from xformer.progress import Progress, duration
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory
from xformer.storage.toml import save_toml
from xformer.threads import environment_as_given
from xformer.tokenizer import Tokenizer

from ..companions import companions
from ..environment import version
from . import TrainerName
from .result import Outcome, Trained
from .worker import Job, Options

NEEDS: dict[TrainerName, tuple[str, ...]] = {
    "padded": ("transformers",),
    "blocks": ("transformers",),
    "blocks-from-counts": ("transformers",),
    "sentence-transformers": ("transformers", "sentence-transformers"),
    "static-embedding": ("transformers", "sentence-transformers"),
    "xformer": (),
}


def run_all(
    run: RunDirectory,
    config: RunConfig,
    options: Options,
    machine: Mapping[str, str | bool],
    progress: Progress,
    on_trained: Callable[[Outcome], None] = lambda outcome: None,
) -> Outcome:
    """Run the trainers.

    Args:
        run: has a tokenizer and shards.
        config: the settings of xformer's run; all models have its size and seed.
        options: what is trained and for how long.
        machine: what the record says of it (`xformer.benchmarks.kept.begin_record`).
        progress: where to show what happens.
        on_trained: called after each trainer with the results so far.
    """
    trained: dict[TrainerName, Trained] = {}
    about = {**_about(run, config, options), **machine}
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "config.toml"
        save_toml(settings, config)
        for name in options.trainers:
            missing = [package for package in NEEDS[name] if version(package) is None]
            if missing:
                trained[name] = Trained(name, "absent", note=f"{', '.join(missing)} not installed")
                continue
            progress.say(f"{name}: {duration(options.budget)} of training")
            job = Job(name, str(run.path.resolve()), str(settings), options)
            with companions(options.company):
                trained[name] = _in_its_own_process(job, Path(folder))
            on_trained(Outcome(trained, about))
    return Outcome(trained, about)


def _in_its_own_process(job: Job, folder: Path) -> Trained:
    """Run a worker; its result is `failed` if the process died."""
    job_file, out = folder / f"{job.trainer}.job.json", folder / f"{job.trainer}.json"
    job_file.write_text(job.to_json(), encoding="utf-8")
    root = str(Path(xformer.__file__).resolve().parents[1])
    # Threads of peers wait as they do for everybody else who runs them.
    given = dict(os.environ) if job.trainer == "xformer" else environment_as_given()
    done = subprocess.run(
        [sys.executable, "-P", "-m", "xformer.benchmarks.training.worker", str(job_file), str(out)],
        env={**given, "PYTHONPATH": root, "TOKENIZERS_PARALLELISM": "false"},
        stdout=subprocess.DEVNULL,
        check=False,
    )
    if not out.is_file():
        return Trained(job.trainer, "failed", note=f"exit status {done.returncode}; its messages are above")
    return Trained.from_json(json.loads(out.read_text(encoding="utf-8")))


def _about(run: RunDirectory, config: RunConfig, options: Options) -> dict[str, Any]:
    """The text, the threads and the size of the evaluation."""
    tokenizer = Tokenizer.load(run.tokenizer)
    train, test = (open_shards(run, split, tokenizer) for split in ("train", "test"))
    return {
        "budget_s": options.budget,
        "corpus": config.data.corpus,
        "languages": len(train.languages),
        "train_tokens": int(train.n_tokens.sum()),
        "held_out_sha256": test.info.split_sha256,
        "tokenizer": tokenizer.fingerprint(),
        "asked": asdict(options.size),
        "threads": (options.threads or torch.get_num_threads()) if options.device == "cpu" else None,
        "company": options.company,
        "packages": {name: version(name) for name in ("transformers", "sentence-transformers")},
    }
