"""What many processes cannot go on with is said once, by one of them, and all end with the same status."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch.distributed as dist

from xformer.pretraining.pretrain import pretrain
from xformer.runs.checkpoint import newest_checkpoint
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory

pytestmark = [
    pytest.mark.skipif(not dist.is_gloo_available(), reason="this torch has no gloo"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork"),
    pytest.mark.usefixtures("_no_picture"),
]
HERE = Path(__file__).parent


def _damage(run: RunDirectory) -> str:
    """Another byte in a file of the same size, which the process alone can see that compares its hash.

    That of the largest, the tokens, is compared by the first, and of the next by the second.
    """
    file = run.shards("train") / "start.bin"
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    return f"process 1: {file}: damaged"


def _cut(run: RunDirectory) -> str:
    """Every process sees it."""
    file = run.shards("train") / "group.bin"
    file.write_bytes(file.read_bytes()[:-1])
    return f"{file}: expected "


CASES: dict[str, Callable[[RunDirectory], str]] = {
    "optimizer.lr=0.3": lambda run: f"{run.config}: this run began with other settings",
    "optimizer.nonsense=1": lambda run: "--set: optimizer.nonsense: unknown key",
    "--dry-run": lambda run: "--dry-run: forecasts training in one process",
    # Each finds out by itself: what is too little for many, and in the second step what is not finite.
    "objectives.masked_lm_tokens=1": lambda run: "objectives.masked_lm_tokens: 1 texts in a step",
    "optimizer.embedding_lr=1e38": lambda run: "step 1: loss or gradient is not finite",
    "--cut": lambda run: "process 1: tokens-00000.bin: cut short. Training is saved at step 3",
    "training.steps=9": _damage,
    "training.steps=10": _cut,
}


@pytest.mark.slow
def test_one_process_says_why_and_all_end(
    begin: Callable[[RunConfig], RunDirectory], config: RunConfig, listening: type
) -> None:
    command: list[object] = [sys.executable, HERE / "many.py", "float32"]
    expected, runs = [], {}
    for option, prepare in CASES.items():
        run = runs[option] = begin(config)
        if option == "optimizer.lr=0.3":  # settings bind once a step was made with them
            assert pretrain(
                run.path, replace(config, training=replace(config.training, steps=1)), listening()
            )
        expected.append(prepare(run))
        command += [2, run.path, option, "--"]
    done = subprocess.run(
        [str(part) for part in command],
        env=os.environ | {"PYTHONPATH": str(HERE.parents[1]), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
        check=False,
    )
    *parts, rest = done.stdout.split("exit statuses [2, 2]\n")
    assert (len(parts), rest) == (len(CASES), ""), done.stdout
    for said, message in zip(parts, expected, strict=True):
        assert [line for line in said.split("\n") if "xformer: " in line] == [
            line for line in said.split("\n") if line.startswith(f"xformer: {message}")
        ]
        assert said.count(message) == 1, said
        assert "Traceback" not in said
    saved = [path.name for path in sorted(runs["optimizer.embedding_lr=1e38"].path.glob("bad-batch*"))]
    assert saved == [f"bad-batch-0000{number}-of-00002.safetensors" for number in (1, 2)]
    stopped = newest_checkpoint(runs["--cut"].checkpoints)
    assert stopped is not None
    assert stopped.state.step == 3
