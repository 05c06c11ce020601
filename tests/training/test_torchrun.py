"""`torchrun … xformer pretrain`: workers are killed, and the run ends as that of one process."""

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
from typing import Any

import pytest
import torch
import torch.distributed as dist

from xformer.run_config import RunConfig, Sharding
from xformer.training.checkpoint import newest_checkpoint
from xformer.training.metrics import read_metrics
from xformer.training.pretrain import pretrain
from xformer.training.run_directory import RunDirectory

pytestmark = [
    pytest.mark.skipif(not dist.is_gloo_available(), reason="this torch has no gloo"),
    pytest.mark.skipif(torch.cuda.is_available(), reason="compares with runs on the CPU"),
    pytest.mark.usefixtures("_no_picture"),
]
LIMIT = 240  # seconds; a hang must not take the suite with it


@pytest.fixture(scope="module")
def quiet(config: RunConfig) -> RunConfig:
    """Settings without dropout, which is other chance in each process; enough for three processes."""
    return replace(
        config,
        model=replace(config.model, dropout=0.0, attention_dropout=0.0),
        objectives=replace(config.objectives, masked_lm_tokens=200, translation_lm_tokens=400),
        training=replace(config.training, steps=4),
    )


def _torchrun(
    run: RunDirectory, processes: int, *options: object, restarts: int = 0
) -> subprocess.Popen[str]:
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
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


def _weights(run: RunDirectory) -> dict[str, torch.Tensor]:
    checkpoint = newest_checkpoint(run.checkpoints)
    assert checkpoint is not None
    return checkpoint.whole("model")


def _assert_same(found: RunDirectory, expected: RunDirectory) -> None:
    lines, wanted = read_metrics(found.metrics), read_metrics(expected.metrics)
    assert [line["step"] for line in lines] == [line["step"] for line in wanted]
    for line, other in zip(lines, wanted, strict=True):
        assert line["loss"] == pytest.approx(other["loss"], abs=2e-3)
        assert line["tokens"] == other["tokens"]
        for language, row in other["languages"].items():
            assert line["languages"][language] == pytest.approx(row, abs=2e-3)
    weights = _weights(found)
    for name, tensor in _weights(expected).items():
        torch.testing.assert_close(weights[name], tensor, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("sharding", ["none", "full"])
def test_a_killed_worker_is_started_again_and_the_run_goes_on(
    sharding: Sharding, quiet: RunConfig, begin: Callable[[RunConfig], RunDirectory], listening: Any
) -> None:
    training = replace(quiet.training, steps=12, checkpoint_every=1e-3, sharding=sharding)
    often = replace(quiet, training=training)
    run, one = begin(often), begin(often)
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
    assert [line["step"] for line in read_metrics(run.metrics)] == list(range(1, 13))
    assert pretrain(one.path, often, listening())
    _assert_same(run, one)
