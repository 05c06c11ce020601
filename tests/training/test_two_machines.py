"""Two machines, as far as one can be two: network namespaces that reach each other through a cable alone."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist

from xformer.pretraining.pretrain import pretrain
from xformer.runs.checkpoint import Checkpoint, newest_checkpoint
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory
from xformer.runs.metrics import read_metrics

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not dist.is_gloo_available(), reason="this torch has no gloo"),
    pytest.mark.skipif(torch.cuda.is_available(), reason="compares with runs on the CPU"),
    pytest.mark.usefixtures("_no_picture"),
]
HERE = Path(__file__).parent
NAMESPACES = (
    "unshare",
    "--map-root-user",
    "--net",
    "--mount",
    "--kill-child",
    "sh",
    HERE / "two_machines.sh",
)
LIMIT = 240  # seconds


def _run(*command: object) -> str:
    """What a command in both namespaces says."""
    environment = os.environ | {"PYTHONPATH": str(HERE.parents[1]), "OMP_NUM_THREADS": "1"}
    arguments = [str(part) for part in (*NAMESPACES, sys.executable, *command)]
    process = subprocess.Popen(
        arguments,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=LIMIT)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, arguments, said)
    return said


@pytest.fixture(scope="module")
def _namespaces() -> None:
    """Skip where namespaces cannot be made, and say why."""
    missing = [tool for tool in ("unshare", "nsenter", "ip", "mount") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"two network namespaces need {', '.join(missing)} (util-linux, iproute2)")
    try:
        _run()
    except subprocess.CalledProcessError as error:
        pytest.skip(f"this system lets us make no network namespaces: {error.output.strip()}")


@pytest.mark.usefixtures("_namespaces")
def test_two_machines_train_the_run_of_one(
    config: RunConfig, begin: Callable[[RunConfig], RunDirectory], listening: Any
) -> None:
    config = replace(
        config,
        model=replace(config.model, dropout=0.0, attention_dropout=0.0),
        training=replace(config.training, steps=4, sharding="full"),
    )
    two, one = begin(config), begin(config)
    said = _run("-m", "xformer", "pretrain", two.path)
    assert said.count("training: done at step 4") == 1
    assert (_newest(two).path / "model-00002-of-00002.safetensors").is_file()
    # Weights and gradients went through the cable, and not the rendezvous alone.
    n_bytes = sum(tensor.nbytes for tensor in _newest(two).whole("model").values())
    assert int(said.split()[-1]) > 4 * n_bytes
    assert pretrain(one.path, config, listening())
    for line, other in zip(read_metrics(two.metrics), read_metrics(one.metrics), strict=True):
        assert line["loss"] == pytest.approx(other["loss"], abs=1e-3)
    weights = _newest(two).whole("model")
    for name, tensor in _newest(one).whole("model").items():
        torch.testing.assert_close(weights[name], tensor, rtol=1e-2, atol=1e-3)


def _newest(run: RunDirectory) -> Checkpoint:
    checkpoint = newest_checkpoint(run.checkpoints)
    assert checkpoint is not None
    return checkpoint
