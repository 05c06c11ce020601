"""The process group of a run that `torchrun` started, and the collectives that training uses."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from xformer.distributed.one_process import OneProcess
from xformer.errors import InputError, ReportedError

_TIMEOUT = timedelta(hours=4)  # while process 0 prepares the data, the others wait
_REPORT_TIMEOUT = timedelta(seconds=5)  # how long the others wait for process 0 to report an error
_REPORTED = "said"


@dataclass(frozen=True, kw_only=True)
class Processes(OneProcess):
    """All processes of a run, and this one's rank.

    Attributes:
        gather_group: the process group that vectors are gathered over.
        store: a key-value store that all processes share.
    """

    gather_group: dist.ProcessGroup
    store: dist.Store

    def broadcast(self, *numbers: float) -> tuple[float, ...]:
        """The numbers of process 0."""
        tensor = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        dist.broadcast(tensor, 0)
        return tuple(tensor.tolist())

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over all processes, on the tensor's device; the argument is not changed."""
        total = tensor.detach().to(self.device, copy=True)
        dist.all_reduce(total)
        return total.to(tensor.device)

    def any(self, here: bool) -> bool:
        """Whether `here` is true in any process."""
        return bool(self.sum(torch.tensor(float(here), device=self.device)))

    def broadcast_text(self, text: str, source: int = 0) -> str:
        """The text of process `source`."""
        texts = [text]
        dist.broadcast_object_list(texts, source, device=self.device)
        return texts[0]

    def gather(self, tensor: Tensor) -> Tensor:
        """The tensors of all processes, (W, …), on the host; all must have one shape."""
        here = tensor.to(self.device)
        parts = [torch.empty_like(here) for _ in range(self.world)]
        dist.all_gather(parts, here)
        return torch.stack(parts).cpu()

    @contextmanager
    def all_or_none(self) -> Iterator[None]:
        """Run a block that reads or writes files, without collectives; if it fails in one process, in all.

        Raises:
            OSError, InputError: in process 0; if another process failed, its number is given.
            ReportedError: in the other processes.
        """
        failure: OSError | InputError | None = None
        try:
            yield
        except (OSError, InputError) as error:
            failure = error
        failed = self.gather(torch.tensor([float(failure is not None)]))
        if failed.any():
            source = int(failed.argmax())  # the first process that failed
            reason = f"process {source}: {self.broadcast_text(str(failure), source)}"
            if self.is_first:
                raise failure or InputError(reason)
            raise ReportedError(reason) from failure

    @contextmanager
    def report_once(self, say: Callable[[str], None]) -> Iterator[None]:
        """Run a block; if it fails in several processes, one of them prints the error.

        This is process 0, if it failed. The others wait for it, since `torchrun` ends all processes after the
        first has ended.

        Args:
            say: prints a line.

        Raises:
            ReportedError: the block raised `InputError`, in this process or in another.
        """
        try:
            yield
        except InputError as error:
            if not self.is_first:
                with suppress(RuntimeError):
                    self.store.wait([_REPORTED], _REPORT_TIMEOUT)
            # Without torchrun, process 0 holds the store: without a store, process 0 has ended.
            if not isinstance(error, ReportedError) and not self._was_reported(if_gone=not self.is_first):
                say(f"xformer: {error}")
                with suppress(RuntimeError):
                    self.store.set(_REPORTED, "")
            raise ReportedError(str(error)) from error
        except RuntimeError as error:
            # A collective fails like this when another process has ended.
            if self._was_reported(if_gone=False):
                raise ReportedError("another process failed and reported its error") from error
            raise

    def _was_reported(self, if_gone: bool) -> bool:
        """Whether a process has printed its error; `if_gone` if the store does not exist any more."""
        try:
            return bool(self.store.check([_REPORTED]))
        except RuntimeError:
            return if_gone

    def wait(self) -> None:
        """Return once all processes have called this."""
        self.broadcast(0.0)


@contextmanager
def process_group(init_method: str = "env://", rank: int = -1, world: int = -1) -> Iterator[Processes]:
    """Join the process group: NCCL with one GPU for each process where there are GPUs, gloo elsewhere.

    Args:
        init_method: address of the group; by default from the environment, where `torchrun` puts it.
        rank: this process's number; -1 to read it from the environment.
        world: number of processes; -1 to read it from the environment.
    """
    gpu = torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if gpu else torch.device("cpu")
    if gpu:
        torch.cuda.set_device(device)
    shared, rank, world = next(dist.rendezvous(init_method, rank, world, timeout=_TIMEOUT))
    # torchrun keeps one store for all attempts. Without a prefix, an attempt after a kill would read the
    # addresses of the processes of the attempt before.
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    store = dist.PrefixStore(f"attempt_{attempt}", shared)
    dist.init_process_group(
        "nccl" if gpu else "gloo", store=store, rank=rank, world_size=world, timeout=_TIMEOUT
    )
    try:
        group = dist.new_group()
        assert isinstance(group, dist.ProcessGroup)
        notes = dist.PrefixStore("notes", store)
        yield Processes(device=device, rank=rank, world=world, gather_group=group, store=notes)
    finally:
        dist.destroy_process_group()
