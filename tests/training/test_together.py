"""A run on many processes is the run of one, to the tenth digit, in fp64; and goes on with any number.

Covers xformer.distributed.gather and processes, and xformer.training.distributed_trainer.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist

from xformer.pretraining.pretrain import pretrain
from xformer.runs.checkpoint import Checkpoint, newest_checkpoint
from xformer.runs.checkpoint_files import KINDS
from xformer.runs.config import RunConfig, Sharding
from xformer.runs.directory import RunDirectory
from xformer.runs.metrics import read_metrics

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not dist.is_gloo_available(), reason="this torch has no gloo"),
    pytest.mark.skipif(torch.cuda.is_available(), reason="compares with runs on the CPU"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork"),
    pytest.mark.usefixtures("_no_picture"),
]
HERE = Path(__file__).parent
Leg = tuple[int, RunDirectory, tuple[str, ...]]  # so many processes go on with a run, with settings


@pytest.fixture(scope="module")
def quiet(config: RunConfig) -> RunConfig:
    """Settings without dropout, which differs between processes; enough for three processes.

    Two segments are too few for three processes to have a part each.
    """
    return replace(
        config,
        model=replace(config.model, dropout=0.0, attention_dropout=0.0, n_segments=2),
        objectives=replace(
            config.objectives, masked_lm_tokens=200, translation_lm_tokens=400, pooling="weighted"
        ),
        training=replace(config.training, steps=4),
    )


@pytest.fixture(scope="module")
def runs(
    quiet: RunConfig, begin: Callable[[RunConfig], RunDirectory], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, RunDirectory]:
    """Four steps on two processes, of either kind; from there on with others of other kinds."""
    folder = tmp_path_factory.mktemp("together")
    runs = {"none": begin(quiet), "full": begin(quiet)}
    often = "training.checkpoint_every=1e-9"
    _together(*((2, run, (f"training.sharding={name!r}", often)) for name, run in runs.items()))
    legs: list[Leg] = []
    for name, first, count, sharding in (
        ("none, then full on 3", "none", 3, "full"),
        ("full, then full on 3", "full", 3, "full"),
        ("full and damaged, then none on 2", "full", 2, "none"),
    ):
        runs[name] = RunDirectory(folder / name)
        shutil.copytree(runs[first].path, runs[name].path)
        # Steps that are done again are done with the length that they had.
        steps = 4 if "damaged" in name else 8
        legs.append((count, runs[name], (f"training.sharding={sharding!r}", f"training.steps={steps}")))
    part = _newest(runs[name]).path / "model-00002-of-00002.safetensors"
    part.write_bytes(part.read_bytes()[:-1] + b"!")
    said = _together(*legs)
    assert f"{part}: damaged" in said
    assert said.count("going back to the checkpoint before it") == 1
    return runs


@pytest.fixture(scope="module")
def _fp64() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def _together(*legs: Leg) -> str:
    command: list[object] = [sys.executable, HERE / "many.py", "float64"]
    for count, run, settings in legs:
        command += [count, run.path, *settings, "--"]
    environment = os.environ | {"PYTHONPATH": str(HERE.parents[1]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [str(part) for part in command],
        env=environment | {"PYTHONWARNINGS": "error::FutureWarning"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


def _newest(run: RunDirectory) -> Checkpoint:
    checkpoint = newest_checkpoint(run.checkpoints)
    assert checkpoint is not None
    return checkpoint


def _assert_same(found: RunDirectory, expected: RunDirectory) -> None:
    lines, wanted = read_metrics(found.metrics), read_metrics(expected.metrics)
    assert [line["step"] for line in lines] == [line["step"] for line in wanted]
    for line, other in zip(lines, wanted, strict=True):
        assert line["loss"] == pytest.approx(other["loss"], abs=2e-5)  # as they are rounded
        assert line["gradient_norm"] == pytest.approx(other["gradient_norm"], abs=2e-5)
        assert line["tokens"] == other["tokens"]
        for language, row in other["languages"].items():
            assert line["languages"][language] == pytest.approx(row, abs=2e-4)
    saved, reference = _newest(found), _newest(expected)
    assert saved.state.data_digest == reference.state.data_digest
    assert saved.state.held_out == pytest.approx(reference.state.held_out, abs=1e-10)
    for kind in KINDS:
        tensors, whole = saved.whole(kind), reference.whole(kind)
        assert tensors.keys() == whole.keys()
        for name, tensor in whole.items():
            if name != "rng":
                assert tensors[name].dtype == tensor.dtype
                torch.testing.assert_close(tensors[name], tensor, rtol=1e-10, atol=1e-10)


@pytest.fixture(scope="module")
def one(
    quiet: RunConfig,
    begin: Callable[[RunConfig], RunDirectory],
    listening: Any,
    _fp64: None,
    _no_picture: None,
) -> dict[int, RunDirectory]:
    """The same run on one process, after four steps and after eight."""
    short = begin(quiet)
    assert pretrain(short.path, quiet, listening())
    long = RunDirectory(short.path.with_name("long"))
    shutil.copytree(short.path, long.path)
    assert pretrain(long.path, _longer(quiet), listening())
    return {4: short, 8: long}


def _longer(config: RunConfig) -> RunConfig:
    return replace(config, training=replace(config.training, steps=8))


@pytest.mark.parametrize("sharding", ["none", "full"])
def test_a_run_on_two_is_the_run_on_one_and_goes_on_with_one(
    sharding: Sharding,
    runs: dict[str, RunDirectory],
    one: dict[int, RunDirectory],
    quiet: RunConfig,
    listening: Any,
    tmp_path: Path,
) -> None:
    two = runs[sharding]
    _assert_same(two, one[4])
    names = {path.name for path in _newest(two).path.iterdir()}
    if sharding == "none":
        assert names == {"model.safetensors", "optimizer.safetensors", "state.json"}
    else:
        parts = {f"{kind}-0000{rank}-of-00002.safetensors" for kind in KINDS for rank in (1, 2)}
        assert names == parts | {"state.json"}
    run = RunDirectory(tmp_path / "run")
    shutil.copytree(two.path, run.path)
    assert pretrain(run.path, _longer(quiet), listening())
    _assert_same(run, one[8])


@pytest.mark.parametrize(
    "name", ["none, then full on 3", "full, then full on 3", "full and damaged, then none on 2"]
)
def test_it_goes_on_with_other_processes_of_another_kind(
    name: str, runs: dict[str, RunDirectory], one: dict[int, RunDirectory]
) -> None:
    _assert_same(runs[name], one[4 if "damaged" in name else 8])
