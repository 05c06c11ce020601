"""Pairs as token ids, and what a translator reads and writes of them.

A source is the tag of the target's language, the text, and the end; a target the text and the end. Tags are
the rows of the embedding behind the tokenizer's, in the order of the target languages.

Shapes: E texts, P pairs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xformer.data.translated import DirectedPairs, Direction, TranslatedTexts
from xformer.errors import InputError
from xformer.model.packed import Packed, pack_flat
from xformer.tokenizer.errors import TokenizerError
from xformer.tokenizer.interface import TextTokenizer
from xformer.translation.config import TranslationOptions

_AT_ONCE = 8_192


@dataclass(frozen=True)
class Vocabulary:
    """The ids that a translator adds to those of a tokenizer.

    Attributes:
        pieces: of the tokenizer.
        end: the id that ends sources and targets.
        targets: languages that have a tag, sorted.
    """

    pieces: int
    end: int
    targets: tuple[str, ...]

    @classmethod
    def of(cls, tokenizer: TextTokenizer, targets: Sequence[str]) -> Vocabulary:
        """That of a tokenizer, and languages.

        Raises:
            InputError: the tokenizer has nothing that ends a text.
        """
        ends = [*tokenizer.suffix]
        if not ends:
            try:
                ends = [tokenizer.id("</s>")]
            except TokenizerError:
                raise InputError("tokenizer: expected a piece </s> that ends a text, there is none") from None
        return cls(tokenizer.vocab_size, ends[-1], tuple(targets))

    @property
    def rows(self) -> int:
        """Rows of the embedding."""
        return self.pieces + len(self.targets)

    def tag(self, language: str) -> int:
        """The id of a language's tag."""
        return self.pieces + self.targets.index(language)

    def source(self, ids: Sequence[int] | NDArray[np.integer], target: str) -> list[int]:
        """What the encoder reads of a text."""
        return [self.tag(target), *map(int, ids), self.end]


@dataclass(frozen=True)
class EncodedPairs:
    """Pairs of texts as token ids; each text lies there once.

    Attributes:
        tokens: the ids of all texts, one after another.
        starts: (E+1,) where each text begins.
        pairs: P pairs, none with an empty or too long text; texts to be summarized are cut.
        vocabulary: ids of tags and of the end.
        too_long: pairs that were left out since a text has more than `max_tokens` tokens.
    """

    tokens: NDArray[np.int32]
    starts: NDArray[np.int64]
    pairs: DirectedPairs
    vocabulary: Vocabulary
    too_long: int

    @classmethod
    def of(
        cls,
        texts: TranslatedTexts,
        pairs: DirectedPairs,
        tokenizer: TextTokenizer,
        options: TranslationOptions,
    ) -> EncodedPairs:
        """Tokenise texts, and cut those that are to be summarized.

        Raises:
            InputError: a text has no UTF-8 form, or every pair of a direction is too long.
        """
        parts: list[NDArray[np.int32]] = []
        try:
            for start in range(0, len(texts), _AT_ONCE):
                parts += tokenizer.encode_batch(texts.texts[start : start + _AT_ONCE])
        except TokenizerError as error:
            raise InputError(str(error)) from error
        if options.summarizes:
            for number in np.unique(pairs.source).tolist():
                parts[number] = parts[number][: options.max_tokens]
        lengths = np.fromiter(map(len, parts), dtype=np.int64, count=len(parts))
        source, target = lengths[pairs.source], lengths[pairs.target]
        fits = (source <= options.max_tokens) & (target <= options.longest_target)
        kept = pairs.select(fits & (np.minimum(source, target) > 0))
        for one, count in zip(kept.directions, kept.counts.tolist(), strict=True):
            if not count:
                name = "max_tokens" if options.max_target_tokens is None else "max_target_tokens"
                raise InputError(
                    f"direction {one}: every pair has a text of more than {getattr(options, name)} tokens;"
                    f" --set translation.{name}=N raises that"
                )
        return cls(
            np.concatenate([np.zeros(0, dtype=np.int32), *parts]),
            np.concatenate([[0], np.cumsum(lengths)]),
            kept,
            Vocabulary.of(tokenizer, options.targets),
            len(pairs) - len(kept),
        )

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def source_lengths(self) -> NDArray[np.int64]:
        """(P,) tokens of each source, tag and end among them."""
        return np.diff(self.starts)[self.pairs.source] + 2

    @property
    def target_lengths(self) -> NDArray[np.int64]:
        """(P,) tokens of each target, its end among them."""
        return np.diff(self.starts)[self.pairs.target] + 1

    @property
    def fingerprint(self) -> str:
        """A hash of all texts and pairs."""
        digest = hashlib.sha256(" ".join(map(str, self.pairs.directions)).encode())
        pairs = self.pairs
        for array in (self.tokens, self.starts, pairs.source, pairs.target, pairs.direction):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def direction(self, row: int) -> Direction:
        """The direction of a pair."""
        return self.pairs.directions[int(self.pairs.direction[row])]

    def sources(self, rows: NDArray[np.int64]) -> list[list[int]]:
        """What the encoder reads of each of some pairs."""
        return [
            self.vocabulary.source(self._text(int(self.pairs.source[row])), self.direction(int(row)).target)
            for row in rows
        ]

    def pack(self, rows: NDArray[np.int64]) -> tuple[Packed, Packed]:
        """Sources and targets of pairs, packed in the order given."""
        tags = np.array([self.vocabulary.tag(one.target) for one in self.pairs.directions])
        return (
            self._packed(self.pairs.source[rows], tags[self.pairs.direction[rows]]),
            self._packed(self.pairs.target[rows], None),
        )

    def _packed(self, texts: NDArray[np.int64], tags: NDArray[np.int64] | None) -> Packed:
        before = 0 if tags is None else 1
        starts, lengths = self.starts[texts], np.diff(self.starts)[texts]
        whole = lengths + 1 + before
        first = np.cumsum(whole) - whole
        out = np.full(int(whole.sum()), self.vocabulary.end, dtype=np.int64)
        inside = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        out[np.repeat(first + before, lengths) + inside] = self.tokens[np.repeat(starts, lengths) + inside]
        if tags is not None:
            out[first] = tags
        return pack_flat(out, whole, sort=False)

    def _text(self, number: int) -> NDArray[np.int32]:
        return self.tokens[self.starts[number] : self.starts[number + 1]]
