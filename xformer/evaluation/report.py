"""The scores of an evaluation. The dataclasses are the objects of `evaluation.json`, their fields its keys.

A score without a prefix is the model's. Prefixes name the baselines: `bag_` the bag of subwords, `untrained_`
the model before training, `unigram_` a unigram model of each language, which is given the language, and
`blind_unigram_` one unigram model of all languages, which, like the model, is not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from xformer.data.languages import named
from xformer.evaluation.advice import Advice
from xformer.evaluation.bag import BagRecord
from xformer.evaluation.plan import EvaluationPlan
from xformer.evaluation.report_file import Report

_COUNTED = {"below_unigram", "not_below_unigram"}


@dataclass(frozen=True)
class LanguageScores:
    """Retrieval between one language and the pivot: top-1 accuracy and mean reciprocal rank.

    The bag's scores are None where the training split has no translations to train it on.

    Scores are means of both directions; those with `to_pivot_` are of the direction from the language to the
    pivot alone, and those with `from_pivot_` of the other direction alone.

    Attributes:
        messages: number of queries in each direction.
    """

    messages: int
    top1: float
    to_pivot_top1: float
    from_pivot_top1: float
    mrr: float
    to_pivot_mrr: float
    from_pivot_mrr: float
    untrained_top1: float
    untrained_mrr: float
    bag_top1: float | None = None
    bag_mrr: float | None = None


@dataclass(frozen=True)
class RetrievalScores:
    """Retrieval in all languages with enough messages. Each language has the same weight in a mean.

    Attributes:
        pivot: tag of the language that the others are compared with.
        candidates: number of different pivot texts.
        min_messages: a language with fewer messages is left out.
        layer: number of blocks after which the model's vectors were taken.
        dev_top1_by_layer: mean top-1 on the dev split after 0, 1, … blocks, which chose `layer`; empty where
            there was no choice.
        languages: scores by language tag.
        left_out: number of messages of each language that was left out, by tag.
    """

    pivot: str
    candidates: int
    min_messages: int
    layer: int
    dev_top1_by_layer: list[float]
    mean_top1: float
    untrained_mean_top1: float
    mean_mrr: float
    untrained_mean_mrr: float
    languages: dict[str, LanguageScores]
    left_out: dict[str, int]
    bag_mean_top1: float | None = None
    bag_mean_mrr: float | None = None


@dataclass(frozen=True)
class MaskedLMScores:
    """Masked-LM bits per byte.

    Scores with `mean_` are means over the pivot and the languages in `RetrievalScores.languages`, each with
    the same weight; those with `overall_` are all bits divided by all bytes; the others are by language tag.

    Attributes:
        rate: share of tokens hidden.
        hidden_tokens: number of hidden tokens, by language tag.
    """

    rate: float
    hidden_tokens: dict[str, int]
    bits_per_byte: dict[str, float]
    unigram_bits_per_byte: dict[str, float]
    blind_unigram_bits_per_byte: dict[str, float]
    untrained_bits_per_byte: dict[str, float]
    mean_bits_per_byte: float
    unigram_mean_bits_per_byte: float
    blind_unigram_mean_bits_per_byte: float
    untrained_mean_bits_per_byte: float
    overall_bits_per_byte: float
    unigram_overall_bits_per_byte: float
    blind_unigram_overall_bits_per_byte: float
    untrained_overall_bits_per_byte: float

    @property
    def below_unigram(self) -> list[str]:
        """Tags of the languages where the model needs fewer bits than a unigram model told the language."""
        return [tag for tag, bits in self.bits_per_byte.items() if bits < self.unigram_bits_per_byte[tag]]

    @property
    def not_below_unigram(self) -> list[str]:
        """Tags of the other languages."""
        below = set(self.below_unigram)
        return [tag for tag in self.bits_per_byte if tag not in below]


@dataclass(frozen=True)
class EvaluationReport(Report):
    """The scores of one model and its baselines on one split.

    Attributes:
        split: name of the held-out split.
        split_sha256: hash of its text.
        step: optimizer steps that the model had taken.
        texts: number of examples in the split.
        messages: number of groups in the split.
        seed: of the hidden tokens and of the untrained model.
        retrieval: how often nearest neighbours across languages are translations; None where the split has
            no translations.
        mlm: how well hidden tokens are predicted.
        bag: how the bag of subwords was trained; None where it was not.
        seconds: duration of each part of the evaluation.
        names: English names of the languages, by tag.
        left_out: by part of the evaluation, why it is left out or uncertain, and what gives more.
        advice: what is below its baselines, and what would help; None for a model without a run.
    """

    what: ClassVar[str] = "an evaluation report"
    command: ClassVar[str] = "xformer evaluate"
    layout: ClassVar[int] = 2

    split: str
    split_sha256: str
    step: int
    texts: int
    messages: int
    seed: int
    retrieval: RetrievalScores | None
    mlm: MaskedLMScores
    bag: BagRecord | None
    seconds: dict[str, float]
    names: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    advice: Advice | None = None

    @property
    def question(self) -> str:
        """What was evaluated, in a few words."""
        found, of = self.retrieval, f"{self.split} split at step {self.step:,}"
        if found is None:
            return of
        return f"{of}, pivot {named(found.pivot)}, languages with {found.min_messages:,} messages or more"

    def answers(self, plan: EvaluationPlan, step: int) -> bool:
        """Whether this is the evaluation that a plan asks for, of the model at a step."""
        info, found, texts = plan.held_out.info, self.retrieval, plan.texts
        compared = None if found is None else (found.pivot, found.min_messages)
        asked = None if texts is None else (plan.pivot, texts.min_messages)
        model = (self.split, self.split_sha256, self.step)
        return (compared, model) == (asked, (info.split, info.split_sha256, step))

    def tracked(self) -> dict[str, float]:
        """Its numbers for trackers: `test/top1`, and by language `test_top1/…`, for example."""
        mlm, found, split = self.mlm, self.retrieval, self.split
        bits = {
            "bits_per_byte": mlm.mean_bits_per_byte,
            "unigram_bits_per_byte": mlm.unigram_mean_bits_per_byte,
            "untrained_bits_per_byte": mlm.untrained_mean_bits_per_byte,
        }
        numbers = {f"{split}/{name}": value for name, value in bits.items()}
        numbers |= {f"{split}_bits_per_byte/{tag}": value for tag, value in mlm.bits_per_byte.items()}
        if found is not None:
            means = {"top1": found.mean_top1, "bag_top1": found.bag_mean_top1, "mrr": found.mean_mrr}
            means["untrained_top1"] = found.untrained_mean_top1
            numbers |= {f"{split}/{name}": value for name, value in means.items() if value is not None}
            numbers |= {f"{split}_top1/{tag}": one.top1 for tag, one in found.languages.items()}
        return numbers

    def to_record(self) -> dict[str, Any]:
        """The JSON object, with what is counted of it for its readers."""
        record, mlm = super().to_record(), self.mlm
        record["mlm"] |= {"below_unigram": mlm.below_unigram, "not_below_unigram": mlm.not_below_unigram}
        return record

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        """The report; what was counted is counted again."""
        if isinstance(mlm := record.get("mlm"), dict):
            record = record | {"mlm": {name: mlm[name] for name in mlm if name not in _COUNTED}}
        return super().from_record(record)
