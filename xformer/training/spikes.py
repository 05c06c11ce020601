"""Detection of spikes: steps whose loss or gradient norm is far above the median of the steps before."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from statistics import median

_WINDOW, _ENOUGH = 64, 16


class SpikeDetector:
    """Compares each step with the median of the last 64.

    Spikes are in that window too: if the level has changed for good, the median follows after half a window,
    and steps are not skipped any longer.
    """

    def __init__(self, factor: float | None, recent: Iterable[tuple[float, float]] = ()) -> None:
        """Start, or continue from another detector.

        Args:
            factor: a spike is a value of more than `factor` times the median; None for no detection.
            recent: `recent` of the other detector.
        """
        self._factor = factor
        self._recent = deque(recent if factor is not None else (), maxlen=_WINDOW)

    @property
    def recent(self) -> tuple[tuple[float, float], ...]:
        """Loss and gradient norm of the steps in the window, oldest first: the detector's whole state."""
        return tuple(self._recent)

    def forget(self) -> None:
        """Empty the window, since the loss of a new stage has another level."""
        self._recent.clear()

    def check(self, loss: float, norm: float) -> str | None:
        """Compare a step with those before, and add it to the window.

        Args:
            loss: its loss, finite.
            norm: its gradient norm before clipping, finite.

        Returns:
            A message, if the step is a spike; None if not, or while the window has fewer than 16 steps.
        """
        if self._factor is None:
            return None
        found = None
        if len(self._recent) >= _ENOUGH:
            losses, norms = zip(*self._recent, strict=True)
            for name, value, usual in (
                ("loss", loss, median(losses)),
                ("gradient norm", norm, median(norms)),
            ):
                if value > self._factor * usual and found is None:
                    found = f"{name} {value:.4g}, with a median of {usual:.4g}"
        self._recent.append((loss, norm))
        return found
