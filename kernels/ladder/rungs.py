"""The rungs in order, for those who test or measure all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor

from ..compile.launch import Launch
from ..device import Target

Attend = Callable[[Tensor, Tensor, Tensor, Tensor, int], Tensor]


@dataclass(frozen=True)
class Rung:
    """One step of the ladder.

    Attributes:
        name: of its file.
        attend: the public function.
        launches: its kernel as launched on a target; None for PyTorch alone.
    """

    name: str
    attend: Attend
    launches: Callable[[Target], Iterator[Launch]] | None


def torch_rungs() -> tuple[Rung, ...]:
    """The rungs that need no Triton."""
    from . import naive, recurrence

    return Rung("naive", naive.attend, None), Rung("recurrence", recurrence.attend, None)


def triton_rungs() -> tuple[Rung, ...]:
    """The rungs that are kernels; needs triton."""
    from . import descriptors, exp2, online_softmax, persistent, tiles

    return tuple(
        Rung(module.__name__.rpartition(".")[2], module.attend, module.launches)
        for module in (online_softmax, exp2, tiles, descriptors, persistent)
    )
