"""A vocabulary without the pieces that some texts do not need, which cuts these texts as before.

Unigram: the best cut of a kept text consists of kept pieces, so it is still there with the same score, and
those that tie with it are fewer. Text without a piece costs ten less than the lowest score of all, so the
piece with that score stays. BPE: what is merged on the way to a piece is a part of it, so all pieces that lie
inside a kept one stay. In both, each character of a kept piece stays as a piece, as in a vocabulary that was
trained: a new word of known characters is never cut into bytes.

Shapes: V pieces before, K pieces after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from .errors import TokenizerError
from .model import Tokenizer
from .proto import with_pieces
from .special import BYTE_COUNT, FIRST_BYTE_ID

_BATCH = 4096
_LEARNT = FIRST_BYTE_ID + BYTE_COUNT
"""Id of the first piece that is not special and not a byte."""


def pieces_in(
    tokenizer: Tokenizer, texts: Iterable[str], progress: Callable[[int], None] = lambda done: None
) -> NDArray[np.int64]:
    """How often each piece stands in texts, (V,).

    Args:
        tokenizer: cuts the texts.
        texts: in any number; a few thousand are in memory at a time.
        progress: called with the number of texts done.

    Raises:
        TokenizerError: a text holds a lone surrogate.
    """
    counts, done, iterator = np.zeros(tokenizer.vocab_size, dtype=np.int64), 0, iter(texts)
    while batch := list(islice(iterator, _BATCH)):
        ids = np.concatenate(tokenizer.encode_batch(batch))
        counts += np.bincount(ids, minlength=len(counts))
        done += len(batch)
        progress(done)
    return counts


def trim_tokenizer(tokenizer: Tokenizer, counts: NDArray[np.int64]) -> tuple[Tokenizer, NDArray[np.int64]]:
    """The vocabulary without pieces that do not occur.

    Args:
        tokenizer: V pieces.
        counts: (V,) of `pieces_in` on the texts whose cuts must stay.

    Returns:
        The tokenizer, and for each of its K ids the id before, ascending. Special and byte pieces and the
        piece of a space stay, and have the same ids.

    Raises:
        TokenizerError: `counts` is of another vocabulary.
    """
    if counts.shape != (tokenizer.vocab_size,):
        raise TokenizerError(f"counts: expected shape ({tokenizer.vocab_size},), got {counts.shape}")
    stays = counts > 0
    stays[:_LEARNT] = True
    stays[tokenizer.id("\u2581")] = True
    if tokenizer.model == "unigram":
        stays[_LEARNT + int(tokenizer.piece_scores()[_LEARNT:].argmin())] = True
    _keep_parts(tokenizer, stays, characters=tokenizer.model == "unigram")
    kept = np.flatnonzero(stays)
    return rebuilt(tokenizer, kept.tolist()), kept


def rebuilt(tokenizer: Tokenizer, kept: Sequence[int], added: Iterable[tuple[str, float]] = ()) -> Tokenizer:
    """The vocabulary of some pieces, and new ones behind them; see `with_pieces`."""
    model = with_pieces(tokenizer.to_bytes(), kept, added)
    return Tokenizer.from_bytes(model, normalization=tokenizer.normalization)


def _keep_parts(tokenizer: Tokenizer, stays: NDArray[np.bool_], *, characters: bool) -> None:
    """Keep all pieces that lie inside a kept one, or only the characters."""
    ids = {tokenizer.piece(i): i for i in range(_LEARNT, tokenizer.vocab_size)}
    for piece, i in ids.items():
        if not stays[i]:
            continue
        for begin in range(len(piece)):
            last = begin + 1 if characters else len(piece)
            for end in range(begin + 1, last + 1):
                if (part := ids.get(piece[begin:end])) is not None:
                    stays[part] = True
