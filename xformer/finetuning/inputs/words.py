"""Sentences as token ids that know where their words begin.

Each word is cut into pieces as if it stood between spaces, whatever its neighbours are, so that a word is
the same pieces everywhere.

Shapes: E sentences, W words, T tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xformer.data.chunks import cut_points
from xformer.finetuning.inputs.interface import units_of
from xformer.finetuning.inputs.texts import TokenTexts
from xformer.model.packed import Packed
from xformer.tokenizer import Tokenizer
from xformer.tokenizer.interface import TextTokenizer

_SPACE = "\u2581"


@dataclass(frozen=True)
class WordBatch:
    """Sentences as packed sequences, with the first piece of each word.

    Attributes:
        packed: the sequences, longest first.
        first: (W,) int64, the token of each word's first piece, in the packed order; 0 for a word without
            pieces.
        filled: (W,) bool, whether the word has pieces.
    """

    packed: Packed
    first: Tensor
    filled: Tensor

    def to(self, device: torch.device) -> WordBatch:
        """The same on another device."""
        first, filled = (one.to(device, non_blocking=True) for one in (self.first, self.filled))
        return replace(self, packed=self.packed.to(device), first=first, filled=filled)

    def tensors(self) -> dict[str, Tensor]:
        """What a model reads, by name."""
        packed = self.packed
        return {"tokens": packed.tokens, "cu_seqlens": packed.cu_seqlens, "first": self.first}


@dataclass(frozen=True)
class TokenWords:
    """The token ids of sentences, and where their words begin.

    Attributes:
        texts: the K parts of E sentences, one for a sentence that is no longer than the model reads.
        parts: (E,) int64, parts of each sentence.
        units: (E,) int64, words of each sentence.
        first: (W,) int64, the token of each word's first piece, counted from the first token of its sentence;
            -1 for a word without pieces, such as an empty one.
    """

    texts: TokenTexts
    parts: NDArray[np.int64]
    units: NDArray[np.int64]
    first: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        sentences: Sequence[Sequence[str]],
        tokenizer: TextTokenizer,
        max_tokens: int,
        max_length: int,
        threads: int | None = None,
    ) -> TokenWords:
        """Tokenise the words of sentences. All of them are kept, since each gets a label.

        A tokenizer of an imported model cuts a whole sentence, words with a space between, as its own library
        does; each part of a long sentence has the special tokens around it.

        A piece that is the space in front of a word alone, as those of Chinese or of unknown characters
        begin, says nothing of the word: then it is the second piece that counts as its first.

        Args:
            sentences: E lists of words.
            tokenizer: of the model.
            max_tokens: longest sequence of a batch, as `max_length`; the shorter of the two counts.
            max_length: longest sequence of a batch, in tokens; a longer sentence is several.
            threads: of tokenisation; None for one a core.
        """
        if not isinstance(tokenizer, Tokenizer):
            return _of_sentences(sentences, tokenizer, min(max_tokens, max_length))
        words = [word for sentence in sentences for word in sentence]
        # Most words occur often.
        different = list(dict.fromkeys(words))
        pieces = dict(zip(different, tokenizer.encode_batch(different, threads), strict=True))
        space = _space(tokenizer)
        skip = {word: len(ids) > 1 and int(ids[0]) == space for word, ids in pieces.items()}
        n_pieces = np.fromiter((len(pieces[word]) for word in words), dtype=np.int64, count=len(words))
        units = np.fromiter(map(len, sentences), dtype=np.int64, count=len(sentences))
        ends = np.concatenate([[0], np.cumsum(n_pieces)])
        bounds = np.concatenate([[0], np.cumsum(units)])
        lengths = ends[bounds[1:]] - ends[bounds[:-1]]
        begins = ends[:-1] - np.repeat(ends[bounds[:-1]], units)
        skipped = np.fromiter((skip[word] for word in words), dtype=np.int64, count=len(words))
        first = np.where(n_pieces > 0, begins + skipped, -1)
        ids = np.concatenate([np.zeros(0, dtype=np.int32), *(pieces[word] for word in words)])
        texts = TokenTexts(ids, lengths, min(max_tokens, max_length))
        return cls(texts, np.ones(len(lengths), dtype=np.int64), units, first)

    def __len__(self) -> int:
        return len(self.parts)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(E,) tokens of each sentence."""
        ends = np.concatenate([[0], np.cumsum(self.texts.lengths)])
        bounds = np.concatenate([[0], np.cumsum(self.parts)])
        return ends[bounds[1:]] - ends[bounds[:-1]]

    def batch(self, rows: NDArray[np.integer]) -> WordBatch:
        """Some of the sentences, by number, in that order."""
        starts, counts = (np.cumsum(self.parts) - self.parts)[rows], self.parts[rows]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        texts = self.texts.batch(np.repeat(starts, counts) + within)
        first = self.first[units_of(self, rows)]
        lengths = self.lengths[rows]
        # Counted from the first token of the chosen sentences, which lie end to end.
        begins = np.repeat(np.cumsum(lengths) - lengths, self.units[rows])
        found = texts.place_of(begins + np.maximum(first, 0))
        filled = first >= 0
        return WordBatch(texts.packed, torch.from_numpy(np.where(filled, found, 0)), torch.from_numpy(filled))

    def contents(self) -> bytes:
        """All that a model reads, for a fingerprint."""
        parts = b"" if bool((self.parts == 1).all()) else self.parts.tobytes()
        return self.texts.contents() + parts + self.units.tobytes() + self.first.tobytes()


