"""The tally: sums of losses since the last line of the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from xformer.training.batch import Batch
from xformer.training.losses import StepSums

B = TypeVar("B", bound=Batch)


class Tally(Generic[B]):
    """Sums of losses by name and category. Shapes: K categories.

    Attributes:
        norm: gradient norm of the last step that was added.
    """

    def __init__(self, state: Mapping[str, tuple[float, ...]] | None = None) -> None:
        """Start empty, or continue from another tally.

        Args:
            state: `state()` of the other tally.
        """
        kept = {name.partition(".")[::2]: np.array(values) for name, values in (state or {}).items()}
        self._sums = {loss: values for (part, loss), values in kept.items() if part == "sums"}
        counts = {loss: values for (part, loss), values in kept.items() if part == "counts"}
        self._counts: dict[str, NDArray[np.int64]] = {name: n.astype(np.int64) for name, n in counts.items()}
        self.norm = float(kept["norm", ""][0]) if kept else 0.0

    def state(self) -> dict[str, tuple[float, ...]]:
        """The whole state, exact; empty if no step was added."""
        if not self._sums:
            return {}
        return {name: tuple(map(float, array)) for name, array in self._arrays().items()}

    def add(self, losses: StepSums, batch: B, norm: float) -> None:
        """Add one step.

        Args:
            losses: losses of all processes.
            batch: batch of the step.
            norm: gradient norm of the step.
        """
        self.norm = norm
        for name, (sums, counts) in losses.by_category.items():
            self._sums[name] = self._sums.get(name, 0.0) + sums
            self._counts[name] = self._counts.get(name, 0) + counts

    def means(self) -> dict[str, float]:
        """The mean of each loss over its items, by name."""
        return {name: float(self._sums[name].sum() / max(1, self._counts[name].sum())) for name in self._sums}

    def fields(self) -> dict[str, Any]:
        """Fields that the task adds to a line of the log."""
        return {}

    def _arrays(self) -> dict[str, Any]:
        arrays: dict[str, Any] = {f"sums.{name}": sums for name, sums in self._sums.items()}
        arrays |= {f"counts.{name}": counts for name, counts in self._counts.items()}
        return arrays | {"norm": (self.norm,)}
