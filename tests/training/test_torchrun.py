"""`torchrun … xformer pretrain`: a worker is killed, and the run ends with the bits of one left alone.

Once `torchrun` itself starts the workers and starts them again, which imports torch five times. Of the other
kind of sharding the processes are forked, killed and forked again: what differs is all in them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
import torch
import torch.distributed as dist

from xformer.runs.config import RunConfig, Sharding
from xformer.runs.directory import RunDirectory
from xformer.runs.metrics import read_metrics
from xformer.training.verify_resume.compare_runs import compare_runs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not dist.is_gloo_available(), reason="this torch has no gloo"),
    pytest.mark.skipif(torch.cuda.is_available(), reason="two processes would need two GPUs"),
    pytest.mark.usefixtures("_no_picture"),
]
ROOT = Path(__file__).parents[2]
LIMIT = 240  # seconds; a hang must not take the suite with it


@pytest.fixture(scope="module")
def runs(config: RunConfig, begin: Callable[[RunConfig], RunDirectory]) -> dict[str, RunDirectory]:
    """Runs of two processes, with dropout: without a stop, by sharding; and `killed`, of `none`, with one."""
    made: dict[str, RunDirectory] = {}
    command: list[object] = [sys.executable, ROOT / "tests" / "training" / "many.py", "float32"]
    for sharding in get_args(Sharding):
        made[sharding] = begin(_often(config, sharding))
        command += [2, made[sharding].path, "--"]
    made["killed"] = begin(_often(config, "none"))
    command += [2, made["killed"].path, "--kill", "--", 2, made["killed"].path]
    done = subprocess.run(
        [str(part) for part in command],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.count(f"exit statuses {[-signal.SIGKILL] * 2}") == 1
    assert done.stdout.count("resuming from") == 1
    return made


def _often(config: RunConfig, sharding: Sharding) -> RunConfig:
    """Twelve steps, with a checkpoint after each."""
    training = replace(config.training, steps=12, checkpoint_every=1e-3, sharding=sharding)
    return replace(config, training=training)


def _torchrun(
    run: RunDirectory, processes: int, *options: object, restarts: int = 0
) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", processes]
    command += ["--max-restarts", restarts, "--monitor-interval", 0.1, "-m", "xformer", "pretrain", run.path]
    return subprocess.Popen(
        [str(part) for part in (*command, *options)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def _finish(process: subprocess.Popen[str]) -> str:
    try:
        said, _ = process.communicate(timeout=LIMIT)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, said
    return said


def test_a_killed_process_takes_the_others_along_and_the_run_goes_on(runs: dict[str, RunDirectory]) -> None:
    _assert_same(runs["killed"], runs["none"])


def test_a_killed_worker_is_started_again_and_the_run_goes_on(
    runs: dict[str, RunDirectory], config: RunConfig, begin: Callable[[RunConfig], RunDirectory]
) -> None:
    run = begin(_often(config, "full"))
    agent = _torchrun(run, 2, restarts=2)
    try:
        children = Path(f"/proc/{agent.pid}/task/{agent.pid}/children")
        if not children.is_file():
            pytest.skip("needs /proc to find a worker to kill")
        deadline = time.monotonic() + LIMIT
        while not [path for path in run.checkpoints.glob("step-*") if path.name > "step-00000002"]:
            assert agent.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        workers = [int(pid) for pid in children.read_text().split()]
        victims = [pid for pid in workers if b"pretrain" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        os.kill(victims[-1], signal.SIGKILL)
    except BaseException:
        with suppress(ProcessLookupError):
            os.killpg(agent.pid, signal.SIGKILL)
        print(agent.communicate()[0])
        raise
    said = _finish(agent)
    assert "resuming from" in said
    _assert_same(run, runs["full"])


def _assert_same(run: RunDirectory, whole: RunDirectory) -> None:
    assert [line["step"] for line in read_metrics(run.metrics)] == list(range(1, 13))
    rows = compare_runs(run, whole)
    assert {row.what for row in rows} >= {"weights", "optimizer", "random state", "metrics.jsonl"}
    assert [row for row in rows if row.differences] == []
