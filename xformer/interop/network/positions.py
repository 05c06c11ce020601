"""How a token's place enters the network: vectors, rotations, biases of attention, pairs of neighbours.

Tables by position are made here and not in the graph: cosines of large angles need float64, which runtimes
compute slowly or not at all.

Shapes: B sequences, N positions, M longest sequence, C d_model, H heads, D head size.
"""

from __future__ import annotations

from typing import Generic

import torch

from xformer.interop.network.operations import Operations, Value
from xformer.interop.network.spec import NetworkSpec, array_of
from xformer.kernels.attention import relative_buckets
from xformer.model.bigrams import FIRST_FACTOR, SECOND_FACTOR
from xformer.model.positions import alibi_slopes, rotary_table, sinusoidal

LOWEST = -1e30
"""Score of what does not count: its exponential beside any other is 0, and no sum with it overflows."""
_HALF = 2**32


class Positions(Generic[Value]):
    """The places of the tokens of padded sequences. What several blocks need is made once."""

    def __init__(self, spec: NetworkSpec, operations: Operations[Value], ids: Value, tokens: Value) -> None:
        """Look at a batch.

        Args:
            spec: the network.
            operations: of the runtime.
            ids: (B, N).
            tokens: (B, N) truth values, whether there is a token.
        """
        self._spec, self._config, self._op = spec, spec.config, operations
        self._ids, self._tokens = ids, tokens
        self._place = operations.positions(ids)
        self._bias: dict[bool, Value] = {}
        self._angles: dict[bool, tuple[Value, Value]] = {}

    def vectors(self) -> Value | None:
        """What each position adds to its token, (B, N, C); None where nothing is added.

        Positions count tokens, so that padding in front of them moves nothing.
        """
        op, config = self._op, self._config
        if config.positions not in ("learned", "sinusoidal"):
            return None
        if config.positions == "learned":
            name = "embeddings.position_embeddings.weight"
            table = array_of(self._spec.encoder[name])[config.position_offset :]
        else:
            name = "sinusoidal"
            table = array_of(sinusoidal(config.max_length, config.d_model).float())
        count = op.running_total(op.cast(self._tokens, "integer"))
        place = op.maximum(op.subtract(count, op.constant(1, "integer")), op.constant(0, "integer"))
        return op.rows(op.weight(name, table), place)

    def turn(self, x: Value, layer: int) -> Value:
        """Queries or keys (B, H, N, D), turned where positions are rotary (Su et al. 2021)."""
        op, config = self._op, self._config
        if config.positions != "rotary":
            return x
        whole = config.is_global(layer)
        if whole not in self._angles:
            base = config.rotary_base if whole else config.rotary_base_local
            tables = rotary_table(config.max_length, config.d_head, base)
            self._angles[whole] = tuple(  # type: ignore[assignment]
                op.rows(op.weight(f"rotary.{base:g}.{name}", array_of(table.float())), self._place)
                for name, table in zip(("cos", "sin"), tables, strict=True)
            )
        cos, sin = self._angles[whole]
        half = config.d_head // 2
        a, b = op.cut(x, 0, half), op.cut(x, half, config.d_head)
        return op.join(
            [
                op.subtract(op.multiply(a, cos), op.multiply(b, sin)),
                op.add(op.multiply(b, cos), op.multiply(a, sin)),
            ]
        )

    def bias(self, layer: int) -> Value:
        """What is added to the scores of a block: (B or 1, H or 1, N or 1, N)."""
        whole = self._config.is_global(layer)
        if whole not in self._bias:
            self._bias[whole] = self._new_bias(whole)
        return self._bias[whole]

    def _new_bias(self, whole: bool) -> Value:
        op, config = self._op, self._config
        seen = op.unsqueeze(self._tokens, 1, 2)  # (B, 1, 1, N)
        if not whole and config.window is not None:
            near = op.greater(op.constant(config.window // 2 + 1, "integer"), op.absolute(self._distance()))
            seen = op.both(seen, op.unsqueeze(near, 0, 1))
        hidden = op.where(seen, op.constant(0.0), op.constant(LOWEST))
        if config.positions == "alibi":
            slopes = -array_of(alibi_slopes(config.n_heads).float())[:, None, None]
            far = op.cast(op.absolute(self._distance()), "float")
            return op.add(hidden, op.multiply(op.constant(slopes), op.unsqueeze(far, 0)))
        if config.positions == "t5":
            longest = config.max_length
            buckets = relative_buckets(
                torch.arange(1 - longest, longest), config.t5_buckets, config.t5_max_distance
            )
            table = array_of(self._spec.encoder["relative_bias.weight"][buckets])
            index = op.add(self._distance(), op.constant(longest - 1, "integer"))
            rows = op.rows(op.weight("relative_bias", table), index)  # (N, N, H)
            return op.add(hidden, op.transpose(rows, 2, 0, 1))
        return hidden

    def _distance(self) -> Value:
        """(N, N), key - query."""
        op = self._op
        return op.subtract(op.unsqueeze(self._place, 0), op.unsqueeze(self._place, 1))

    def bigram_rows(self, rows: int) -> Value:
        """(B, N), the row of each token's pair with the token before it; 0 for the first (`model.bigrams`).

        The hash of 64 bits is computed in its two halves, so that no product leaves them.
        """
        op = self._op
        before, ids = op.shift(self._ids, 1), self._ids

        def mixed(first: int, second: int) -> Value:
            parts = (op.multiply(before, number(first)), op.multiply(ids, number(second)))
            return op.add(*parts)

        def number(value: int) -> Value:
            return op.constant(value, "integer")

        low = mixed(FIRST_FACTOR % _HALF, SECOND_FACTOR % _HALF)
        high = op.add(mixed(FIRST_FACTOR // _HALF, SECOND_FACTOR // _HALF), op.divide(low, number(_HALF)))
        low, high = (op.modulo(one, number(_HALF)) for one in (low, high))
        hashed = op.modulo(op.exclusive_or(low, high), number(_HALF // 2))
        found = op.add(op.modulo(hashed, number(rows - 1)), number(1))
        token = op.cast(self._tokens, "integer")
        return op.multiply(found, op.multiply(token, op.shift(token, 1)))
