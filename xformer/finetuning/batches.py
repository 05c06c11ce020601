"""Labelled examples, and the batch of each step: a pure function of seed and step.

Shapes: E examples, U units, which are what gets a label (`inputs/interface.py`), N classes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xformer.data.labelled import Example
from xformer.finetuning.inputs.interface import InputBatch, Inputs, units_of
from xformer.finetuning.parallel import ParallelBatch


@dataclass(frozen=True)
class Examples:
    """Tokenised examples with their labels as numbers.

    Attributes:
        inputs: E examples.
        targets: (U,) int64 numbers of classes; where a text may have several, (U, N) float32 of 0 and 1.
        language: (E,) int64 numbers of `languages`.
        languages: tags, sorted.
        vectors: (U, …) what the head reads, where the encoder does not learn; None to encode in each step.
    """

    inputs: Inputs
    targets: Tensor
    language: NDArray[np.int64]
    languages: tuple[str, ...]
    vectors: Tensor | None = None

    @classmethod
    def of(
        cls, found: Sequence[Example], inputs: Inputs, labels: Sequence[str], multi_label: bool
    ) -> Examples:
        """Number the labels and languages of examples that are tokenised already."""
        number = {label: place for place, label in enumerate(labels)}
        languages = tuple(sorted({one.language for one in found}))
        language = np.array([languages.index(one.language) for one in found], dtype=np.int64)
        answers = [answer for one in found for answer in one.answers]
        if multi_label:
            targets = torch.zeros(len(answers), len(labels))
            for row, answer in enumerate(answers):
                for label in answer:
                    targets[row, number[label]] = 1.0
        else:
            targets = torch.tensor([number[answer[0]] for answer in answers], dtype=torch.int64)
        return cls(inputs, targets, language, languages)

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def n_units(self) -> int:
        """U."""
        return len(self.targets)

    @property
    def counts(self) -> Tensor:
        """(N,) float64, the number of units of each class."""
        if self.targets.ndim == 2:
            return self.targets.double().sum(dim=0)
        return torch.bincount(self.targets).double()

    def truth(self, n_classes: int) -> NDArray[np.bool_]:
        """Which labels (U, N) each unit has."""
        if self.targets.ndim == 2:
            several: NDArray[np.bool_] = self.targets.numpy() > 0
            return several
        found = np.zeros((self.n_units, n_classes), dtype=bool)
        found[np.arange(self.n_units), self.targets.numpy()] = True
        return found

    @property
    def fingerprint(self) -> str:
        """A hash of all examples and labels."""
        digest = hashlib.sha256(self.inputs.contents())
        digest.update(self.targets.numpy().tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class ExampleBatch:
    """A process's share of the examples of a step.

    Attributes:
        step: from 0; -1 for held-out examples.
        inputs: E examples.
        vectors: (U, …) what the head reads, where the encoder does not learn; None otherwise.
        targets: as in `Examples`.
        language: (U,) on the host.
        n_units: units of the step in all processes, or of all batches of held-out examples together.
        n_tokens: tokens of the step in all processes.
        rows: digest of the numbers of the step's examples.
        parallel: texts with their translations, which have no labels; None for none.
    """

    step: int
    inputs: InputBatch
    vectors: Tensor | None
    targets: Tensor
    language: NDArray[np.int64]
    n_units: int
    n_tokens: int
    rows: str
    parallel: ParallelBatch | None = None

    @property
    def held_out(self) -> bool:
        """Whether the examples are held out."""
        return self.step < 0

    def to(self, device: torch.device) -> ExampleBatch:
        """The same on another device."""
        vectors = None if self.vectors is None else self.vectors.to(device)
        return replace(
            self,
            inputs=self.inputs.to(device),
            vectors=vectors,
            targets=self.targets.to(device),
            parallel=None if self.parallel is None else self.parallel.to(device),
        )

    def digest(self, before: str) -> str:
        """Digest of the examples of all steps up to this one."""
        return hashlib.sha256(f"{before} {self.step} {self.rows}".encode()).hexdigest()

    def tensors(self) -> dict[str, Tensor]:
        """The tensors that the losses read."""
        found = self.inputs.tensors() | {"targets": self.targets}
        if self.parallel is not None:
            found |= {f"parallel {name}": one for name, one in self.parallel.texts.tensors().items()}
        return found | ({} if self.vectors is None else {"vectors": self.vectors})


class EpochBatches:
    """The batches of training: each example once an epoch, in an order of its own.

    Attributes:
        steps: steps of an epoch.
    """

    def __init__(self, data: Examples, batch_texts: int, seed: int, rank: int = 0, world: int = 1) -> None:
        """Prepare; no batch is made yet.

        Args:
            data: the training examples.
            batch_texts: examples of a step, in all processes; the last batch of an epoch may have fewer.
            seed: of the orders.
            rank: this process's number.
            world: number of processes.
        """
        self._data, self._size, self._seed, self._rank, self._world = data, batch_texts, seed, rank, world
        self.steps = -(-len(data) // batch_texts)
        self._order = lru_cache(maxsize=2)(self._shuffled)

    def make(self, step: int) -> ExampleBatch:
        """This process's share of a step."""
        epoch, place = divmod(step, self.steps)
        rows = self._order(epoch)[place * self._size : (place + 1) * self._size]
        n_units = int(self._data.inputs.units[rows].sum())
        return _batch(self._data, rows, step, n_units, rows[self._rank :: self._world])

    def _shuffled(self, epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng((self._seed, epoch)).permutation(len(self._data))


def held_out_batches(data: Examples, most_tokens: int) -> Iterator[ExampleBatch]:
    """Batches of held-out examples, in their order."""
    start = 0
    upto = np.cumsum(np.maximum(data.inputs.lengths, 1))
    while start < len(data):
        spent = int(upto[start - 1]) if start else 0
        stop = max(int(np.searchsorted(upto, spent + most_tokens, side="right")), start + 1)
        rows = np.arange(start, stop)
        yield _batch(data, rows, -1, data.n_units, rows)
        start = stop


def _batch(
    data: Examples, rows: NDArray[np.int64], step: int, n_units: int, mine: NDArray[np.int64]
) -> ExampleBatch:
    units = torch.from_numpy(units_of(data.inputs, mine))
    return ExampleBatch(
        step=step,
        # Where vectors are known, no text has to be packed.
        inputs=data.inputs.batch(mine if data.vectors is None else mine[:0]),
        vectors=None if data.vectors is None else data.vectors[units],
        targets=data.targets[units],
        language=np.repeat(data.language[mine], data.inputs.units[mine]),
        n_units=n_units,
        n_tokens=int(data.inputs.lengths[rows].sum()),
        rows=hashlib.sha256(rows.tobytes()).hexdigest(),
    )
