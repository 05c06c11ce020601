"""Steps whose loss or gradient jumps: found by the median of the steps before."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from statistics import median

_WINDOW, _ENOUGH = 64, 16


class SpikeDetector:
    """Compares each step with the median of the last 64.

    The steps that are called spikes are remembered too: a level that has changed for good is the usual one
    after half a window, and no run is skipped to its end.
    """

    def __init__(self, factor: float | None, recent: Iterable[tuple[float, float]] = ()) -> None:
        """Begin, or go on where another watch was.

        Args:
            factor: a spike is more than so many times the median; None finds none and remembers nothing.
            recent: of the other watch.
        """
        self._factor = factor
        self._recent = deque(recent if factor is not None else (), maxlen=_WINDOW)

    @property
    def recent(self) -> tuple[tuple[float, float], ...]:
        """Loss and gradient norm of the steps in the window, oldest first: all that a watch remembers."""
        return tuple(self._recent)

    def forget(self) -> None:
        """Begin anew: what is trained has changed, and with it what is usual."""
        self._recent.clear()

    def check(self, loss: float, norm: float) -> str | None:
        """Remember a step, and judge it by those before.

        Args:
            loss: its loss, finite.
            norm: its gradient's norm before clipping, finite.

        Returns:
            What jumped, by how much; None for a step like others, or while fewer than 16 are remembered.
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
                    found = f"{name} {value:.4g}, where {usual:.4g} is the median"
        self._recent.append((loss, norm))
        return found
