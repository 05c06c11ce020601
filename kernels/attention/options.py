"""What shapes attention scores, other than q and k.

Shapes: M queries and N keys of one sequence, H heads, R rows of the bias table.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Rules:
    """What shapes the scores, other than q and k.

    Attributes:
        causal: no key ahead of its query.
        half_window: greatest distance attended over, in tokens; None for any.
        alibi_slopes: (H,) or None.
        bias_table: (R, H) or None.
        bias_max_distance: distance in tokens from which the last bucket holds.
        softcap: bound of the scores, or None.
        scale: factor of q·k.
        dropout: probability that a weight is dropped.
        seed: names the dropout mask.
    """

    causal: bool
    half_window: int | None
    alibi_slopes: Tensor | None
    bias_table: Tensor | None
    bias_max_distance: int
    softcap: float | None
    scale: float
    dropout: float
    seed: int

    @property
    def burden(self) -> int:
        """How much shapes a tile of scores besides masks: biases, a soft cap; dropout counts twice."""
        biased = self.alibi_slopes is not None or self.bias_table is not None
        return biased + (self.softcap is not None) + 2 * (self.dropout > 0)

    @property
    def biased_mask(self) -> bool:
        """Whether there are both a T5 bias and a mask."""
        return self.bias_table is not None and (self.causal or self.half_window is not None)

    def has_blind_rows(self, shift: int) -> bool:
        """Whether some query sees no key; the first stands at key position `shift`, the last at a key."""
        if self.causal:
            return shift < 0
        return self.half_window is not None and -shift > self.half_window

    def hides(self, n_queries: int, n_keys: int, shift: int) -> bool:
        """Whether some pair is not visible, where the first query stands at key position `shift`."""
        ahead, behind = n_keys - 1 - shift, shift + n_queries - 1  # the farthest keys, either way
        if self.causal and ahead > 0:
            return True
        return self.half_window is not None and max(ahead, behind) > self.half_window

    def seen(self, first: int, last: int, n_keys: int) -> slice:
        """Which keys are visible to a query that stands at one of the key positions `first` to `last`."""
        begin, end = 0, n_keys
        if self.causal:
            end = min(end, last + 1)
        if self.half_window is not None:
            begin, end = max(begin, first - self.half_window), min(end, last + self.half_window + 1)
        return slice(begin, max(begin, end))

    def flat(
        self,
    ) -> tuple[bool, int | None, Tensor | None, Tensor | None, int, float | None, float, float, int]:
        """The fields in order, as a custom operator takes them."""
        return (
            self.causal, self.half_window, self.alibi_slopes, self.bias_table, self.bias_max_distance,
            self.softcap, self.scale, self.dropout, self.seed,
        )  # fmt: skip
