"""The key/value cache: what a decoder that generates keeps of the tokens it has read.

A group is one source with its W hypotheses (beams), each a row. All hypotheses of a group are equally
long, and their keys lie side by side, in slots. A beam search does not move keys: `ancestors` says in which
slot each hypothesis has its token of each position, and that table is reordered instead. Each hypothesis then
looks at the keys of its whole group, of which all but its own are hidden: more multiplications, of which
there are few, for no copies, of which there would be many.

The keys and values of the memory are computed once, and shared by the hypotheses of a group.

Shapes: G groups, W hypotheses of each, H heads, D head size, N capacity in tokens, n tokens that are kept, S
longest source, L layers, T new tokens of all rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from xformer.model.config import ModelConfig
from xformer.model.packed import Packed

Table = TypeVar("Table")

BLOCK = 32
"""The capacity grows by multiples of this number of tokens."""


def cache_bytes(
    config: ModelConfig, groups: int, beams: int, capacity: int, source: int, itemsize: int = 4
) -> int:
    """Memory of a cache, in bytes.

    Keys and values of the tokens, `2·L·G·W·N·C`, and of the sources, `2·L·G·S·C`, in the model's dtype; and
    `ancestors`, `G·W·N` numbers of 8 bytes.

    Args:
        config: of the decoder.
        groups: G.
        beams: W.
        capacity: N, a multiple of `BLOCK`.
        source: S.
        itemsize: bytes of a number.
    """
    rows = groups * beams * capacity
    return 2 * config.n_layers * config.d_model * (rows + groups * source) * itemsize + 8 * rows


class DecoderCache:
    """Keys and values of all layers.

    Attributes:
        config: of the decoder.
        n_beams: W.
        lengths: of each group, the number of tokens that are kept.
        source_lengths: of each group's memory.
        keys: L tensors (G, H, N, W, D).
        values: as `keys`.
        memory_keys: L tensors (G, H, S, D).
        memory_values: as `memory_keys`.
        coverage: (G, W, S), of each hypothesis the sum over its tokens of the last layer's attention, a
            mean over the heads; None if it is not tracked.
        memory_seen: (G, S) bool, True at tokens of the sources.
        ancestors: (G, W, N) int64, the slot in which a hypothesis has its token of a position.
    """

    def __init__(
        self, config: ModelConfig, memory: Sequence[tuple[Tensor, Tensor]], source: Packed, like: Tensor
    ) -> None:
        """An empty cache, of one hypothesis a group.

        Args:
            config: of the decoder.
            memory: keys and values (S₁ + … + S_G, H, D) of each layer.
            source: their layout.
            like: has the dtype and the device of the residual stream.
        """
        self.config, self.n_beams = config, 1
        self.lengths = [0] * source.n_sequences
        self.source_lengths = source.lengths
        empty = (source.n_sequences, config.n_heads, 0, 1, config.d_head)
        self.keys = [like.new_empty(empty) for _ in memory]
        self.values = [like.new_empty(empty) for _ in memory]
        self.ancestors = torch.zeros(source.n_sequences, 1, 0, dtype=torch.int64, device=like.device)
        at = source.sequence_ids(), source.positions
        self.memory_keys = [_padded(k, at, source) for k, _ in memory]
        self.memory_values = [_padded(v, at, source) for _, v in memory]
        self.coverage: Tensor | None = None
        self._tables: dict[str, tuple[int, Any]] = {}
        self._place_memory()

    @property
    def n_groups(self) -> int:
        """G."""
        return len(self.lengths)

    @property
    def n_rows(self) -> int:
        """G·W, of which those of a group are neighbours."""
        return self.n_groups * self.n_beams

    @property
    def capacity(self) -> int:
        """N."""
        return self.ancestors.shape[2]

    @property
    def length(self) -> int:
        """Tokens of the longest group."""
        return max(self.lengths, default=0)

    @property
    def n_bytes(self) -> int:
        """Memory that its tensors take, in bytes; see `cache_bytes`."""
        tensors = [*self.keys, *self.values, *self.memory_keys, *self.memory_values, self.ancestors]
        return sum(tensor.untyped_storage().nbytes() for tensor in tensors)

    def table(self, name: str, length: int, make: Callable[[], Table]) -> Table:
        """A table of positions, made again when it must be longer.

        Args:
            name: of the table.
            length: how many positions it must have.
            make: what makes it.
        """
        if name not in self._tables or self._tables[name][0] < length:
            self._tables[name] = length, make()
        found: Table = self._tables[name][1]
        return found

    def reserve(self, length: int) -> None:
        """Make room for `length` tokens in each row."""
        if length <= self.capacity:
            return
        capacity = -(-length // BLOCK) * BLOCK
        more = capacity - self.capacity
        self._move(capacity, self.n_beams)
        self.ancestors = torch.nn.functional.pad(self.ancestors, (0, more))

    def track_coverage(self, wanted: bool) -> None:
        """Track `coverage` from now on, or no longer."""
        shape = (self.n_groups, self.n_beams, self.memory_seen.shape[1])
        self.coverage = self.memory_keys[-1].new_zeros(shape) if wanted else None

    def expand(self, n_beams: int) -> None:
        """Make W hypotheses of each group's only one, all with its tokens."""
        if self.n_beams != 1:
            raise ValueError(f"cache: expected one hypothesis a group, got {self.n_beams}")
        self._move(self.capacity, n_beams)
        self.n_beams = n_beams
        self.ancestors = self.ancestors.repeat(1, n_beams, 1)
        if self.coverage is not None:
            self.coverage = self.coverage.repeat(1, n_beams, 1)

    def reorder(self, parents: Tensor) -> None:
        """Let each hypothesis go on from another one of its group.

        Args:
            parents: (G, W) int64, the number, within the group, of the one it goes on from.
        """
        kept = self.ancestors[:, :, : self.length]
        self.ancestors[:, :, : self.length] = kept.gather(1, parents[..., None].expand_as(kept))
        if self.coverage is not None:
            self.coverage = self.coverage.gather(1, parents[..., None].expand_as(self.coverage))

    def keep(self, groups: Sequence[int]) -> None:
        """Keep these groups alone, in this order, and no more room than they need."""
        chosen = torch.tensor(list(groups), dtype=torch.int64, device=self.ancestors.device)
        self.lengths = [self.lengths[g] for g in groups]
        self.source_lengths = tuple(self.source_lengths[g] for g in groups)
        longest = max(self.source_lengths, default=0)
        for kept in (self.keys, self.values):
            kept[:] = [tensor.index_select(0, chosen) for tensor in kept]
        for kept in (self.memory_keys, self.memory_values):
            kept[:] = [tensor[:, :, :longest].index_select(0, chosen) for tensor in kept]
        self.ancestors = self.ancestors.index_select(0, chosen)
        if self.coverage is not None:
            self.coverage = self.coverage[:, :, :longest].index_select(0, chosen)
        self._place_memory()

    def _move(self, capacity: int, n_beams: int) -> None:
        """Move keys and values to tensors with more room, which is zero."""
        for tensors in (self.keys, self.values):
            for layer, old in enumerate(tensors):
                room = old.new_zeros(*old.shape[:2], capacity, n_beams, old.shape[4])
                room[:, :, : self.capacity, : self.n_beams] = old
                tensors[layer] = room

    def _place_memory(self) -> None:
        """Hide what pads the memory."""
        lengths = torch.tensor(self.source_lengths, device=self.ancestors.device)
        longest = max(self.source_lengths, default=0)
        seen = torch.arange(longest, device=lengths.device) < lengths[:, None]
        dtype = self.memory_keys[0].dtype if self.memory_keys else torch.float32
        hidden = torch.zeros(seen.shape, dtype=dtype, device=lengths.device).masked_fill(~seen, -torch.inf)
        self.memory_seen = seen
        self.memory_bias = None if bool(seen.all()) else hidden[:, None, None]


def _padded(packed: Tensor, at: tuple[Tensor, Tensor], source: Packed) -> Tensor:
    """(S₁ + … + S_G, H, D) to (G, H, S, D), zero at padding."""
    wide = packed.new_zeros(source.n_sequences, packed.shape[1], source.max_length, packed.shape[2])
    wide[at[0], :, at[1]] = packed
    return wide
