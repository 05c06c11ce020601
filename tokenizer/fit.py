"""Training of the largest vocabulary, up to the size that is asked for, that fits the text."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

from .balance import LabelledTexts
from .errors import VocabularySizeError
from .model import Tokenizer
from .options import TokenizerOptions
from .train import Progress, train_tokenizer


def fit_tokenizer(
    texts: LabelledTexts,
    options: TokenizerOptions,
    path: str | os.PathLike[str] | None = None,
    *,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Tokenizer:
    """Train a vocabulary, a smaller one where the text cannot fill the size that is asked for.

    SentencePiece finds out at the end of its training how many pieces a text can fill. It is then trained
    again with that size. The result depends on texts and options only.

    Args:
        texts: as in `train_tokenizer`.
        options: `vocabulary_size` is the largest size. None: what suits the amount of text, more if the
            characters of the text need more.
        path: where to write the model, atomically; None to return it only.
        progress: called while counting, reading and training.
        say: called with a sentence for each size that did not fit.

    Raises:
        VocabularySizeError: the size that is asked for is too small for the characters of the text.
        TokenizerError: as `train_tokenizer`.
    """
    tried: set[int | None] = set()
    size = options.vocabulary_size
    while True:
        tried.add(size)
        try:
            return train_tokenizer(texts, replace(options, vocabulary_size=size), path, progress=progress)
        except VocabularySizeError as error:
            if error.most is not None:
                size, why = error.most, "the text can fill no more"
            elif error.least is not None and options.vocabulary_size is None:
                # A quarter more than one for each character, so that some words have pieces, too.
                size, why = error.least * 5 // 4, "its characters need them"
            else:
                raise
            if size in tried:
                raise
            say(f"tokenizer: {size:,} pieces, {why}")
