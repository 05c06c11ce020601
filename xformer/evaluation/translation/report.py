"""The scores of a translation run, by direction, beside copying the source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xformer.evaluation.report_file import Report
from xformer.evaluation.translation.scores import PairedScore, Scores


@dataclass(frozen=True)
class DirectionReport:
    """One direction.

    Attributes:
        texts: number of test texts.
        model: scores of the run.
        copy: scores of the sources themselves as translations.
    """

    texts: int
    model: Scores
    copy: Scores


@dataclass(frozen=True)
class TranslationReport(Report):
    """The scores of a run on its test texts.

    Attributes:
        run: name of its folder.
        base: name of the pretrained run; None where it began with random weights.
        step: of the checkpoint.
        beam: width of the search.
        minutes: of training.
        seen: test texts that stand in the training part as well.
        directions: scores by direction, as `en-de`.
    """

    what: ClassVar[str] = "the scores of a translation run"
    command: ClassVar[str] = "xformer evaluate RUN"
    layout: ClassVar[int] = 1

    run: str
    base: str | None
    step: int
    beam: int
    minutes: float
    seen: int
    directions: dict[str, DirectionReport]


@dataclass(frozen=True)
class TranslationComparison(Report):
    """Two runs on the same texts.

    Attributes:
        run: name of the first.
        against: name of the second.
        directions: by direction, `bleu` and `chrf` of both with a p-value.
    """

    what: ClassVar[str] = "a comparison of translation runs"
    command: ClassVar[str] = "xformer evaluate RUN --against OTHER"
    layout: ClassVar[int] = 1

    run: str
    against: str
    directions: dict[str, dict[str, PairedScore]]
