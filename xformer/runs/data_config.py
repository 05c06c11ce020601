"""The settings of what a run reads: its corpus, its splits, and how texts are sampled."""

from __future__ import annotations

from dataclasses import dataclass

from xformer.data.kin import SmallLanguages
from xformer.data.source_rules import SourceRule
from xformer.storage.rules import COUNT, SHARE, Rules, bounds, check, one_of, require


@dataclass(frozen=True)
class DataConfig:
    """What the model reads.

    Attributes:
        corpus: a folder made by `xformer data import`, or a corpus that the run fetches and imports:
            `gettext`, messages of programs, or `broad`, text of many kinds.
        tokenizer: a SentencePiece model made by `xformer tokenizer train`, used as it is; None to train one
            with the settings of the table `tokenizer`.
        shards: a folder with token shards made by `xformer data shard` from this corpus with this tokenizer:
            `train`, and `dev` and `test` where they exist. They are linked into the run. None to encode the
            texts in the run.
        pivot (language tag): tag of the language that all others are compared with in evaluation, and that
            `pivot_share` prefers in training.
        dev_groups (message groups): number of message groups held out for choices during training.
        test_groups (message groups): number of message groups held out for the final evaluation.
        held_out_languages (languages): a message is held out only if it exists in at least so many languages.
        held_out_chars (characters): a message is held out only if it has at least so many characters: "OK"
            tests nothing.
        min_language_texts (texts): languages of the corpus with fewer texts are small.
        small_languages: what becomes of small languages: `drop` leaves them out of the corpus; `join` makes
            their texts those of their nearest kin, de-AT of de; what has none is left out.
        alpha (exponent): languages are sampled in proportion to (number of texts)^alpha.
        pivot_share (probability): probability that the translation paired with a text is in the language
            `pivot`, where such a translation exists. Otherwise any translation is equally likely.
        max_repeats (factor): no text is read more than this many times as often as with alpha = 1 and the
            same weights of `sources`. What small languages lose by that goes to the others.
        max_length (tokens): longest sequence; a longer text is cut into several sequences.
        decontaminate: test sets: texts of the corpus that overlap with them are left out when it is imported.
            Corpora, files of lines or rows, and folders of such files, as of `xformer data import`, and
            `declaration`, which is fetched.
        sources: rules about sources of the corpus, in training alone; of several that fit a source the first
            holds. Each is a table: `pattern` of names of sources, as in a shell (`cldr-*/*`); `weight`, how
            often a text is drawn relative to one of weight 1 (0: never); and what leaves a text out:
            `min_chars`, `max_chars` (characters), `min_translations` (other languages of its group),
            `languages` (tags or patterns, of those that stay). Sources that no rule fits have weight 1.
        min_sampled_texts (texts): languages with fewer texts in the training split, after the rules of
            `sources`, are not drawn. They stay in the corpus, in the vocabulary and in evaluation.
    """

    corpus: str = "gettext"
    tokenizer: str | None = None
    shards: str | None = None
    pivot: str = "en"
    dev_groups: int = 200
    test_groups: int = 500
    held_out_languages: int = 20
    held_out_chars: int = 8
    min_language_texts: int = 1_000
    small_languages: SmallLanguages = "drop"
    alpha: float = 0.5
    pivot_share: float = 0.95
    max_repeats: float = 8.0
    max_length: int = 128
    decontaminate: tuple[str, ...] = ()
    sources: tuple[SourceRule, ...] = ()
    min_sampled_texts: int = 1

    @staticmethod
    def rules() -> Rules:
        """What each setting must be."""
        counts = "dev_groups test_groups held_out_chars min_language_texts min_sampled_texts"
        return [
            (COUNT, counts),
            (bounds("at least 2", least=2), "held_out_languages"),
            (bounds("a number in [0, 1]", least=0, most=1), "alpha"),
            (SHARE, "pivot_share"),
            (one_of(SmallLanguages), "small_languages"),
            (bounds("a number from 1", least=1), "max_repeats"),
            (bounds("at least 2 tokens", least=2), "max_length"),
        ]

    def __post_init__(self) -> None:
        check(self, "data", self.rules())
        given = self.shards is None or self.tokenizer is not None
        expected = f"the model that data.shards={self.shards!r} were made with"
        require(given, "data.tokenizer", self.tokenizer, expected)
