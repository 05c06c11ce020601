"""AdamW that also keeps a running mean of the weights, which generalises better than the last ones.

Polyak and Juditsky 1992 ("Acceleration of stochastic approximation by averaging"). The mean is part of the
optimizer's state, so a checkpoint has it, and a resumed run goes on with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from xformer.training.optimizer import AdamWithTables

AVERAGE = "average"
"""Name of the mean in the optimizer's state: a checkpoint has `average.PARAMETER`."""


class AveragedAdam(AdamWithTables):
    """AdamW with w̄ ← d·w̄ + (1-d)·w after each step, where d grows to the decay: min(decay, (1+n)/(10+n)).

    Parameters without a gradient have no mean: they stay as they are.

    Attributes:
        decay: share of the mean that a step keeps.
    """

    def __init__(
        self, groups: list[dict[str, Any]], decay: float, betas: tuple[float, float] = (0.9, 0.98)
    ) -> None:
        """Make the optimizer of parameter groups; see `AdamWithTables`.

        Args:
            groups: as there.
            decay: share of the mean that a step keeps, at most; 0 for the last weights themselves.
            betas: as there.
        """
        super().__init__(groups, betas=betas)
        self.decay = decay

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update the parameters and their means."""
        super().step(closure)
        weights, means = [], []
        for group in self.param_groups:
            for weight in group["params"]:
                if not (state := self.state[weight]):
                    continue
                if AVERAGE not in state:
                    state[AVERAGE] = weight.detach().clone()
                else:
                    weights.append(weight.detach())
                    means.append(state[AVERAGE])
                    n = float(state["step"])
        if means:
            torch._foreach_lerp_(means, weights, 1 - min(self.decay, (1 + n) / (10 + n)))

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """A block in which the parameters are their means."""
        means = {weight: state[AVERAGE] for weight, state in self.state.items() if AVERAGE in state}
        kept = {weight: weight.detach().clone() for weight in means}
        try:
            _copy(means)
            yield
        finally:
            _copy(kept)


@torch.no_grad()
def load_averages(model: nn.Module, state: dict[str, Tensor]) -> None:
    """Replace weights by their means.

    Args:
        model: changed in place.
        state: tensors of an optimizer, by `kind.parameter`; those of other kinds are ignored.
    """
    for name, weight in model.named_parameters():
        if (mean := state.get(f"{AVERAGE}.{name}")) is not None:
            weight.copy_(mean)


@torch.no_grad()
def _copy(values: dict[Any, Tensor]) -> None:
    for weight, value in values.items():
        weight.copy_(value)
