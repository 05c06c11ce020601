"""What is asked of a tokenizer by all that uses a model: of our own kind, and of those of imported models.

Shapes: V vocabulary size, n ids of one text.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int32]

MASK = "<mask>"
"""How a mask is written in a text, whatever the tokenizer calls it."""


@dataclass(frozen=True)
class LocatedIds:
    """The ids of a text, with where each lies in it.

    Attributes:
        ids: (n,).
        offsets: (n, 2) begin and end (exclusive) in characters; empty where no character gave the id.
        begins_word: (n,) whether each id begins a word.
    """

    ids: Ids
    offsets: NDArray[np.int64]
    begins_word: NDArray[np.bool_]


class TextTokenizer(ABC):
    """A tokenizer, as those who use a model see it.

    `encode_batch` gives the ids of the text alone. What a model reads has special tokens around it, where
    training had them (`prefix`, `suffix`): `sequences` puts them there.
    """

    @property
    @abstractmethod
    def vocab_size(self) -> int:
        """V: ids are smaller."""

    @property
    @abstractmethod
    def prefix(self) -> tuple[int, ...]:
        """Ids in front of each text, such as that of `[CLS]`."""

    @property
    @abstractmethod
    def suffix(self) -> tuple[int, ...]:
        """Ids behind each text, such as that of `[SEP]`."""

    @property
    @abstractmethod
    def special_ids(self) -> frozenset[int]:
        """Ids that stand for no text."""

    @property
    @abstractmethod
    def mask(self) -> str | None:
        """How the tokenizer itself writes a mask; None if it has none."""

    @property
    @abstractmethod
    def mask_id(self) -> int | None:
        """The id that hides another; None if there is none."""

    @property
    @abstractmethod
    def pad_id(self) -> int:
        """The id that fills the rows of a batch up; it is never read."""

    @property
    def max_length(self) -> int | None:
        """Longest sequence that its files name, special tokens included; None where they name none."""
        return None

    @abstractmethod
    def files(self) -> Mapping[str, bytes]:
        """The files that it is read from, by name."""

    def fingerprint(self) -> str:
        """Hexadecimal SHA-256 of its files."""
        digest = hashlib.sha256()
        for name, content in sorted(self.files().items()):
            digest.update(f"{name} {len(content)}\n".encode())
            digest.update(content)
        return digest.hexdigest()

    @abstractmethod
    def encode_batch(self, texts: Sequence[str], num_threads: int | None = None) -> list[Ids]:
        """Ids of many texts, without special tokens around them.

        Args:
            texts: Unicode without lone surrogates.
            num_threads: number of threads, by default one per core; does not change the result.

        Raises:
            TokenizerError: a text holds a lone surrogate, or `num_threads` is not positive.
        """

    @abstractmethod
    def encode_masked(self, text: str) -> Ids:
        """Ids of a text as a model reads it, in which each `<mask>` is a mask."""

    @abstractmethod
    def locate(self, text: str) -> LocatedIds:
        """The ids of `encode_masked`, with the characters that each came from."""

    def encode(self, text: str) -> Ids:
        """Ids of one text, without special tokens around it; errors are those of `encode_batch`."""
        return self.encode_batch([text], 1)[0]

    @abstractmethod
    def decode(self, ids: Iterable[int] | Ids) -> str:
        """The text of ids, without special ones."""

    @abstractmethod
    def id(self, piece: str) -> int:
        """The id of a piece.

        Raises:
            TokenizerError: there is no such piece.
        """

    @abstractmethod
    def piece(self, id: int) -> str:
        """The piece of an id, as the tokenizer writes it.

        Raises:
            TokenizerError: the id is outside the vocabulary.
        """

    @abstractmethod
    def fill(self, before: str, id: int, after: str) -> str:
        """A text with a piece in the place of a mask.

        Args:
            before: what stands in front of the mask.
            id: of the piece.
            after: what stands behind the mask.
        """

    @abstractmethod
    def fillable(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """The pieces (V,) that text can have, and those of them that can be shown alone."""

    def sequences(
        self, texts: Sequence[str], most: int | None = None, num_threads: int | None = None
    ) -> tuple[list[Ids], int]:
        """Ids of texts as a model reads them: the special tokens around, and longer ones cut.

        Args:
            texts: as in `encode_batch`.
            most: longest sequence, special tokens included; None to cut nothing.
            num_threads: as in `encode_batch`.

        Returns:
            The ids of each text, and how many texts were cut.

        Raises:
            TokenizerError: as `encode_batch`.
        """
        rows, cut = self.encode_batch(texts, num_threads), 0
        before, behind = (np.array(ids, dtype=np.int32) for ids in (self.prefix, self.suffix))
        if most is not None:
            room = max(0, most - len(before) - len(behind))
            cut = sum(len(row) > room for row in rows)
            rows = [row[:room] for row in rows] if cut else rows
        if len(before) or len(behind):
            rows = [np.concatenate((before, row, behind)) for row in rows]
        return rows, cut
