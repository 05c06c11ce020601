"""Token ids of another library beside ours: equal, a tie of two cuts, or different.

SentencePiece adds the scores of pieces in float32 and `tokenizers` in float64. Where two cuts of a text are
equally probable (a run of one character is cut into the same pieces in another order), rounding decides, so
each library may take another cut. Nothing in `tokenizer.json` can change that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from xformer.errors import InputError
from xformer.interop.huggingface.tokenizer import MASK
from xformer.tokenizer import Tokenizer

_FLOAT32_STEP = 2.0**-23


@dataclass(frozen=True)
class Difference:
    """A text that the libraries cut in different ways.

    Attributes:
        text: the text.
        ours: our ids.
        theirs: ids of the other library.
    """

    text: str
    ours: tuple[int, ...]
    theirs: tuple[int, ...]


@dataclass
class IdComparison:
    """Compares ids, and keeps the ties.

    Attributes:
        tokenizer: ours.
        masks: whether `<mask>` in a text is the mask; otherwise it is characters.
        ties: texts with two cuts of the same score.
    """

    tokenizer: Tokenizer
    masks: bool = True
    ties: list[Difference] = field(default_factory=list)

    def add(self, texts: Sequence[str], theirs: Sequence[Sequence[int]]) -> None:
        """Compare the ids of some texts.

        Raises:
            InputError: ids differ, and the cuts are not equally probable.
        """
        for text, ours, other in zip(texts, self._ours(texts), theirs, strict=True):
            if ours == list(other):
                continue
            if not self._tied(ours, other):
                raise InputError(
                    f"token ids of the exported tokenizer differ: {text!r} has {ours} here and {list(other)}"
                    " there. Nothing was written"
                )
            self.ties.append(Difference(text, tuple(ours), tuple(other)))

    def _ours(self, texts: Sequence[str]) -> list[list[int]]:
        """As `Tokenizer.encode_masked`, many at once where there is no mask."""
        masked = [self.masks and MASK in text for text in texts]
        plain = ["" if its else text for text, its in zip(texts, masked, strict=True)]
        rows = self.tokenizer.encode_batch(plain, num_threads=1)
        return [
            (self.tokenizer.encode_masked(text) if its else row).tolist()
            for text, row, its in zip(texts, rows, masked, strict=True)
        ]

    def _tied(self, ours: Sequence[int], theirs: Sequence[int]) -> bool:
        """Whether two cuts spell the same text and have the same score, up to rounding in float32."""
        if self.tokenizer.model != "unigram" or self.tokenizer.decode(ours) != self.tokenizer.decode(theirs):
            return False
        scores = self.tokenizer.piece_scores()
        both = [float(scores[list(ids)].sum()) for ids in (ours, theirs)]
        # Each of n sums rounds by half a step of what it has come to.
        rounding = max(len(ours), len(theirs)) * max(map(abs, both)) * _FLOAT32_STEP
        return abs(both[0] - both[1]) <= rounding
