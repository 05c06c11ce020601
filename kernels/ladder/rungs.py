"""The rungs in order, for those who test or measure all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..device import Target
from .shared import tile_for

Attend = Callable[[Tensor, Tensor, Tensor, Tensor, int], Tensor]


@dataclass(frozen=True)
class Rung:
    """One step of the ladder.

    Attributes:
        name: of its file.
        attend: the public function.
        tiled: whether a program takes a block of queries, and not one.
    """

    name: str
    attend: Attend
    tiled: bool = False

    def queries(self, target: Target, head_size: int) -> int:
        """Queries in half precision that a program takes at a time."""
        return tile_for(target, head_size, torch.float16).block_m if self.tiled else 1


def torch_rungs() -> tuple[Rung, ...]:
    """The rungs that need no Triton."""
    from . import naive, recurrence

    return Rung("naive", naive.attend), Rung("recurrence", recurrence.attend)


def triton_rungs() -> tuple[Rung, ...]:
    """The rungs that are kernels; needs triton."""
    from . import descriptors, exp2, online_softmax, persistent, tiles

    return (
        Rung("online_softmax", online_softmax.attend),
        Rung("exp2", exp2.attend),
        Rung("tiles", tiles.attend, tiled=True),
        Rung("descriptors", descriptors.attend, tiled=True),
        Rung("persistent", persistent.attend, tiled=True),
    )
