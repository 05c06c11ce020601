"""Processes that train together, forked from one that has imported everything; started by tests.

python many.py DTYPE PROCESSES RUN [OPTION ...] [-- PROCESSES RUN [OPTION ...]] ...

Each group of processes goes on with a run, one group after the other. Options are --dry-run, --cut, by which
the last process finds its shards cut short at step 3, --kill, by which it is killed at step 6 and the others
after it, as `torchrun` does, and settings as TABLE.KEY=VALUE. After each group its exit statuses are printed;
this one's is 1 if one of them is not 0, other than by --kill.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path

import torch
import torch.distributed.checkpoint
import torch.distributed.fsdp

from xformer.cli.pretrain import Pretrain
from xformer.errors import InputError
from xformer.pretraining import pretrain
from xformer.pretraining.batches import StepBatch, StepBatches
from xformer.pretraining.stages import FULL

LATE = ("torch._dynamo", "torch.utils.tensorboard", "xformer.evaluation.panel")
"""What training imports only once it has begun: torch's compiler with the first optimizer."""


def fork(count: int, work: Callable[[], int], killed: bool = False) -> list[int]:
    """Run `work` in so many processes that can meet, as `torchrun` would start them; their exit statuses.

    Exit if one ends with another status than 0, or 2 as where it is told something that cannot be used; not
    where one is to be `killed`.
    """
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
    children: dict[int, int] = {}
    for rank in range(count):
        if child := os.fork():
            children[child] = rank
            continue
        os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(count))
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
        status = 1
        try:
            status = work()
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            sys.stdout.flush()
            os._exit(status)
    statuses = [0] * count
    while children:
        child, status = os.wait()
        statuses[children.pop(child)] = os.waitstatus_to_exitcode(status)
        if os.waitstatus_to_exitcode(status) not in (0, 2):
            for other in children:
                os.kill(other, signal.SIGKILL)
            if not killed:
                sys.exit(f"a process of {count} failed")
    return statuses


def train(dtype: torch.dtype, run: str, options: list[str]) -> int:
    """Go on with a run; the exit status. The picture is left out: it takes longer than the training."""
    torch.set_default_dtype(dtype)
    pretrain.plot_losses = lambda metrics, path: path
    if int(os.environ["RANK"]) + 1 == int(os.environ["WORLD_SIZE"]):
        make = StepBatches.make

        def struck(self: StepBatches, step: int, stage: str = FULL) -> StepBatch:
            if step == 3 and "--cut" in options:
                raise InputError("tokens-00000.bin: cut short")
            if step == 6 and "--kill" in options:
                os.kill(os.getpid(), signal.SIGKILL)
            return make(self, step, stage)

        StepBatches.make = struck  # type: ignore[method-assign]
    settings = tuple(option for option in options if "=" in option)
    return Pretrain(Path(run), set=settings, dry_run="--dry-run" in options).run_command()


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in LATE:
        with suppress(ImportError):  # TensorBoard may be missing
            import_module(name)
    dtype, rest = getattr(torch, sys.argv[1]), sys.argv[2:]
    failed = False
    while rest:
        end = rest.index("--") if "--" in rest else len(rest)
        (count, run, *options), rest = rest[:end], rest[end + 1 :]
        killed = "--kill" in options
        statuses = fork(int(count), partial(train, dtype, run, options), killed)
        print(f"exit statuses {statuses}", flush=True)
        failed |= any(statuses) and not killed
    sys.exit(int(failed))
