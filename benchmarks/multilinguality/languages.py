"""A language and its fake copy: every piece has a twin, so every text has an exact translation.

Shapes: V pieces of the real language, T tokens, N texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xformer.errors import InputError
from xformer.tokenizer import Tokenizer, TokenizerOptions, fit_tokenizer
from xformer.tokenizer.special import FIRST_BYTE_ID

Ids = NDArray[np.int64]

SHORTEST, LONGEST = 6, 24
"""Pieces of a text, special tokens not counted; others are left out."""

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
    """Train a vocabulary on texts, and divide them: for one language, for the other, for both, held out.

    Equal texts count once, those of other lengths than `SHORTEST` to `LONGEST` are left out, and the order
    is random.

    Args:
        texts: of one language.
        vocabulary: pieces at most; 261 of them are special tokens and bytes.
        held_out: texts to hold out.
        seed: of the order.

    Raises:
        InputError: fewer than ten times as many texts as are held out are left.
    """
    distinct = list(dict.fromkeys(text.strip() for text in texts))
    options = TokenizerOptions(vocabulary_size=vocabulary, threads=1)
    tokenizer = fit_tokenizer([("und", text) for text in distinct], options)
    ids = [one.astype(np.int64) for one in tokenizer.encode_batch(distinct)]
    fitting = [one for one in ids if SHORTEST <= len(one) <= LONGEST]
    fitting = list({one.tobytes(): one for one in fitting}.values())
    if len(fitting) < 10 * held_out:
        raise InputError(
            f"text: expected at least {10 * held_out:,} different texts of {SHORTEST} to {LONGEST} pieces,"
            f" ten times as many as are held out, got {len(fitting):,}"
        )
    order = np.random.default_rng(seed).permutation(len(fitting))
    shuffled = [fitting[place] for place in order]
    train = shuffled[held_out:]
    n_both = round(PARALLEL_SHARE * len(train))
    alone = train[n_both:]
    half = len(alone) // 2
    return Texts(alone[:half], alone[half:], train[:n_both], shuffled[:held_out], tokenizer)
