"""A language and its fake copy: every piece has a twin, so every text has an exact translation.

Shapes: V pieces of the real language, T tokens, N texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xformer.data.dedup_keys import DedupKeys
from xformer.data.near_duplicates import NearDuplicates
from xformer.errors import InputError
from xformer.tokenizer import Tokenizer, TokenizerOptions, fit_tokenizer
from xformer.tokenizer.special import FIRST_BYTE_ID

Ids = NDArray[np.int64]

SHORTEST, LONGEST = 6, 24
"""Pieces of a text, special tokens not counted; others are left out."""

NEAR = 0.7
"""Overlap of character trigrams from which a text is a near duplicate, as for `xformer data import`."""

PARALLEL_SHARE = 0.2
"""Share of the training texts that are known in both languages where there is parallel data."""


@dataclass(frozen=True)
class Twins:
    """The twin of each piece: its translation into the fake language.

    Attributes:
        twin: (V,) token ids; a piece that both languages share is its own twin.
    """

    twin: Ids

    @classmethod
    def of(cls, tokenizer: Tokenizer, *, specials: bool, vocabulary: bool) -> Twins:
        """The twin of piece i is V + i, as in K et al. (2020).

        Args:
            tokenizer: of the real language.
            specials: the special tokens are shared.
            vocabulary: pieces without a letter are shared.
        """
        twin = np.arange(tokenizer.vocab_size) + tokenizer.vocab_size
        own = np.arange(tokenizer.vocab_size)
        if specials:
            twin[:FIRST_BYTE_ID] = own[:FIRST_BYTE_ID]
        if vocabulary:
            shared = ~has_letter(tokenizer)
            shared[:FIRST_BYTE_ID] = False
            twin[shared] = own[shared]
        return cls(twin)

    @property
    def vocab_size(self) -> int:
        """Tokens of both languages together; those that are never used have rows, too."""
        return 2 * len(self.twin)


@dataclass(frozen=True)
class Texts:
    """The real language's texts, as token ids without special tokens; the fake language's are their twins.

    Attributes:
        real: N texts that are only known in the real language.
        fake: texts that are only known in the fake one, none of them among `real`.
        both: texts known in both.
        held_out: texts for measuring.
        tokenizer: of the real language.
    """

    real: list[Ids]
    fake: list[Ids]
    both: list[Ids]
    held_out: list[Ids]
    tokenizer: Tokenizer

    def without_parallel(self) -> Texts:
        """The same amount of text, of which none is known in both: half of `both` for each language."""
        half = len(self.both) // 2
        return Texts(
            self.real + self.both[:half], self.fake + self.both[half:], [], self.held_out, self.tokenizer
        )


def has_letter(tokenizer: Tokenizer) -> NDArray[np.bool_]:
    """(V,) whether the text of a piece has a letter; byte pieces are parts of letters mostly, and have."""
    pieces = [tokenizer.piece(number) for number in range(tokenizer.vocab_size)]
    letters = np.array([any(letter.isalpha() for letter in piece) for piece in pieces])
    return letters | tokenizer.is_byte()


def divide(texts: Sequence[str], *, vocabulary: int, held_out: int, seed: int = 0) -> Texts:
    """Divide texts: for one language, for the other, for both, held out; and train a vocabulary.

    Texts that differ in nothing but case, digits, punctuation or placeholders count once. A tenth, at random,
    is set apart, of which texts are held out. From the others all near duplicates of that tenth are removed;
    they alone train the vocabulary. Of either those of `SHORTEST` to `LONGEST` pieces remain.

    Args:
        texts: of one language.
        vocabulary: pieces at most; 261 of them are special tokens and bytes.
        held_out: texts to hold out.
        seed: of the order.

    Raises:
        InputError: too few texts can be held out.
    """
    key_of = DedupKeys()
    keyed = {key_of(text): text for text in map(str.strip, reversed(texts))}
    every = list(keyed)
    keys = [every[place] for place in np.random.default_rng(seed).permutation(len(keyed))]
    apart = keys[: len(keys) // 10]
    train = without_near_duplicates(keys[len(apart) :], apart)
    options = TokenizerOptions(vocabulary_size=vocabulary, threads=1)
    tokenizer = fit_tokenizer([("und", keyed[key]) for key in train], options)
    measured = _fitting(tokenizer, [keyed[key] for key in apart])[:held_out]
    if len(measured) < held_out:
        raise InputError(
            f"text: expected {held_out:,} texts of {SHORTEST} to {LONGEST} pieces to hold out in a tenth of"
            f" it, got {len(measured):,} in {len(apart):,}; more text is needed"
        )
    learned = _fitting(tokenizer, [keyed[key] for key in train])
    n_both = round(PARALLEL_SHARE * len(learned))
    both, alone = learned[:n_both], learned[n_both:]
    half = len(alone) // 2
    return Texts(alone[:half], alone[half:], both, measured, tokenizer)


def without_near_duplicates(keys: Sequence[str], held_out: Sequence[str]) -> list[str]:
    """Those of the keys that are near duplicates of none of the held-out ones (`NearDuplicates`)."""
    index = NearDuplicates(held_out, np.zeros(len(held_out), dtype=np.int64), NEAR)
    near, _ = index.find(keys, np.zeros(len(keys), dtype=np.int64))
    found = set(near.tolist())
    return [key for place, key in enumerate(keys) if place not in found]


def _fitting(tokenizer: Tokenizer, texts: Sequence[str]) -> list[Ids]:
    ids = [one.astype(np.int64) for one in tokenizer.encode_batch(texts)]
    return [one for one in ids if SHORTEST <= len(one) <= LONGEST]
