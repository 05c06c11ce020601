"""A vocabulary trimmed to texts, whatever its kind, and proof that it cuts them as before.

Shapes: V pieces before, K after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from xformer.errors import InputError
from xformer.progress import Progress
from xformer.tokenizer.interface import TextTokenizer
from xformer.vocabulary.measure import Segmentation, compare_cuts, counted
from xformer.vocabulary.source import Texts

T = TypeVar("T", bound=TextTokenizer)
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Fitted(Generic[T]):
    """A vocabulary after it was trimmed.

    Attributes:
        tokenizer: K pieces.
        old_ids: (K,) the id before of each piece.
        unseen: cuts of texts that it was not fitted to.
        kept: cuts of those that it was fitted to, all of them the same.
    """

    tokenizer: T
    old_ids: Counts
    unseen: Segmentation
    kept: Segmentation


def fit_vocabulary(
    texts: Texts,
    before: T,
    pieces_in: Callable[[T, Iterable[str], Callable[[int], None]], Counts],
    trim: Callable[[T, Counts], tuple[T, Counts]],
    progress: Progress,
) -> Fitted[T]:
    """Trim a vocabulary to texts.

    Args:
        texts: what it is to hold.
        before: V pieces.
        pieces_in: counts how often each piece stands in texts, (V,).
        trim: makes the vocabulary of the pieces with a count.
        progress: where to report.

    Raises:
        InputError: there are no texts, or one of them is cut in another way.
        TokenizerError: a text is no Unicode.
    """
    counts = pieces_in(before, texts.fitted(), counted(progress, "find pieces"))
    if not counts.any():
        raise InputError(f"{texts.name}: expected texts, found none")
    after, old_ids = trim(before, counts)
    unseen = compare_cuts(texts.unseen(), before, after, old_ids)
    if texts.kept:
        more = pieces_in(before, texts.unseen(), counted(progress, "find pieces"))
        after, old_ids = trim(before, counts + more)
    kept = compare_cuts(texts.all(), before, after, old_ids, counted(progress, "compare cuts"))
    if kept.same < kept.texts:
        raise InputError(
            f"{texts.name}: the trimmed vocabulary cuts {kept.texts - kept.same:,} of {kept.texts:,} texts in"
            f" another way, first {kept.first!r}. This must not be; nothing was written"
        )
    return Fitted(after, old_ids, unseen, kept)
