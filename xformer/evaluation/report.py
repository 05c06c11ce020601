"""What an evaluation found. The dataclasses are the JSON: each field a key, each dataclass an object."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import cattrs

from xformer.errors import InputError
from xformer.evaluation.bag import BagRecord
from xformer.storage.files import atomic_write

FORMAT = 2


@dataclass(frozen=True)
class LanguageScores:
    """Retrieval between one language and the pivot.

    Attributes:
        messages: queries in each direction.
        top1: mean of both directions, as all that does not name one.
        to_pivot_top1: from the language to the pivot.
        from_pivot_top1: from the pivot to the language.
        mrr: mean reciprocal rank.
        to_pivot_mrr: from the language to the pivot.
        from_pivot_mrr: from the pivot to the language.
        bag_top1: of the bag of subwords.
        bag_mrr: of the bag of subwords.
        untrained_top1: of the untrained model.
        untrained_mrr: of the untrained model.
    """

    messages: int
    top1: float
    to_pivot_top1: float
    from_pivot_top1: float
    mrr: float
    to_pivot_mrr: float
    from_pivot_mrr: float
    bag_top1: float
    bag_mrr: float
    untrained_top1: float
    untrained_mrr: float


@dataclass(frozen=True)
class RetrievalScores:
    """Retrieval, all languages with enough messages; means are over these languages, each with the same
    weight.

    Attributes:
        pivot: what the others are compared with.
        candidates: pivot texts to choose from.
        min_messages: a language with fewer is left out.
        layer: after how many blocks the model's vectors were taken.
        dev_top1_by_layer: mean top-1 on the dev split after 0, 1, … blocks, by which `layer` was chosen;
            empty where it was not.
        mean_top1: of the model, mean of both directions.
        bag_mean_top1: of the bag of subwords.
        untrained_mean_top1: of the untrained model.
        mean_mrr: of the model, mean of both directions.
        bag_mean_mrr: of the bag of subwords.
        untrained_mean_mrr: of the untrained model.
        languages: by tag.
        left_out: tags of languages with too few messages, and how many they have.
    """

    pivot: str
    candidates: int
    min_messages: int
    layer: int
    dev_top1_by_layer: list[float]
    mean_top1: float
    bag_mean_top1: float
    untrained_mean_top1: float
    mean_mrr: float
    bag_mean_mrr: float
    untrained_mean_mrr: float
    languages: dict[str, LanguageScores]
    left_out: dict[str, int]


@dataclass(frozen=True)
class MaskedLMScores:
    """Masked-LM bits per byte, of all languages in which tokens were hidden.

    Attributes:
        rate: share of tokens hidden.
        hidden_tokens: by language tag.
        bits_per_byte: of the model, by language tag.
        unigram_bits_per_byte: of a unigram model of each language, which is told the language.
        blind_unigram_bits_per_byte: of one unigram model of all languages, which like the model is not.
        untrained_bits_per_byte: of the untrained model.
        mean_bits_per_byte: mean over the pivot and the languages that retrieval has, each with the same
            weight.
        unigram_mean_bits_per_byte: likewise.
        blind_unigram_mean_bits_per_byte: likewise.
        untrained_mean_bits_per_byte: likewise.
        overall_bits_per_byte: all bits over all bytes.
        unigram_overall_bits_per_byte: likewise.
        blind_unigram_overall_bits_per_byte: likewise.
        untrained_overall_bits_per_byte: likewise.
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


@dataclass(frozen=True)
class EvaluationReport:
    """One model on one split, beside its baselines.

    Attributes:
        split: the held-out split.
        split_sha256: hash of its text.
        step: optimizer steps the model has taken.
        texts: examples in the split.
        messages: groups in the split.
        seed: of what was hidden, and of the untrained model.
        retrieval: how well languages share one space.
        mlm: how well hidden tokens are predicted.
        bag: how the bag of subwords came to be.
        seconds: what took how long.
        format: version of this layout.
    """

    split: str
    split_sha256: str
    step: int
    texts: int
    messages: int
    seed: int
    retrieval: RetrievalScores
    mlm: MaskedLMScores
    bag: BagRecord
    seconds: dict[str, float]
    format: int = FORMAT

    def to_json(self) -> str:
        """One JSON object, indented."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> EvaluationReport:
        """Read what `to_json` gave.

        Raises:
            ValueError: it is something else, or of another version.
        """
        data = json.loads(text)
        if not isinstance(data, dict):
            raise ValueError(f"expected an evaluation report, got a JSON {type(data).__name__}")
        version = data.get("format")
        if version != FORMAT:
            raise ValueError(
                f"expected an evaluation report of format {FORMAT}, got {version};"
                " `xformer evaluate` makes one"
            )
        try:
            return cattrs.Converter(forbid_extra_keys=True).structure(data, cls)
        except cattrs.BaseValidationError as error:
            problems = "; ".join(cattrs.transform_error(error, path="report"))
            raise ValueError(f"expected an evaluation report: {problems}") from error

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the JSON, whole or not at all."""
        with atomic_write(path) as file:
            file.write(self.to_json() + "\n")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> EvaluationReport:
        """Read what `save` wrote.

        Raises:
            InputError: it is missing or something else.
        """
        try:
            return cls.from_json(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: {error}") from error
