"""The scores of a classifier, by language and system. The dataclasses are the objects of its JSON file.

Systems lie under their names: `model` (the fine-tuned run), `untrained` (the same encoder without
pretraining), `bag` (the pretrained embedding without blocks), `words` and `characters` (TF-IDF with logistic
regression, trained within each language), `majority`. Of pairs of texts: `cosine` (of the pretrained
vectors), `length` (the ratio of lengths). Of words: `seen` (the word's tags in training), `letters` (its
character n-grams).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from xformer.evaluation.classification.metrics import Calibration, Scores
from xformer.evaluation.report_file import Report

SYSTEMS = {
    "model": "model",
    "bag": "bag of subwords",
    "untrained": "not pretrained",
    "words": "TF-IDF words",
    "characters": "TF-IDF characters",
    "cosine": "cosine",
    "length": "length ratio",
    "seen": "tag as seen",
    "letters": "letters",
    "majority": "majority",
}
"""Names of the systems as tables and pictures have them."""


@dataclass(frozen=True)
class SystemScores:
    """The scores of one system in one language.

    Attributes:
        mean: over its seeds.
        low: lower end of the accuracy's 95% interval, by bootstrap over texts and seeds.
        high: upper end.
        by_seed: accuracy of each seed.
        trained_on: number of training texts; None for what learns from the source languages.
    """

    mean: Scores
    low: float
    high: float
    by_seed: tuple[float, ...]
    trained_on: int | None = None


@dataclass(frozen=True)
class Uncalibrated:
    """How sure the model is of its answers without the temperature; all else is the same.

    Attributes:
        log_loss: as in `Scores`, mean over seeds.
        ece: likewise.
        calibration: of the first seed.
    """

    log_loss: float
    ece: float
    calibration: Calibration


@dataclass(frozen=True)
class OracleGap:
    """What it would add to choose the checkpoint by test texts of the language itself.

    Attributes:
        chosen: accuracy on a sample of the language's texts at the checkpoint that the source languages'
            held-out texts chose.
        best: the highest of all evaluations of the run.
        texts: of the sample.
    """

    chosen: float
    best: float
    texts: int

    @property
    def gap(self) -> float:
        """The difference."""
        return self.best - self.chosen


@dataclass(frozen=True)
class LanguageReport:
    """One language.

    Attributes:
        texts: number of test texts, or of pairs, or of words.
        source: whether the run was trained in it.
        systems: scores by system.
        calibration: of the model's first seed, with its temperature.
        uncalibrated: without it.
        confusion: how many texts of each class (row) were given each label (column) by the model's first
            seed; none where a text may have several labels.
        oracle: mean over seeds; None where the run was not watched.
    """

    texts: int
    source: bool
    systems: dict[str, SystemScores]
    calibration: Calibration
    uncalibrated: Uncalibrated
    confusion: tuple[tuple[int, ...], ...] = ()
    oracle: OracleGap | None = None


@dataclass(frozen=True)
class ClassificationReport(Report):
    """The evaluation of a fine-tuned run.

    Attributes:
        run: name of the run.
        base: the pretrained run.
        step: of the checkpoint that was chosen, by seed.
        seeds: the seeds.
        frozen: whether the head alone was trained.
        multi_label: whether a text may have several labels.
        labels: the classes.
        source: languages of the training texts.
        train_texts: how many training texts there were, or pairs, or sentences.
        dev_accuracy: of the chosen checkpoint on held-out texts of the source languages, by seed.
        temperature: what logits are divided by, found on the same texts (Guo et al. 2017), by seed.
        languages: by tag; of a pair or of a mixed text, tags with `+` between.
        example: what an example is: `text`, `pair` or `words`.
        parallel: name of the corpus whose translations, without labels, were learned from as well; None for
            none.
    """

    what: ClassVar[str] = "the scores of a classifier"
    command: ClassVar[str] = "xformer finetune classify"
    layout: ClassVar[int] = 2

    run: str
    base: str
    step: tuple[int, ...]
    seeds: tuple[int, ...]
    frozen: bool
    multi_label: bool
    labels: tuple[str, ...]
    source: tuple[str, ...]
    train_texts: int
    dev_accuracy: tuple[float, ...]
    temperature: tuple[float, ...]
    languages: dict[str, LanguageReport]
    example: Literal["text", "pair", "words"] = "text"
    parallel: str | None = None

    @property
    def examples(self) -> str:
        """What several examples are called."""
        return {"text": "texts", "pair": "pairs", "words": "sentences"}[self.example]

    @property
    def answered(self) -> str:
        """What those are called that get a label."""
        return "words" if self.example == "words" else self.examples

    @property
    def systems(self) -> tuple[str, ...]:
        """The systems that any language has, in the order of `SYSTEMS`."""
        found = {name for one in self.languages.values() for name in one.systems}
        return tuple(name for name in SYSTEMS if name in found)

    @property
    def targets(self) -> tuple[str, ...]:
        """Languages that were tested and not trained in."""
        return tuple(tag for tag, one in self.languages.items() if not one.source)

    def mean(self, system: str, tags: tuple[str, ...]) -> float | None:
        """Mean accuracy of a system over languages; None where one of them lacks it."""
        found = [self.languages[tag].systems.get(system) for tag in tags]
        if not found or any(one is None for one in found):
            return None
        return sum(one.mean.accuracy for one in found if one is not None) / len(found)
