"""How a vocabulary is to be trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from .errors import TokenizerError
from .special import SMALLEST_VOCABULARY

ModelType = Literal["unigram", "bpe"]
Normalization = Literal["identity", "nfc", "nfkc"]


@dataclass(frozen=True)
class TokenizerOptions:
    """Settings of `train_tokenizer`; the same options, texts and SentencePiece version give the same bytes.

    Attributes:
        vocabulary_size: pieces in all, the 5 special and 256 byte pieces included.
        model: `"unigram"` (Kudo 2018) or `"bpe"` (Sennrich et al. 2016).
        normalization: Unicode form that text is brought to before it is cut. `"identity"` loses nothing.
            `"nfc"` makes canonically equal spellings equal. `"nfkc"` also folds compatibility characters
            (full-width letters, ligatures, superscripts), which cannot be undone.
        alpha: languages are drawn with probability p ∝ n^alpha, n being a language's UTF-8 bytes. 1 keeps the
            corpus as it is, 0 gives every language the same share (XLM-R used 0.3).
        max_repeats: no text is taken more often than this, however small its language; what a language cannot
            fill goes to the others. Stops a handful of texts from becoming whole-phrase pieces.
        sample_bytes: bound on the UTF-8 bytes that training sees, and so on its memory.
        max_sentence_bytes: longer lines are cut, at white space where possible, so that none is dropped.
        character_coverage: share of character occurrences that get a piece of their own; the rest is spelled
            in bytes.
        max_piece_characters: longest piece, in characters.
        seed: of the language-balanced sample.
        threads: SentencePiece's training threads. Part of the recipe: sums in another order give other bits,
            so this does not follow the machine's core count.
    """

    vocabulary_size: int = 32_768
    model: ModelType = "unigram"
    normalization: Normalization = "identity"
    alpha: float = 0.3
    max_repeats: int = 8
    sample_bytes: int = 32 * 2**20
    max_sentence_bytes: int = 4096
    character_coverage: float = 0.9995
    max_piece_characters: int = 16
    seed: int = 0
    threads: int = 4

    def __post_init__(self) -> None:
        for name, least in (
            ("vocabulary_size", SMALLEST_VOCABULARY),
            ("max_repeats", 1),
            ("sample_bytes", 1),
            ("max_sentence_bytes", 16),
            ("max_piece_characters", 1),
            ("seed", 0),
            ("threads", 1),
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise TokenizerError(f"{name}: expected a whole number of at least {least}, got {value!r}")
        if self.threads > 128:
            raise TokenizerError(f"threads: expected at most 128, got {self.threads!r}")
        if self.model not in get_args(ModelType):
            raise TokenizerError(f"model: expected one of {get_args(ModelType)}, got {self.model!r}")
        if self.normalization not in get_args(Normalization):
            raise TokenizerError(
                f"normalization: expected one of {get_args(Normalization)}, got {self.normalization!r}"
            )
        if not 0.0 <= self.alpha <= 1.0:
            raise TokenizerError(f"alpha: expected a number from 0 to 1, got {self.alpha!r}")
        if not 0.9 <= self.character_coverage <= 1.0:
            raise TokenizerError(
                f"character_coverage: expected a number from 0.9 to 1, got {self.character_coverage!r}"
            )
