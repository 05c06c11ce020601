"""The scores of an evaluation on text from outside. The dataclasses are the objects of its JSON file.

Scores lie under the names of what they are of: `model`, `bag` (the bag of subwords that was trained on the
same text), `untrained` (the model before training), `trigrams` (TF-IDF of character trigrams), `unigram` (a
unigram model that is told the language), `blind_unigram` (one unigram model of all languages).

Intervals are of 95%, by bootstrap: of a language over its sentences, of a mean over its languages.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from xformer.evaluation.bag import BagRecord
from xformer.evaluation.report_file import Report

Which = Literal["all", "seen", "unseen"]


@dataclass(frozen=True)
class Score:
    """Retrieval of one language, or the mean over several.

    Attributes:
        top1: mean of both directions.
        low: lower end of its interval; None where there is one sentence or one language.
        high: upper end.
        to_pivot_top1: from the language to the pivot alone.
        from_pivot_top1: from the pivot to the language alone.
        mrr: mean reciprocal rank, mean of both directions.
    """

    top1: float
    low: float | None
    high: float | None
    to_pivot_top1: float
    from_pivot_top1: float
    mrr: float


@dataclass(frozen=True)
class PairScores:
    """Retrieval between a language and a pivot in one set.

    Attributes:
        set: the name of the set: `tatoeba`, `test`.
        label: the same with codes as the files have them: `tatoeba cmn-eng`.
        language: tag.
        pivot: tag of the language that it is compared with.
        seen: whether the run has trained on text in the language.
        messages: queries in each direction.
        scores: by name; the model's at the run's layer.
        by_layer: top-1 of the model after 0, 1, … blocks.
    """

    set: str
    label: str
    language: str
    pivot: str
    seen: bool
    messages: int
    scores: dict[str, Score]
    by_layer: list[float]


@dataclass(frozen=True)
class Amount:
    """A number with its interval; None where there is one language."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class MeanScores:
    """The mean over the languages of a set with one pivot; each has the same weight.

    Attributes:
        set: the name of the set.
        pivot: tag.
        which: all languages, those seen in training, or the others.
        languages: how many they are.
        scores: by name; the model's at the run's layer.
        by_layer: of the model after 0, 1, … blocks.
        over_bag: top-1 of the model minus that of the bag, with the interval over languages.
    """

    set: str
    pivot: str
    which: Which
    languages: int
    scores: dict[str, Score]
    by_layer: list[Amount]
    over_bag: Amount | None = None


@dataclass(frozen=True)
class LanguageBits:
    """Masked-LM bits per byte of one language.

    Attributes:
        seen: whether the run has trained on text in the language.
        hidden_tokens: number of hidden tokens.
        bits: by name; `unigram` is missing where the language was not seen.
    """

    seen: bool
    hidden_tokens: int
    bits: dict[str, float]

    @property
    def below_unigram(self) -> bool:
        """Whether the model needs fewer bits than a unigram model that is told the language."""
        return self.seen and self.bits["model"] < self.bits["unigram"]


@dataclass(frozen=True)
class OutsideBits:
    """Masked-LM bits per byte.

    Attributes:
        rate: share of tokens hidden.
        texts: how many different texts they are measured on; parts of long ones count as texts.
        most_texts: at most so many in a language.
        languages: by tag.
        means: over the languages seen in training, by name.
        below_unigram: tags of languages where the model needs fewer bits than a unigram model that is told
            the language.
        not_below_unigram: tags of the other languages seen in training.
    """

    rate: float
    texts: int
    most_texts: int
    languages: dict[str, LanguageBits]
    means: dict[str, Amount]
    below_unigram: list[str]
    not_below_unigram: list[str]


@dataclass(frozen=True)
class Overlap:
    """How many of the texts stand in the run's training corpus, in the same language.

    Attributes:
        texts: how many texts were compared, equal ones counted once.
        exact: how many stand there, but for case, punctuation and spaces.
        near: how many more have a near duplicate there.
        by_language: of both, by tag, where there are any.
        training_texts: how many training texts are in their languages.
    """

    texts: int
    exact: int
    near: int
    by_language: dict[str, int]
    training_texts: int


@dataclass(frozen=True)
class OutsideReport(Report):
    """The evaluation of one model on one corpus or folder.

    Attributes:
        name: of the corpus or folder.
        split: what of it was read.
        sha256: hash of what was read.
        step: optimizer steps that the model had taken.
        texts: number of texts.
        layer: number of blocks after which the model's vectors are taken; chosen on the run's dev split.
        seed: of the hidden tokens, the untrained model and the resamples.
        resamples: of the bootstrap.
        pairs: retrieval by language.
        means: retrieval by set, pivot, and whether languages were seen.
        bits: how well hidden tokens are predicted; None where none can be hidden.
        bag: how the bag was trained; None where there is none.
        overlap: with the training corpus; None where that was not compared.
        tags: the run's tag of each tag in the data that differs from it.
        names: English names of the languages, by tag.
        notes: what was left out or replaced, in sentences.
        asked: the options that were given.
        seconds: duration of each part.
    """

    what: ClassVar[str] = "an evaluation on outside text"
    command: ClassVar[str] = "xformer evaluate --on"
    layout: ClassVar[int] = 1

    name: str
    split: str
    sha256: str
    step: int
    texts: int
    layer: int
    seed: int
    resamples: int
    pairs: list[PairScores]
    means: list[MeanScores]
    bits: OutsideBits | None
    bag: BagRecord | None
    overlap: Overlap | None
    tags: dict[str, str]
    names: dict[str, str]
    notes: list[str]
    asked: dict[str, str | int | bool | None] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What it is of: `multi30k, test_2016_flickr`."""
        return self.name if self.split in ("all", self.name) else f"{self.name}, {self.split}"

    def answers(self, sha256: str, step: int, asked: dict[str, str | int | bool | None]) -> bool:
        """Whether this is the evaluation of the model at a step on such text, with the same options."""
        return (self.sha256, self.step, self.asked) == (sha256, step, asked)
