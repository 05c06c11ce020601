"""Options of the loss: ignored targets, label smoothing and z-loss."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LossOptions:
    """Options of `linear_cross_entropy` that every backend takes.

    Attributes:
        ignore_index: a row with this target has loss 0 and gradient 0.
        label_smoothing: share of the target that is spread over the vocabulary, in [0, 1].
        z_loss: factor of the squared log-sum-exp, from 0.
    """

    ignore_index: int = -100
    label_smoothing: float = 0.0
    z_loss: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.label_smoothing <= 1.0:
            raise ValueError(f"label_smoothing: expected a share in [0, 1], got {self.label_smoothing}")
        if not 0.0 <= self.z_loss < float("inf"):
            raise ValueError(f"z_loss: expected a finite factor from 0, got {self.z_loss}")

    def flat(self) -> tuple[int, float, float]:
        """The options as the arguments of a custom operator."""
        return self.ignore_index, self.label_smoothing, self.z_loss
