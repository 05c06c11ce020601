"""Packed batches: sequences lie end to end, without a pad token.

Shapes: T tokens in the batch, B sequences, N length of one sequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class PackedTensors:
    """What layers read of a batch: tensors, and one number. Nothing in it names a sequence on the host.

    Attributes:
        tokens: (T,) int64 token ids.
        positions: (T,) int64, the index of each token in its own sequence.
        cu_seqlens: (B+1,) int32; sequence b is `tokens[cu_seqlens[b]:cu_seqlens[b + 1]]`.
        max_length: the longest sequence's length, in tokens, or more.
    """

    tokens: Tensor
    positions: Tensor
    cu_seqlens: Tensor
    max_length: int


@dataclass(frozen=True)
class Packed(PackedTensors):
    """A batch of sequences laid end to end, longest first unless packed with `sort=False`.

    In a sorted batch sequences of equal length are neighbours. On a CPU, attention computes each such run as
    one dense block, and brings other batches into this order first.

    Attributes:
        tokens: (T,) int64 token ids.
        positions: (T,) int64, the index of each token in its own sequence.
        cu_seqlens: (B+1,) int32; sequence b is `tokens[cu_seqlens[b]:cu_seqlens[b + 1]]`.
        lengths: the B lengths, on the host, so that reading them does not wait for the device.
        max_length: the longest sequence's length, in tokens.
        order: (B,) int64; packed sequence i was number `order[i]` of the list that was packed.
    """

    # Kept, not computed: torch.compile then sees one number, and does not compile for each list of lengths.
    max_length: int = field(init=False)
    lengths: tuple[int, ...]
    order: Tensor

    def __post_init__(self) -> None:
        object.__setattr__(self, "max_length", max(self.lengths, default=0))

    @property
    def n_tokens(self) -> int:
        """T, the number of tokens."""
        return int(self.tokens.shape[0])

    @property
    def n_sequences(self) -> int:
        """B, the number of sequences."""
        return len(self.lengths)

    def to(self, device: torch.device | str) -> Packed:
        """The same batch on another device."""
        return replace(
            self,
            tokens=self.tokens.to(device, non_blocking=True),
            positions=self.positions.to(device, non_blocking=True),
            cu_seqlens=self.cu_seqlens.to(device, non_blocking=True),
            order=self.order.to(device, non_blocking=True),
        )

    def with_tokens(self, tokens: Tensor) -> Packed:
        """The same layout with other tokens (T,), for example a masked copy of the batch."""
        if tokens.shape != self.tokens.shape:
            raise ValueError(f"tokens: expected shape {tuple(self.tokens.shape)}, got {tuple(tokens.shape)}")
        return replace(self, tokens=tokens)

    def with_positions(self, positions: Tensor) -> Packed:
        """The same batch with other positions (T,), for example from 0 again at a second text."""
        if positions.shape != self.positions.shape:
            raise ValueError(
                f"positions: expected shape {tuple(self.positions.shape)}, got {tuple(positions.shape)}"
            )
        return replace(self, positions=positions)

    def unsort(self, per_sequence: Tensor) -> Tensor:
        """Bring (B, …) rows back into the order of the list that `pack` was given."""
        out = torch.empty_like(per_sequence)
        out[self.order] = per_sequence
        return out

    def sequence_ids(self) -> Tensor:
        """(T,) int64: the packed sequence that each token belongs to."""
        lengths = torch.tensor(self.lengths, dtype=torch.int64, device=self.tokens.device)
        rows = torch.arange(self.n_sequences, device=self.tokens.device)
        return rows.repeat_interleave(lengths, output_size=self.n_tokens)


def pack(
    sequences: Sequence[np.ndarray | Sequence[int]], device: torch.device | str = "cpu", *, sort: bool = True
) -> Packed:
    """Lay sequences of token ids end to end.

    Args:
        sequences: B sequences of token ids, none of them on a device; empty ones are allowed.
        device: where the tensors go.
        sort: longest first, equal lengths in the order given. False keeps the order given: the sources and
            the targets of translations must have one order.

    Returns:
        The batch. `Packed.order` and `Packed.unsort` lead back to the order given.
    """
    lengths = np.fromiter((len(s) for s in sequences), dtype=np.int64, count=len(sequences))
    parts = [np.zeros(0, dtype=np.int64), *(np.asarray(ids, dtype=np.int64) for ids in sequences)]
    batch = pack_flat(np.concatenate(parts), lengths, sort=sort)
    return batch if torch.device(device).type == "cpu" else batch.to(device)


def pack_flat(
    tokens: NDArray[np.integer],
    lengths: NDArray[np.integer],
    *,
    starts: NDArray[np.integer] | None = None,
    sort: bool = True,
) -> Packed:
    """Pack sequences that lie in one array already, on the host.

    Args:
        tokens: ids.
        lengths: (B,) of the sequences.
        starts: (B,) where each sequence begins in `tokens`; None where they lie end to end.
        sort: as in `pack`.
    """
    if starts is None:
        starts = np.cumsum(lengths, dtype=np.int64) - lengths
    order = np.argsort(-lengths.astype(np.int64), kind="stable") if sort else np.arange(len(lengths))
    lengths = lengths[order].astype(np.int64)
    cu_seqlens = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=cu_seqlens[1:])
    positions = np.arange(cu_seqlens[-1]) - np.repeat(cu_seqlens[:-1], lengths)
    return Packed(
        tokens=torch.from_numpy(tokens[np.repeat(starts[order], lengths) + positions].astype(np.int64)),
        positions=torch.from_numpy(positions),
        cu_seqlens=torch.from_numpy(cu_seqlens.astype(np.int32)),
        lengths=tuple(lengths.tolist()),
        order=torch.from_numpy(order),
    )


def join(batches: Sequence[Packed], filler: int = 0) -> tuple[Packed, tuple[Tensor, ...]]:
    """Join batches into one, longest first, for one pass through a model.

    Args:
        batches: at least one, all on one device.
        filler: number of sequences to add, each of one token with id 0, which belong to no batch.

    Returns:
        The joined batch, and for each batch given the rows (T,) int64 of its tokens in it, in their order.
    """
    device = batches[0].tokens.device
    ones = np.ones(filler, dtype=np.int64)
    lengths = np.concatenate([*(np.array(batch.lengths, dtype=np.int64) for batch in batches), ones])
    starts = np.cumsum(lengths) - lengths
    order = np.argsort(-lengths, kind="stable")
    cu_seqlens = np.concatenate([[0], np.cumsum(lengths[order])])
    total = int(cu_seqlens[-1])
    # The row of each joined token in the batches end to end, and the inverse.
    source = np.arange(total) + np.repeat(starts[order] - cu_seqlens[:-1], lengths[order])
    place = np.empty(total, dtype=np.int64)
    place[source] = np.arange(total)
    rows = torch.from_numpy(source).to(device, non_blocking=True)
    nothing = batches[0].tokens.new_zeros(filler)
    joined = Packed(
        tokens=torch.cat([*(batch.tokens for batch in batches), nothing])[rows],
        positions=torch.cat([*(batch.positions for batch in batches), nothing])[rows],
        cu_seqlens=torch.from_numpy(cu_seqlens.astype(np.int32)).to(device, non_blocking=True),
        lengths=tuple(lengths[order].tolist()),
        order=torch.from_numpy(order).to(device, non_blocking=True),
    )
    places = torch.from_numpy(place).to(device, non_blocking=True)
    return joined, places[: total - filler].split([batch.n_tokens for batch in batches])
