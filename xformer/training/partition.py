"""A process's share of a step: which of its sequences are whose, without anybody asking anybody.

Every process makes the step's batch, which is a pure function of settings, shards and step number, and keeps
its own share. The shares of all processes are the batch: no sequence is missing, none is in two, the same
tokens are hidden. So the number of processes changes nothing about what is learned, and may change from one
start to the next.

Sequences are dealt out longest first, like cards. A process's tokens then differ from another's by the
longest sequence at most.

Shapes: T tokens, B sequences, S selected tokens, P pairs of the step, p of this process, W processes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xformer.errors import InputError
from xformer.objectives import AlignmentBatch, MaskedBatch
from xformer.packed import Packed
from xformer.training.batches import StepBatch


@dataclass(frozen=True)
class MaskedShare:
    """Some of the sequences of a masked batch.

    Attributes:
        batch: this process's.
        sizes: how many hidden tokens each process has.
        language_of_all: of the hidden tokens of all, in order of process, on the host.
    """

    batch: MaskedBatch
    sizes: tuple[int, ...]
    language_of_all: NDArray[np.int64]

    def to(self, device: torch.device) -> MaskedShare:
        """The same on another device."""
        return replace(self, batch=self.batch.to(device))


@dataclass(frozen=True)
class PairsShare:
    """Some of the pairs of an alignment batch, and what there is to know of the others.

    Attributes:
        batch: this process's p pairs.
        sizes: how many pairs each process has.
        first: of this process's pairs among all, put in order of process.
        group_of_all: (P,) what each of all pairs says, in that order.
        language_of_all: (2P,) each process's left texts, then their translations, in order of process, on the
            host.
    """

    batch: AlignmentBatch
    sizes: tuple[int, ...]
    first: int
    group_of_all: Tensor
    language_of_all: NDArray[np.int64]

    def to(self, device: torch.device) -> PairsShare:
        """The same on another device."""
        return replace(self, batch=self.batch.to(device), group_of_all=self.group_of_all.to(device))


@dataclass(frozen=True)
class StepShare:
    """What one process computes of a step; None for an objective that takes no part.

    Attributes:
        masked_lm: single texts with gaps.
        translation_lm: joined pairs with gaps.
        alignment: pairs apart.
        bag_alignment: pairs apart, for the model without its blocks.
    """

    masked_lm: MaskedShare | None
    translation_lm: MaskedShare | None
    alignment: PairsShare | None
    bag_alignment: PairsShare | None

    def to(self, device: torch.device) -> StepShare:
        """The same on another device."""
        if device.type == "cpu":
            return self
        return StepShare(
            self.masked_lm and self.masked_lm.to(device),
            self.translation_lm and self.translation_lm.to(device),
            self.alignment and self.alignment.to(device),
            self.bag_alignment and self.bag_alignment.to(device),
        )


def share_of(batch: StepBatch, rank: int, world: int) -> StepShare:
    """What process number `rank` of `world` computes of a step, which is on the host.

    Raises:
        InputError: an objective has not enough for each process.
    """

    def masked(name: str, part: MaskedBatch | None) -> MaskedShare | None:
        return None if part is None else _masked_share(name, part, rank, world)

    def pairs(name: str, part: AlignmentBatch | None) -> PairsShare | None:
        return None if part is None else _pairs_share(name, part, rank, world)

    return StepShare(
        masked("masked_lm", batch.masked_lm),
        masked("translation_lm", batch.translation_lm),
        pairs("alignment", batch.alignment),
        pairs("bag_alignment", batch.bag_alignment),
    )


def _masked_share(name: str, part: MaskedBatch, rank: int, world: int) -> MaskedShare:
    sequence = part.inputs.sequence_ids().numpy()
    owner = sequence[part.selected.numpy()] % world
    # Everybody counts for everybody, so all stop together, before anyone waits for one who stopped.
    sizes = tuple(np.bincount(owner, minlength=world).tolist())
    if min(sizes) == 0:
        raise InputError(
            f"objectives.{name}_tokens: {part.inputs.n_sequences} sequences with {len(owner)} hidden tokens"
            f" leave one of {world} processes without any; expected more tokens, or fewer processes"
        )
    rows = np.arange(rank, part.inputs.n_sequences, world)
    inputs, tokens = _take(part.inputs, rows)
    mine = np.flatnonzero(owner == rank)
    # `tokens` ascends, so a token's new place is how many of them lie before it.
    selected = np.searchsorted(tokens, part.selected.numpy()[mine])
    return MaskedShare(
        MaskedBatch(
            inputs,
            torch.from_numpy(selected),
            part.targets[mine],
            part.language[mine],
            part.candidates and replace(part.candidates, places=part.candidates.places[mine]),
        ),
        sizes,
        part.language[np.argsort(owner, kind="stable")],
    )


def _pairs_share(name: str, part: AlignmentBatch, rank: int, world: int) -> PairsShare:
    n_pairs = len(part.group)
    if n_pairs < world:
        tokens = "bag_tokens" if name == "bag_alignment" else f"{name}_tokens"
        raise InputError(
            f"objectives.{tokens}: {n_pairs} pairs in a step are too few for {world} processes; expected more"
            " tokens, or fewer processes"
        )
    row_of = np.argsort(part.inputs.order.numpy())  # where each text lies in the packed batch
    length = np.array(part.inputs.lengths, dtype=np.int64)[row_of]
    longest_first = np.argsort(-(length[:n_pairs] + length[n_pairs:]), kind="stable")
    dealt = [np.sort(longest_first[process::world]) for process in range(world)]
    mine = dealt[rank]
    texts = np.concatenate([mine, n_pairs + mine])
    inputs, _ = _take(part.inputs, np.sort(row_of[texts]))
    sizes = tuple(len(pairs) for pairs in dealt)
    return PairsShare(
        AlignmentBatch(inputs, part.group[mine], part.language[texts]),
        sizes,
        sum(sizes[:rank]),
        part.group[np.concatenate(dealt)],
        part.language[np.concatenate([np.concatenate([pairs, n_pairs + pairs]) for pairs in dealt])],
    )


def _take(batch: Packed, rows: NDArray[np.int64]) -> tuple[Packed, NDArray[np.int64]]:
    """The sequences `rows` of a packed batch, ascending, and which of its tokens they are.

    Before packing they stood in the order that they have in the whole batch's list.
    """
    starts = batch.cu_seqlens.numpy().astype(np.int64)
    lengths = np.diff(starts)[rows]
    cu_seqlens = np.zeros(len(rows) + 1, dtype=np.int32)
    np.cumsum(lengths, out=cu_seqlens[1:])
    within = np.arange(cu_seqlens[-1], dtype=np.int64) - np.repeat(cu_seqlens[:-1].astype(np.int64), lengths)
    tokens = np.repeat(starts[rows], lengths) + within
    order = np.argsort(np.argsort(batch.order.numpy()[rows]))
    taken = Packed(
        tokens=batch.tokens[tokens],
        positions=batch.positions[tokens],
        cu_seqlens=torch.from_numpy(cu_seqlens),
        lengths=tuple(int(n) for n in lengths),
        order=torch.from_numpy(order),
    )
    return taken, tokens
