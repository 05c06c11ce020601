"""Processes that train together in fp64, forked from one that has imported everything; started by tests.

python many.py PROCESSES RUN [TABLE.KEY=VALUE ...] [-- PROCESSES RUN [TABLE.KEY=VALUE ...]] ...

Each group of processes goes on with a run, one group after the other.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import torch.distributed.checkpoint
import torch.distributed.fsdp

from xformer.cli.pretrain import Pretrain
from xformer.training import pretrain


def fork(count: int, work: Callable[[], int]) -> None:
    """Run `work` in so many processes that can meet, as `torchrun` would start them; exit if one fails."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
    children = []
    for rank in range(count):
        if child := os.fork():
            children.append(child)
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
    while children:
        child, status = os.wait()
        children.remove(child)
        if status:
            for other in children:
                os.kill(other, signal.SIGKILL)
            sys.exit(f"a process of {count} failed")


def train(run: str, settings: tuple[str, ...]) -> int:
    """Go on with a run; the exit status. The picture is left out: it takes longer than the training."""
    torch.set_default_dtype(torch.float64)
    pretrain.plot_losses = lambda metrics, path: path
    return Pretrain(Path(run), set=settings).run_command()


if __name__ == "__main__":
    torch.set_num_threads(1)
    rest = sys.argv[1:]
    while rest:
        end = rest.index("--") if "--" in rest else len(rest)
        (count, run, *settings), rest = rest[:end], rest[end + 1 :]
        fork(int(count), partial(train, run, tuple(settings)))
