"""Two processes that compute a step together; started by test_distributed.py.

python one_of_many.py FOLDER
"""

from __future__ import annotations

import errno
import os
import resource
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from many import fork  # type: ignore[import-not-found]
from safetensors.torch import load_file, save_file

from xformer.data.shards import TokenShards
from xformer.distributed.processes import Processes, process_group
from xformer.errors import InputError, ReportedError
from xformer.model.multilingual import MultilingualModel
from xformer.pretraining.batches import StepBatches
from xformer.pretraining.stages import EMBEDDING_WARMUP, FULL
from xformer.pretraining.task import PretrainingTask
from xformer.runs import checkpoint_files
from xformer.runs.checkpoint import CheckpointError, TrainingState, newest_checkpoint
from xformer.runs.checkpoint_folders import checkpoint_folders
from xformer.runs.config import MaskingConfig, Sharding
from xformer.runs.directory import RunDirectory
from xformer.storage.checksummed import FileEntry
from xformer.tokenizer import Tokenizer
from xformer.training.distributed_trainer import DistributedTrainer

Save = Callable[[int, int], object]
"""Writes a checkpoint of a step, and keeps so many."""

RARE = 0.01
"""A rate at which the step has no masked LM, and one of two processes no translation LM."""


def main(folder: Path) -> int:
    """Compute gradients with DDP and FSDP2, in both stages; process 0 saves them."""
    with process_group() as processes:
        for sharding in get_args(Sharding):
            for stage, rate in ((FULL, 0.3), (FULL, RARE), (EMBEDDING_WARMUP, 0.3)):
                compute(sharding, stage, rate, folder, processes)
        save_where_one_has_no_room(folder, processes)
        room_is_made_for_all(folder, processes)
        report_once(processes)
    return 0


def compute(sharding: Sharding, stage: str, rate: float, folder: Path, processes: Processes) -> None:
    """One step's loss and gradients."""
    run = RunDirectory(folder)
    config = run.load_config()
    objectives = replace(config.objectives, masking=MaskingConfig(rate=rate))
    config = replace(config, objectives=objectives)
    model = MultilingualModel(config.model, config.objectives.pooling).double().eval()
    model.load_state_dict(load_file(folder / "start.safetensors"))
    starts_word = Tokenizer.load(run.tokenizer).starts_word()
    shards = TokenShards.open(run.shards("train"))
    batches = StepBatches(shards, config, starts_word, processes.rank, processes.world)
    task = PretrainingTask(config, model, batches, shards, gather_group=processes.gather_group)
    batch = task.batch(5, stage)
    if rate == RARE:
        hidden = torch.tensor([len(part.targets) for part in batch.masked.values()])
        assert processes.gather(hidden).count_nonzero(dim=0).tolist() == [0, 1]
    trainer = DistributedTrainer(task, processes, "fp32", run, sharding, 0)
    sums = trainer.backward(trainer.complete(batch), stage, 5)
    found = {"total": torch.tensor(sums.total, dtype=torch.float64)}
    for name, value in sums.values.items():
        found[f"value.{name}"] = torch.tensor(value, dtype=torch.float64)
        of_language, counts = map(torch.from_numpy, sums.by_category[name])
        found[f"sums.{name}"], found[f"counts.{name}"] = of_language.clone(), counts.double()
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            whole = getattr(parameter.grad, "full_tensor", lambda grad=parameter.grad: grad)
            found[f"grad.{name}"] = whole().contiguous()
    if processes.is_first:
        save_file(found, folder / f"{sharding}-{stage}-{rate}.safetensors")


def _sharded(folder: Path, name: str, processes: Processes) -> tuple[RunDirectory, Save]:
    """A run of its own, of which each process holds a part."""
    config = RunDirectory(folder).load_config()
    config = replace(config, training=replace(config.training, sharding="full"))
    model = MultilingualModel(config.model, config.objectives.pooling)
    run = RunDirectory(folder / name)
    shards = TokenShards.open(RunDirectory(folder).shards("train"))
    batches = StepBatches(shards, config, np.ones(shards.info.vocab_size, dtype=bool), processes.rank, 2)
    task = PretrainingTask(config, model, batches, shards)
    trainer = DistributedTrainer(task, processes, "fp32", run, "full", 0)
    optimizer = task.optimizer()
    return run, lambda step, keep: trainer.save(run, optimizer, TrainingState(step=step), keep)


def save_where_one_has_no_room(folder: Path, processes: Processes) -> None:
    """A checkpoint that one process cannot write is none, for all; what was there stays."""
    saved, save = _sharded(folder, "saved", processes)
    save(1, 1)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    if not processes.is_first:
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, limits[1]))
    said = ""
    try:
        save(2, 1)
    except CheckpointError as error:
        said = str(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "step-00000002: this checkpoint cannot be written (process 1: " in said, said
    assert "step-00000001 is as it was" in said, said
    found = newest_checkpoint(saved.checkpoints, processes)
    assert found is not None
    assert found.state.step == 1
    processes.wait()
    save(2, 1)
    assert [path.name for path in saved.checkpoints.iterdir()] == ["step-00000002"]


def room_is_made_for_all(folder: Path, processes: Processes) -> None:
    """Where one process has no room until an older checkpoint is gone, all write again."""
    saved, save = _sharded(folder, "roomy", processes)
    for step in (1, 2):
        save(step, 2)
    write, calls = checkpoint_files.write_parts, []

    def write_parts(work: Path, *arguments: Any) -> tuple[FileEntry, ...]:
        calls.append(work)
        with processes.all_or_none():
            if not processes.is_first and len(checkpoint_folders(saved.checkpoints)) > 1:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(work, *arguments)

    checkpoint_files.write_parts = write_parts  # type: ignore[assignment]
    save(3, 1)
    checkpoint_files.write_parts = write
    assert len(calls) == 2
    processes.wait()
    assert [path.name for path in saved.checkpoints.iterdir()] == ["step-00000003"]


def report_once(processes: Processes) -> None:
    """Where another process fails, the first names it; it alone speaks."""
    said: list[str] = []
    ended = False
    try:
        with processes.report_once(said.append), processes.all_or_none():
            if not processes.is_first:
                raise InputError("mine.bin: damaged")
    except ReportedError:
        ended = True
    assert ended
    assert said == (["xformer: process 1: mine.bin: damaged"] if processes.is_first else [])
    processes.wait()


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(max(fork(2, partial(main, Path(sys.argv[1])))))
