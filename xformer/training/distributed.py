"""Training on many processes: `torchrun` starts them, DDP or FSDP2 adds up their gradients.

    torchrun --nproc-per-node 8 --max-restarts 3 -m xformer pretrain runs/mine

DDP keeps the whole model in each process; FSDP2 keeps a part of each matrix, of its gradient and of what the
optimizer remembers of it (`training.sharding`). Both compute the same step. PyTorch's wrappers *average*
gradients over processes, and the losses here *add up* to the step's, so each is multiplied by the number of
processes first.

Checkpoints are one format, read by any number of processes of either kind: a run may be stopped on 8
processes and go on with 1 or 3, or be evaluated anywhere. Under DDP process 0 writes them; under FSDP2 each
process writes its part.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from xformer.errors import InputError
from xformer.run_config import Sharding
from xformer.training.step_losses import StepLosses

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

    def tell(self, text: str) -> str:
        """The text that process 0 has."""
        raw = text.encode()
        (size,) = self.agree(float(len(raw)))
        heard = torch.zeros(int(size), dtype=torch.uint8)
        if self.is_first:
            heard = torch.frombuffer(bytearray(raw), dtype=torch.uint8) if raw else heard
        heard = heard.to(self.device)
        dist.broadcast(heard, 0)
        return bytes(heard.tolist()).decode()

    def gather(self, tensor: Tensor) -> Tensor:
        """What each process has, (W, …), on the host; all must have the same shape."""
        here = tensor.to(self.device)
        parts = [torch.empty_like(here) for _ in range(self.world)]
        dist.all_gather(parts, here)
        return torch.stack(parts).cpu()

    @contextmanager
    def all_or_none(self) -> Iterator[None]:
        """Run a block in which files may fail, and in which nobody waits for others.

        Raises:
            OSError, InputError: it failed here.
            OSError: it failed elsewhere.
        """
        failure: OSError | InputError | None = None
        try:
            yield
        except (OSError, InputError) as error:
            failure = error
        if self.any(failure is not None):
            raise failure or OSError("another process failed, and says why")

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


def distribute(losses: StepLosses, sharding: Sharding, processes: Processes) -> nn.Module:
    """Wrap the losses of a process's share such that backward adds up gradients over processes.

    All processes must have the same weights. `full` splits the model in place: make its optimizer after.

    Args:
        losses: for DDP on the process's device; FSDP2 moves what each process keeps.
        sharding: `none` for whole copies (DDP), `full` for a part of each matrix in each process (FSDP2).
        processes: who they are.
    """
    if sharding == "full":
        for block in losses.model.encoder.layers:
            fully_shard(block)
        fully_shard(losses)
        return losses
    # Blocks take no part in the bag stage.
    ids = [processes.device.index] if processes.device.type == "cuda" else None
    return DistributedDataParallel(losses, device_ids=ids, find_unused_parameters=True)
