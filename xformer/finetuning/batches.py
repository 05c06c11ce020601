"""Labelled texts, and the batch of each step: a pure function of seed and step.

Shapes: E texts, N classes.
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

from xformer.data.labelled import LabelledText
from xformer.finetuning.texts import TextBatch, TokenTexts


@dataclass(frozen=True)
class LabelledTexts:
    """Tokenised texts with their labels as numbers.

    Attributes:
        texts: E texts.
        targets: (E,) int64 numbers of classes; where a text may have several, (E, N) float32 of 0 and 1.
        language: (E,) int64 numbers of `languages`.
        languages: tags, sorted.
        vectors: (E, D) of the texts, where the encoder does not learn; None to encode them in each step.
    """

    texts: TokenTexts
    targets: Tensor
    language: NDArray[np.int64]
    languages: tuple[str, ...]
    vectors: Tensor | None = None

    @classmethod
    def of(
        cls, found: Sequence[LabelledText], tokens: TokenTexts, labels: Sequence[str], multi_label: bool
    ) -> LabelledTexts:
        """Number the labels and languages of texts that are tokenised already."""
        number = {label: place for place, label in enumerate(labels)}
        languages = tuple(sorted({one.language for one in found}))
        language = np.array([languages.index(one.language) for one in found], dtype=np.int64)
        if multi_label:
            targets = torch.zeros(len(found), len(labels))
            for row, one in enumerate(found):
                for label in one.labels:
                    targets[row, number[label]] = 1.0
        else:
            targets = torch.tensor([number[one.labels[0]] for one in found], dtype=torch.int64)
        return cls(tokens, targets, language, languages)

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def counts(self) -> Tensor:
        """(N,) float64, the number of texts of each class."""
        if self.targets.ndim == 2:
            return self.targets.double().sum(dim=0)
        return torch.bincount(self.targets).double()

    def truth(self, n_classes: int) -> NDArray[np.bool_]:
        """Which labels (E, N) each text has."""
        if self.targets.ndim == 2:
            several: NDArray[np.bool_] = self.targets.numpy() > 0
            return several
        found = np.zeros((len(self), n_classes), dtype=bool)
        found[np.arange(len(self)), self.targets.numpy()] = True
        return found

    @property
    def fingerprint(self) -> str:
        """A hash of all texts and labels."""
        digest = hashlib.sha256(self.texts.ids.tobytes() + self.texts.lengths.tobytes())
        digest.update(self.targets.numpy().tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class LabelledBatch:
    """A process's share of the texts of a step.

    Attributes:
        step: from 0; -1 for held-out texts.
        texts: E texts.
        vectors: (E, D) of the texts, where the encoder does not learn; None otherwise.
        targets: as in `LabelledTexts`.
        language: (E,) on the host.
        n_texts: texts of the step in all processes, or of all batches of held-out texts together.
        n_tokens: tokens of the step in all processes.
        rows: digest of the numbers of the step's texts.
    """

    step: int
    texts: TextBatch
    vectors: Tensor | None
    targets: Tensor
    language: NDArray[np.int64]
    n_texts: int
    n_tokens: int
    rows: str

    @property
    def held_out(self) -> bool:
        """Whether the texts are held out."""
        return self.step < 0

    def to(self, device: torch.device) -> LabelledBatch:
        """The same on another device."""
        vectors = None if self.vectors is None else self.vectors.to(device)
        return replace(self, texts=self.texts.to(device), vectors=vectors, targets=self.targets.to(device))

    def digest(self, before: str) -> str:
        """Digest of the texts of all steps up to this one."""
        return hashlib.sha256(f"{before} {self.step} {self.rows}".encode()).hexdigest()

    def tensors(self) -> dict[str, Tensor]:
        """The tensors that the losses read."""
        packed = self.texts.packed
        found = {"tokens": packed.tokens, "cu_seqlens": packed.cu_seqlens, "text": self.texts.text}
        return found | {"targets": self.targets} | ({} if self.vectors is None else {"vectors": self.vectors})


class EpochBatches:
    """The batches of training: each text once an epoch, in an order of its own.

    Attributes:
        steps: steps of an epoch.
    """

    def __init__(
        self, data: LabelledTexts, batch_texts: int, seed: int, rank: int = 0, world: int = 1
    ) -> None:
        """Prepare; no batch is made yet.

        Args:
            data: the training texts.
            batch_texts: texts of a step, in all processes; the last batch of an epoch may have fewer.
            seed: of the orders.
            rank: this process's number.
            world: number of processes.
        """
        self._data, self._size, self._seed, self._rank, self._world = data, batch_texts, seed, rank, world
        self.steps = -(-len(data) // batch_texts)
        self._order = lru_cache(maxsize=2)(self._shuffled)

    def make(self, step: int) -> LabelledBatch:
        """This process's share of a step."""
        epoch, place = divmod(step, self.steps)
        rows = self._order(epoch)[place * self._size : (place + 1) * self._size]
        return _batch(self._data, rows, step, len(rows), rows[self._rank :: self._world])

    def _shuffled(self, epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng((self._seed, epoch)).permutation(len(self._data))


def held_out_batches(data: LabelledTexts, most_tokens: int) -> Iterator[LabelledBatch]:
    """Batches of held-out texts, in their order."""
    start = 0
    upto = np.cumsum(np.maximum(data.texts.lengths, 1))
    while start < len(data):
        spent = int(upto[start - 1]) if start else 0
        stop = max(int(np.searchsorted(upto, spent + most_tokens, side="right")), start + 1)
        rows = np.arange(start, stop)
        yield _batch(data, rows, -1, len(data), rows)
        start = stop


def _batch(
    data: LabelledTexts, rows: NDArray[np.int64], step: int, n_texts: int, mine: NDArray[np.int64]
) -> LabelledBatch:
    here = torch.from_numpy(mine)
    return LabelledBatch(
        step=step,
        # Where vectors are known, no text has to be packed.
        texts=data.texts.batch(mine if data.vectors is None else mine[:0]),
        vectors=None if data.vectors is None else data.vectors[here],
        targets=data.targets[here],
        language=data.language[mine],
        n_texts=n_texts,
        n_tokens=int(data.texts.lengths[rows].sum()),
        rows=hashlib.sha256(rows.tobytes()).hexdigest(),
    )
