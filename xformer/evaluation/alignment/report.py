"""What `xformer evaluate --alignment` found. The dataclasses are the objects of its JSON file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xformer.evaluation.alignment.probe import Probe
from xformer.evaluation.report_file import Report


@dataclass(frozen=True)
class LayerScores:
    """One layer; means over languages, each compared with the pivot.

    Attributes:
        centroid_gap: distance of two languages' centroids beside that of two texts of one language
            (`xformer.geometry.space.centroid_gap`).
        top1: retrieval by cosine (`xformer.evaluation.retrieval`).
        centred_top1: the same after each language's centroid is subtracted
            (`xformer.geometry.space.without_centroids`). If it is higher, languages were apart.
        csls_top1: the same by CSLS (`xformer.evaluation.alignment.csls`). If it is higher, hubs were in the
            way.
        probe: whether a linear model can tell the language.
        hubness: skewness of the number of queries that have a pivot text among their ten nearest
            (`xformer.geometry.space.hubness`).
        anti_hubs: share of pivot texts that no query has among its ten nearest
            (`xformer.geometry.space.anti_hubs`).
        cka: debiased linear CKA of translations (`xformer.geometry.similarity.linear_cka`); None where it
            has no value.
        cka_chance: the same with one side in another order.
        cosine: mean cosine of translations minus that of other pairs (`xformer.geometry.space.alignment`).
    """

    centroid_gap: float
    top1: float
    centred_top1: float
    csls_top1: float
    probe: Probe
    hubness: float
    anti_hubs: float
    cka: float | None
    cka_chance: float | None
    cosine: float


@dataclass(frozen=True)
class LanguageAtLayer:
    """One language at the run's layer.

    Attributes:
        messages: texts with a translation in the pivot.
        top1: retrieval by cosine, mean of both directions.
        centred_top1: after each language's centroid is subtracted.
        csls_top1: by CSLS.
        hubness: of the pivot's texts for queries in the language.
        cka: of translations; None where it has no value.
        x: place on the map of languages, in units of the vectors' length; the pivot is on it, too.
        y: place on the map.
    """

    messages: int
    top1: float
    centred_top1: float
    csls_top1: float
    hubness: float
    cka: float | None
    x: float
    y: float


@dataclass(frozen=True)
class AlignmentReport(Report):
    """The scores of a checkpoint on a split.

    Attributes:
        split: test or dev.
        split_sha256: of its shards.
        step: optimizer steps that the model has taken.
        pivot: tag of the language that the others are compared with.
        least: languages with fewer texts are left out.
        layer: the run's: after so many blocks its sentence vectors are taken.
        texts: number of texts.
        layers: after 0, 1, … blocks.
        languages: by tag, at the run's layer.
        pivot_place: of the pivot on the map.
        map_variance: share of the variance of the languages' places that the map shows.
    """

    what: ClassVar[str] = "scores of alignment"
    command: ClassVar[str] = "xformer evaluate --alignment"
    layout: ClassVar[int] = 1

    split: str
    split_sha256: str
    step: int
    pivot: str
    least: int
    layer: int
    texts: int
    layers: list[LayerScores]
    languages: dict[str, LanguageAtLayer]
    pivot_place: tuple[float, float]
    map_variance: float

    def answers(self, split_sha256: str, step: int, pivot: str, least: int, layer: int) -> bool:
        """Whether it is of this split, checkpoint, pivot, least number of texts and layer."""
        own = (self.split_sha256, self.step, self.pivot, self.least, self.layer)
        return own == (split_sha256, step, pivot, least, layer)
