"""A vocabulary with pieces for new languages behind its own.

A vocabulary of the new texts alone is trained. Of its pieces, characters are added, and those that save the
most tokens.
Ids, pieces and scores from before stay. A piece's score is its log probability in a text of which `SHARE` is
in the new languages, never below the lowest score from before: the cost of a character without a piece
follows from that one. BPE: a piece's score is its rank, so new merges come after those from before, in the
order in which they were learnt.

Shapes: V pieces before, A added.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .balance import LabelledTexts, start
from .errors import TokenizerError
from .fit import fit_tokenizer
from .model import Ids, Tokenizer
from .options import TokenizerOptions
from .special import SMALLEST_VOCABULARY
from .train import SCORE_STEP, Progress
from .trim import pieces_in, rebuilt

SHARE = 0.01
"""Share of text in the new languages that the scores of new pieces are made for."""

_SPACE_MARK = "\u2581"


@dataclass(frozen=True)
class Extended:
    """A vocabulary with more pieces.

    Attributes:
        tokenizer: V + A pieces, of which the first V are those from before.
        parts: of each new piece the ids of its pieces from before, (A,) of (n,).
    """

    tokenizer: Tokenizer
    parts: tuple[Ids, ...]


def extend_tokenizer(
    tokenizer: Tokenizer,
    texts: LabelledTexts,
    pieces: int | None = None,
    progress: Progress = lambda stage, done, total: None,
) -> Extended:
    """Add pieces for texts in new languages.

    Args:
        tokenizer: V pieces.
        texts: `(language, text)` pairs that can be iterated several times, or a function that starts a pass.
        pieces: the largest A; fewer are added where the texts are too small to teach as many (see
            `suitable_vocabulary`). None: as many as the vocabulary has.
        progress: called while counting, reading and training.

    Raises:
        TokenizerError: there are no texts, a text is no Unicode, or they need no new piece.
    """
    learnt = _learn(tokenizer, texts, progress)
    wanted = tokenizer.vocab_size if pieces is None else pieces
    known = {tokenizer.piece(i) for i in range(tokenizer.vocab_size)}
    new = [i for i in range(SMALLEST_VOCABULARY - 1, learnt.vocab_size) if learnt.piece(i) not in known]
    added = [learnt.piece(i) for i in new]
    scores = _scores(tokenizer, learnt, new)
    parts = [tokenizer.encode_continued(piece.replace(_SPACE_MARK, " ")) for piece in added]
    saved = np.array([len(ids) - 1 for ids in parts], dtype=np.int64)
    if tokenizer.model == "unigram":  # of BPE, later merges need the earlier ones
        whole = rebuilt(tokenizer, range(len(known)), zip(added, scores, strict=True))
        occurring = pieces_in(
            whole,
            (text for _, text in start(texts)),
            lambda done: progress("counting new pieces", done, None),
        )
        saved *= occurring[len(known) :]
    # Characters come first, so that no new word of known letters is cut into bytes.
    character = np.array([len(piece) == 1 for piece in added], dtype=bool)
    worth = np.zeros(len(added), dtype=np.int64) if tokenizer.model == "bpe" else -saved
    best = np.lexsort((worth, ~character))[:wanted]
    chosen = sorted(int(i) for i in best if saved[i] > 0 or character[i])
    if not chosen:
        raise TokenizerError("expected texts that need new pieces; the vocabulary has all that they need")
    more = rebuilt(tokenizer, range(len(known)), [(added[i], scores[i]) for i in chosen])
    return Extended(more, tuple(parts[i] for i in chosen))


def _learn(tokenizer: Tokenizer, texts: LabelledTexts, progress: Progress) -> Tokenizer:
    """A vocabulary of the texts alone, of the same kind."""
    options = TokenizerOptions(model=tokenizer.model, normalization=tokenizer.normalization)
    return fit_tokenizer(texts, options, progress=progress)


def _scores(tokenizer: Tokenizer, learnt: Tokenizer, new: list[int]) -> list[float]:
    """The score of each new piece."""
    least = float(tokenizer.piece_scores()[SMALLEST_VOCABULARY - 1 :].min())
    if tokenizer.model == "bpe":
        return [least - 1 - rank for rank in range(len(new))]
    scores = learnt.piece_scores()[new] + math.log(SHARE)
    return [max(least, round(float(score) / SCORE_STEP) * SCORE_STEP) for score in scores]
