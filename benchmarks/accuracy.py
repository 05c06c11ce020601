"""Who is right: results and gradients beside fp64, before anyone is timed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

RATIO = 2.0

# Of the largest true value: a few units of fp32, in which kernels add up. Where PyTorch happens to be exact,
# twice its error is nothing at all.
FORGIVEN = 8 * torch.finfo(torch.float32).eps


@dataclass(frozen=True)
class Yardstick:
    """How far from fp64 plain PyTorch is in the same dtype, by the name of the result or gradient.

    Attributes:
        own: its largest absolute differences.
        rounding: half a unit in the last place of the largest true value: what rounding alone may cost.
        largest: that value.
    """

    own: Mapping[str, float]
    rounding: Mapping[str, float]
    largest: Mapping[str, float]

    def multiple(self, errors: Mapping[str, float], names: Sequence[str]) -> tuple[float, str]:
        """The worst of `errors` over `names` as a multiple of PyTorch's, and its name; NaN is infinite."""
        worst, where = 0.0, names[0]
        for name in names:
            allowed = max(self.own[name], self.rounding[name])
            # Where PyTorch is exact and nothing is to be rounded (all true values are 0), only exact will do.
            found = errors[name] / allowed if allowed else (0.0 if errors[name] == 0 else math.inf)
            found = math.inf if math.isnan(found) else found
            if found > worst:
                worst, where = found, name
        return worst, where

    def passes(self, errors: Mapping[str, float], names: Sequence[str]) -> bool:
        """FlashAttention's rule: no error above twice PyTorch's own, give or take the rounding of both."""
        return all(
            errors[name] <= RATIO * (self.own[name] + self.rounding[name]) + FORGIVEN * self.largest[name]
            for name in names
        )


def yardstick(plain: Mapping[str, Tensor], true: Mapping[str, Tensor], dtype: torch.dtype) -> Yardstick:
    """Measure plain PyTorch.

    Args:
        plain: its results and gradients.
        true: the same in fp64.
        dtype: of the inputs, which sets what rounding costs.
    """
    half = torch.finfo(dtype).eps / 2
    largest = {name: float(value.abs().max()) if value.numel() else 0.0 for name, value in true.items()}
    rounding = {name: half * value for name, value in largest.items()}
    return Yardstick(largest_errors(plain, true), rounding, largest)


def largest_errors(found: Mapping[str, Tensor], true: Mapping[str, Tensor]) -> dict[str, float]:
    """Largest absolute difference of each result that was found; NaN where one is not a number.

    Raises:
        ValueError: a result has another shape than the true one.
    """
    errors = {}
    for name, value in found.items():
        if value.shape != true[name].shape:
            raise ValueError(f"{name}: expected shape {tuple(true[name].shape)}, got {tuple(value.shape)}")
        errors[name] = float((value.double() - true[name]).abs().max()) if value.numel() else 0.0
    return errors
