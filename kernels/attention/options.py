"""The options of attention: everything that shapes its weights other than q and k.

Shapes: M queries and N keys of one sequence, H heads, R rows of the bias table.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .checks import check_integers, check_shape, check_tensor
from .relative_position import relative_buckets, visible


@dataclass(frozen=True)
class AttentionOptions:
    """What `attention` takes by keyword about its weights.

    Custom operators build it anew in each call, so it is checked by `check`, once, and not when it is made.

    Attributes:
        scale: factor of q·k.
        causal: no key ahead of its query.
        window: total width in tokens, or None: no key farther from its query than `half_window`.
        alibi_slopes: (H,) or None.
        bias_table: (R, H) or None.
        bias_max_distance: distance in tokens from which on the last bucket holds.
        softcap: bound of the scores, or None.
        dropout: probability that a weight is dropped.
        seed: int64 that determines the dropout mask; None without dropout.
        sink: (H,) or None.
    """

    scale: float
    causal: bool = False
    window: int | None = None
    alibi_slopes: Tensor | None = None
    bias_table: Tensor | None = None
    bias_max_distance: int = 128
    softcap: float | None = None
    dropout: float = 0.0
    seed: int | None = None
    sink: Tensor | None = None

    def flat(self) -> tuple[Any, ...]:
        """The fields in order, as custom operators take them (see `operators.with_flat_options`)."""
        return (
            self.scale, self.causal, self.window, self.alibi_slopes, self.bias_table, self.bias_max_distance,
            self.softcap, self.dropout, self.seed, self.sink,
        )  # fmt: skip

    @property
    def half_window(self) -> int | None:
        """Greatest distance attended over, in tokens; None for any."""
        return None if self.window is None else self.window // 2

    @property
    def burden(self) -> int:
        """How much of a tile's registers scores take, masks apart: biases and soft cap 1 each, dropout 2."""
        return self.has_bias + (self.softcap is not None) + 2 * (self.dropout > 0)

    @property
    def biased_mask(self) -> bool:
        """Whether there are both a T5 bias and a mask."""
        return self.bias_table is not None and (self.causal or self.window is not None)

    @property
    def has_bias(self) -> bool:
        """Whether anything is added to scores besides a mask."""
        return self.alibi_slopes is not None or self.bias_table is not None

    def visible(self, distance: Tensor) -> Tensor:
        """Which distances from query to key may be attended over, bool."""
        return visible(distance, self.causal, self.half_window)

    def buckets(self, distance: Tensor, n_buckets: int) -> Tensor:
        """The row of the bias table, of `n_buckets` rows, for each distance from query to key, int64."""
        return relative_buckets(distance, n_buckets, self.bias_max_distance, not self.causal)

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

    def check(self, q: Tensor) -> None:
        """Check every option, also against q (T, H, D).

        Raises:
            TypeError: an option has the wrong type; the message names it, what was expected and its value.
            ValueError: an option has a value that cannot be, or a tensor a shape that does not fit.
        """
        tensors = {"alibi_slopes": self.alibi_slopes, "bias_table": self.bias_table, "sink": self.sink}
        given = {name: x for name, x in tensors.items() if x is not None}
        for name, number in (("scale", self.scale), ("softcap", self.softcap), ("dropout", self.dropout)):
            if number is not None and not isinstance(number, (int, float)):
                raise TypeError(f"{name}: expected a number, got {number!r}")
        check_integers(window=self.window, bias_max_distance=self.bias_max_distance, seed=self.seed)
        for name, x in given.items():
            check_tensor(name, x)
        if self.window is not None and self.window < 0:
            raise ValueError(f"window: expected a width in tokens from 0, got {self.window}")
        self._check_shapes(q.shape[1], q.device)
        for name, x in given.items():
            if not x.is_floating_point():
                raise TypeError(f"{name}: expected floating point, got {x.dtype}")
        if not -math.inf < self.scale < math.inf:
            raise ValueError(f"scale: expected a finite factor, got {self.scale}")
        if self.softcap is not None and not 0 < self.softcap < math.inf:
            raise ValueError(f"softcap: expected a positive, finite bound, got {self.softcap}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout: expected a probability in [0, 1), got {self.dropout}")
        if self.dropout > 0 and self.seed is None:
            raise ValueError("seed: expected an integer, since dropout is more than 0; got None")
        if self.seed is not None and not -(2**63) <= self.seed < 2**63:
            raise ValueError(f"seed: expected an int64, got {self.seed}")

    def _check_shapes(self, n_heads: int, device: torch.device) -> None:
        for name, x, what in (("alibi_slopes", self.alibi_slopes, "slope"), ("sink", self.sink, "logit")):
            if x is not None:
                check_shape(name, x, (n_heads,), f"one {what} a head", device)
        table = self.bias_table
        if table is None:
            return
        if table.dim() != 2 or table.shape[1] != n_heads:
            raise ValueError(f"bias_table: expected shape (buckets, {n_heads}), got {tuple(table.shape)}")
        if table.device != device:
            raise ValueError(f"bias_table: expected q's device {device}, got {table.device}")
        sides = 1 if self.causal else 2
        exact = table.shape[0] // sides // 2
        if table.shape[0] % sides or exact < 1:
            wanted = "at least 2" if self.causal else "an even number, at least 4, of"
            raise ValueError(f"bias_table: expected {wanted} buckets, got {table.shape[0]}")
        if self.bias_max_distance <= exact:
            raise ValueError(
                f"bias_max_distance: expected more than {exact}, the distances with buckets of their own, "
                f"got {self.bias_max_distance}"
            )
