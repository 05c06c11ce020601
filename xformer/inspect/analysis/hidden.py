"""Texts with hidden tokens: what masked-token loss and the lens are measured on, of any tokenizer.

Which tokens are hidden depends on the seed and on the text's own ids, and on nothing else: neither on the
texts beside it nor on their order. The choice is that of training with single tokens
(`xformer.objectives.masking`): the share `rate` of a text's tokens, rounded up or down at random. A hidden
token is always shown as the mask.

Shapes: N texts, n tokens of one text, S hidden tokens.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xformer.data.counter_rng import random_bits
from xformer.errors import InputError
from xformer.inspect.tokenised import TokenisedText
from xformer.objectives.masking import choose
from xformer.runs.config import MaskingConfig
from xformer.tokenizer.special import BOS_ID, FIRST_BYTE_ID


@dataclass(frozen=True)
class HiddenText:
    """A text, some of whose tokens are hidden.

    Attributes:
        text: with the mask at the hidden places.
        places: (S,) int64 places of the hidden tokens, ascending.
        targets: (S,) int64 ids of what is hidden.
        language: tag, or an empty string.
        number: of the text in the list that `hide` was given.
    """

    text: TokenisedText
    places: NDArray[np.int64]
    targets: NDArray[np.int64]
    language: str
    number: int


def hidden_places(
    ids: NDArray[np.integer], special: Sequence[bool], *, rate: float, seed: int
) -> NDArray[np.int64]:
    """The places (S,) of the tokens to hide in one text, ascending; special tokens are never hidden.

    Args:
        ids: (n,).
        special: (n,) whether a token is a special one.
        rate: share of the tokens that are not special.
        seed: from 0.
    """
    ids = np.ascontiguousarray(ids, dtype=np.int64)
    place = np.arange(len(ids))
    keys = random_bits(seed, zlib.crc32(ids.tobytes()), place)
    # The choice asks of an id only whether it is a special one, and its tokenizer's special ids are ours.
    plain = np.where(np.asarray(special, dtype=bool), BOS_ID, FIRST_BYTE_ID).astype(np.int64)
    any_word = np.zeros(FIRST_BYTE_ID + 1, dtype=bool)
    return choose(plain, place, keys, MaskingConfig(rate=rate), any_word)


def hide(
    texts: Sequence[TokenisedText],
    languages: Sequence[str] | None,
    *,
    mask_id: int | None,
    rate: float = 0.15,
    seed: int = 0,
) -> tuple[HiddenText, ...]:
    """Hide tokens of texts; a text of which none is hidden is left out.

    Args:
        texts: N texts.
        languages: a tag for each, or None.
        mask_id: of the tokenizer.
        rate: share of the tokens of each text, between 0 and 1.
        seed: of the choice, from 0.

    Raises:
        InputError: the tokenizer has no mask, the rate is out of range, the tags are not one for each text,
            or nothing at all is hidden.
    """
    if mask_id is None:
        raise InputError("masked tokens: expected a tokenizer with a mask token, it has none")
    if not 0 < rate < 1:
        raise InputError(f"rate: expected a share between 0 and 1, got {rate}")
    if languages is not None and len(languages) != len(texts):
        raise InputError(f"languages: expected one for each of {len(texts)} texts, got {len(languages)}")
    tags = [""] * len(texts) if languages is None else languages
    found = []
    for number, (text, tag) in enumerate(zip(texts, tags, strict=True)):
        ids = np.asarray(text.ids, dtype=np.int64)
        if len(places := hidden_places(ids, text.special, rate=rate, seed=seed)):
            shown = ids.copy()
            shown[places] = mask_id
            found.append(HiddenText(text.with_ids(shown), places, ids[places], tag, number))
    if not found:
        raise InputError(
            f"masked tokens: of {len(texts)} texts none has a hidden token at rate {rate}; give more texts,"
            " longer ones, or a higher rate"
        )
    return tuple(found)
