"""The processes that `torchrun` starts: how they meet, and what they tell each other."""

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

_PATIENCE = timedelta(hours=4)  # while process 0 prepares the data, the others wait
_MOMENT = timedelta(seconds=5)  # by which processes that fail alike do so one after the other
_SAID = "said"


@dataclass(frozen=True, kw_only=True)
class Processes(OneProcess):
    """The processes that train together, and this one's place among them.

    Attributes:
        gathering: the group that vectors are gathered over.
        store: where they leave each other notes.
    """

    gathering: dist.ProcessGroup
    store: dist.Store

    def agree(self, *numbers: float) -> tuple[float, ...]:
        """The numbers that process 0 has."""
        tensor = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        dist.broadcast(tensor, 0)
        return tuple(tensor.tolist())

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over all processes, on the tensor's device; the argument is left as it was."""
        total = tensor.detach().to(self.device, copy=True)
        dist.all_reduce(total)
        return total.to(tensor.device)

    def any(self, here: bool) -> bool:
        """Whether it is so in any process."""
        return bool(self.sum(torch.tensor(float(here), device=self.device)))

    def tell(self, text: str, teller: int = 0) -> str:
        """The text that process 0, or another, has."""
        raw = text.encode()
        size = torch.tensor(len(raw), device=self.device)
        dist.broadcast(size, teller)
        heard = torch.zeros(int(size), dtype=torch.uint8)
        if self.rank == teller:
            heard = torch.frombuffer(bytearray(raw), dtype=torch.uint8) if raw else heard
        heard = heard.to(self.device)
        dist.broadcast(heard, teller)
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
            OSError, InputError: in process 0: it failed here, or in another, which is named.
            ReportedError: in the others, whichever failed.
        """
        failure: OSError | InputError | None = None
        try:
            yield
        except (OSError, InputError) as error:
            failure = error
        failed = self.gather(torch.tensor([float(failure is not None)]))
        if failed.any():
            teller = int(failed.argmax())  # the first of those in which it failed
            reason = f"process {teller}: {self.tell(str(failure), teller)}"
            if self.is_first:
                raise failure or InputError(reason)
            raise ReportedError(reason) from failure

    @contextmanager
    def one_says_why(self, say: Callable[[str], None]) -> Iterator[None]:
        """Run a block after which one process says why all end, and those that find it gone are quiet.

        Of processes that fail alike it is the first: the others give it a moment, so that it has spoken
        before `torchrun` ends all.

        Args:
            say: prints a line.

        Raises:
            ReportedError: the block raised `InputError`, here or elsewhere.
        """
        try:
            yield
        except InputError as error:
            if not self.is_first:
                with suppress(RuntimeError):
                    self.store.wait([_SAID], _MOMENT)
            # Outside of torchrun the first keeps the notes: where they are gone, it has come to its end.
            if not isinstance(error, ReportedError) and not self._was_said(gone=not self.is_first):
                say(f"xformer: {error}")
                with suppress(RuntimeError):
                    self.store.set(_SAID, "")
            raise ReportedError(str(error)) from error
        except RuntimeError as error:
            # What a process that is gone looks like.
            if self._was_said(gone=False):
                raise ReportedError("another process failed, and said why") from error
            raise

    def _was_said(self, gone: bool) -> bool:
        """Whether a process has said why all end; `gone`, where nobody keeps the notes any more."""
        try:
            return bool(self.store.check([_SAID]))
        except RuntimeError:
            return gone

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
    kept, rank, world = next(dist.rendezvous(init_method, rank, world, timeout=_PATIENCE))
    # The agent keeps one store for all attempts. Without names of its own, one that follows a kill would read
    # where the processes of the attempt before could be reached.
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    store = dist.PrefixStore(f"attempt_{attempt}", kept)
    dist.init_process_group(
        "nccl" if gpu else "gloo",
        store=store,
        rank=rank,
        world_size=world,
        timeout=_PATIENCE,
    )
    try:
        gathering = dist.new_group()
        assert isinstance(gathering, dist.ProcessGroup)
        notes = dist.PrefixStore("notes", store)
        yield Processes(
            device=device,
            rank=dist.get_rank(),
            world=dist.get_world_size(),
            gathering=gathering,
            store=notes,
        )
    finally:
        dist.destroy_process_group()