def _space(tokenizer: Tokenizer) -> int | None:
    """The id of the piece that is a space and nothing else."""
    ones = np.flatnonzero(tokenizer.byte_lengths() == 1)
    return next((int(id) for id in ones if tokenizer.piece(int(id)) == _SPACE), None)


def _of_sentences(
    sentences: Sequence[Sequence[str]], tokenizer: TextTokenizer, max_length: int
) -> TokenWords:
    before, behind = (np.array(ids, dtype=np.int32) for ids in (tokenizer.prefix, tokenizer.suffix))
    room = max_length - len(before) - len(behind)
    rows: list[NDArray[np.int32]] = []
    parts: list[int] = []
    first: list[NDArray[np.int64]] = []
    for words in sentences:
        located = tokenizer.locate(" ".join(words))
        inside = slice(len(before), len(located.ids) - len(behind))
        ids, ends = located.ids[inside], located.offsets[inside, 1]
        begin = _first_pieces(words, ends)
        cuts = cut_points(len(ids), room) if len(ids) else [0, 0]
        rows += [np.concatenate((before, ids[a:b], behind)) for a, b in pairwise(cuts)]
        parts.append(len(cuts) - 1)
        # Special tokens of its own part and of those before it stand in front of a piece.
        part = np.searchsorted(np.array(cuts[1:-1], dtype=np.int64), begin, side="right")
        moved = begin + len(before) + part * (len(before) + len(behind))
        first.append(np.where(begin < 0, -1, moved))
    lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
    return TokenWords(
        TokenTexts(np.concatenate([np.zeros(0, dtype=np.int32), *rows]), lengths, max_length),
        np.array(parts, dtype=np.int64),
        np.fromiter(map(len, sentences), dtype=np.int64, count=len(sentences)),
        np.concatenate([np.zeros(0, dtype=np.int64), *first]),
    )


def _first_pieces(words: Sequence[str], ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """The first piece of each word, by where pieces end in the sentence; -1 for a word without one.

    A piece belongs to the word that it ends in: it may begin with the space in front. One that is this space
    alone ends in no word.
    """
    lengths = np.fromiter(map(len, words), dtype=np.int64, count=len(words))
    begins = np.cumsum(lengths + 1) - lengths - 1
    last = ends - 1  # the last character of each piece
    found = np.searchsorted(last, begins, side="left")
    there = found < len(last)
    there[there] = last[found[there]] < (begins + lengths)[there]
    return np.where(there, found, -1)
