"""Training on many processes: `torchrun` starts them, DDP or FSDP2 adds up their gradients.

    torchrun --nproc-per-node 8 --max-restarts 3 -m xformer pretrain runs/mine

DDP keeps the whole model in each process, FSDP2 a part of each matrix; both compute the same step. PyTorch's
wrappers *average* gradients over processes, and the losses here *add up* to the step's, so each is multiplied
by the number of processes first.

Checkpoints are those of a single process: under DDP each has the whole model and optimizer, and process 0
writes them. `xformer pretrain` uses DDP; FSDP2 is tested for its steps alone. So a run may be stopped on 8
processes and go on with 1 or 3, or be evaluated anywhere. The format of `torch.distributed.checkpoint`, in
which each process writes its part, describes itself in a pickle, which nothing here ever reads.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from xformer.training.distributed_losses import ShareLosses

_PATIENCE = timedelta(hours=4)  # while process 0 prepares the data, the others wait


@dataclass(frozen=True)
class Processes:
    """Who trains together.

    Attributes:
        rank: this process's number.
        world: how many there are.
        device: this process's.
        gathering: the group that vectors are gathered over.
    """

    rank: int
    world: int
    device: torch.device
    gathering: dist.ProcessGroup

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes files and speaks."""
        return self.rank == 0

    def agree(self, *numbers: float) -> tuple[float, ...]:
        """The numbers that process 0 has."""
        tensor = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        dist.broadcast(tensor, 0)
        return tuple(tensor.tolist())

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over all processes; the argument is left as it was."""
        total = tensor.detach().clone()
        dist.all_reduce(total)
        return total

    def any(self, here: bool) -> bool:
        """Whether it is so in any process."""
        return bool(self.sum(torch.tensor(float(here), device=self.device)))

    def wait(self) -> None:
        """Return once all processes are here."""
        self.agree(0.0)


@contextmanager
def together(init_method: str = "env://", rank: int = -1, world: int = -1) -> Iterator[Processes]:
    """Meet the other processes: over NCCL where there are GPUs, one each, over gloo elsewhere.

    Args:
        init_method: where to meet; `torchrun` says it in the environment.
        rank: this process's number, where the environment does not say it.
        world: how many there are, likewise.
    """
    gpu = torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if gpu else torch.device("cpu")
    if gpu:
        torch.cuda.set_device(device)
    store, rank, world = next(dist.rendezvous(init_method, rank, world, timeout=_PATIENCE))
    # The agent keeps one store for all attempts. Without names of its own, one that follows a kill would read
    # where the processes of the attempt before could be reached.
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    dist.init_process_group(
        "nccl" if gpu else "gloo",
        store=dist.PrefixStore(f"attempt_{attempt}", store),
        rank=rank,
        world_size=world,
        timeout=_PATIENCE,
    )
    try:
        gathering = dist.new_group()
        assert isinstance(gathering, dist.ProcessGroup)
        yield Processes(dist.get_rank(), dist.get_world_size(), device, gathering)
    finally:
        dist.destroy_process_group()


def distribute(losses: ShareLosses, how: Literal["ddp", "fsdp"], processes: Processes) -> nn.Module:
    """Wrap the losses of a process's share such that backward adds up gradients over processes.

    All processes must have the same weights. FSDP2 splits the model in place, so its optimizer is made after.

    Args:
        losses: on the process's device.
        how: `ddp` for whole copies, `fsdp` for a part of each matrix in each process.
        processes: who they are.
    """
    if how == "fsdp":
        for block in losses.model.encoder.layers:
            fully_shard(block)
        fully_shard(losses)
        return losses
    # Blocks take no part in the bag stage.
    ids = [processes.device.index] if processes.device.type == "cuda" else None
    return DistributedDataParallel(
        losses, device_ids=ids, find_unused_parameters=True, broadcast_buffers=False
    )
