"""Options of vocabulary training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from .errors import TokenizerError
from .special import SMALLEST_VOCABULARY

LARGEST_SUITABLE = 65_536
"""The vocabulary size of `suitable_vocabulary` for much text."""

BYTES_PER_PIECE = 128
"""Bytes of training text for each piece that `suitable_vocabulary` allows."""

ModelType = Literal["unigram", "bpe"]
Normalization = Literal["identity", "nfc", "nfkc"]


@dataclass(frozen=True)
class TokenizerOptions:
    """Options of `train_tokenizer`. Equal options, texts and SentencePiece versions give equal bytes.

    Attributes:
        vocabulary_size (pieces): number of pieces, with the 5 special and 256 byte pieces. None: 65,536, or
            fewer for a text that is too small to teach so many (`suitable_vocabulary`).
        model: kind of the tokenizer: `unigram` (Kudo 2018) or `bpe` (Sennrich et al. 2016).
        normalization: Unicode form of the text. `identity` changes nothing. `nfc` makes canonically equal
            spellings equal. `nfkc` also replaces compatibility characters (full-width letters, ligatures,
            superscripts), which loses information.
        alpha (exponent): languages are drawn with probability p ∝ n^alpha, where n is a language's UTF-8
            bytes. 1 keeps the corpus as it is, 0 gives every language the same share (XLM-R used 0.3).
        max_repeats (copies): most copies of a text; the rest of a small language's share goes to the others.
            Without this, whole phrases of a few texts would become pieces.
        sample_bytes (bytes): largest training text, in UTF-8; bounds the memory.
        max_sentence_bytes (bytes): longest line in UTF-8; longer ones are cut, at white space if possible.
        character_coverage (share): share of character occurrences with a piece; the others become byte
            pieces.
        max_piece_characters (characters): longest piece.
        seed: start of the random numbers that draw the language-balanced sample.
        threads (threads): SentencePiece's threads in training. They change the order of sums and so the bits
            of the result, and therefore do not depend on the machine's cores.
    """

    vocabulary_size: int | None = None
    model: ModelType = "unigram"
    normalization: Normalization = "identity"
    alpha: float = 0.7
    max_repeats: int = 8
    sample_bytes: int = 32 * 2**20
    max_sentence_bytes: int = 4096
    character_coverage: float = 0.9995
    max_piece_characters: int = 16
    seed: int = 0
    threads: int = 4

    @staticmethod
    def bounds() -> dict[str, tuple[float, float | None]]:
        """The least and the largest value of each number."""
        found: dict[str, tuple[float, float | None]] = {
            "vocabulary_size": (SMALLEST_VOCABULARY, None),
            "max_sentence_bytes": (16, None),
            "seed": (0, None),
            "threads": (1, 128),
            "alpha": (0, 1),
            "character_coverage": (0.9, 1),
        }
        return found | dict.fromkeys(("max_repeats", "sample_bytes", "max_piece_characters"), (1, None))

    def __post_init__(self) -> None:
        for name, (least, most) in self.bounds().items():
            value = getattr(self, name)
            if name == "vocabulary_size" and value is None:
                continue
            if name in ("alpha", "character_coverage"):
                expected = f"a number from {least:g} to {most:g}"
                self._require(name, least <= value and (most is None or value <= most), expected)
                continue
            whole = isinstance(value, int) and not isinstance(value, bool)
            self._require(name, whole and value >= least, f"a whole number of at least {least}")
            self._require(name, most is None or value <= most, f"at most {most}")
        for name, kind in (("model", ModelType), ("normalization", Normalization)):
            self._require(name, getattr(self, name) in get_args(kind), f"one of {get_args(kind)}")

    def _require(self, name: str, condition: bool, expected: str) -> None:
        if not condition:
            raise TokenizerError(f"{name}: expected {expected}, got {getattr(self, name)!r}")


def suitable_vocabulary(n_bytes: int) -> int:
    """The number of pieces for a training text of so many UTF-8 bytes, if none is asked for.

    A piece learns from the places where it occurs. One piece for 128 bytes of text occurs some 30 times on
    average, and many pieces far less often.

    Returns:
        One piece for each `BYTES_PER_PIECE` bytes beside the special and byte pieces, at most
        `LARGEST_SUITABLE`.
    """
    return min(LARGEST_SUITABLE, SMALLEST_VOCABULARY + n_bytes // BYTES_PER_PIECE)
