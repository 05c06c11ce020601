"""An evaluation on outside text, made up: what its tables, its picture and the run's page show."""

from __future__ import annotations

from xformer.evaluation.outside.report import (
    Amount,
    LanguageBits,
    MeanScores,
    OutsideBits,
    OutsideReport,
    Overlap,
    PairScores,
    Score,
    Which,
)


def score(top1: float) -> Score:
    return Score(top1, top1 - 0.1, top1 + 0.1, top1, top1, top1 + 0.05)


def outside_report() -> OutsideReport:
    """Two languages seen in training and one that was not, beside one that has no translations."""

    def pair(language: str, seen: bool, top1: float) -> PairScores:
        scores = {"model": score(top1), "bag": score(top1 - 0.1)}
        return PairScores(
            "tatoeba", f"tatoeba {language}-eng", language, "en", seen, 1000, scores, [0.2, top1, 0.1]
        )

    pairs = [pair("de", True, 0.5), pair("ja", True, 0.3), pair("xho", False, 0.2)]

    def mean(which: Which, languages: int, top1: float) -> MeanScores:
        by_layer = [Amount(0.2, 0.1, 0.3), Amount(top1, top1 - 0.1, top1 + 0.1), Amount(0.1, 0.0, 0.2)]
        scores = {"model": score(top1), "bag": score(top1 - 0.1)}
        return MeanScores("tatoeba", "en", which, languages, scores, by_layer, Amount(0.1, -0.05, 0.2))

    bits = {
        "de": LanguageBits(True, 100, {"model": 2.0, "unigram": 2.5, "blind_unigram": 3.0}),
        "ja": LanguageBits(True, 100, {"model": 2.7, "unigram": 2.5, "blind_unigram": 3.0}),
        "xho": LanguageBits(False, 100, {"model": 2.0, "blind_unigram": 3.0}),
        "en": LanguageBits(True, 100, {"model": 1.0, "unigram": 2.5, "blind_unigram": 3.0}),
    }
    return OutsideReport(
        name="tatoeba",
        split="tatoeba",
        sha256="0" * 64,
        step=1234,
        texts=6000,
        layer=1,
        seed=0,
        resamples=2000,
        pairs=pairs,
        means=[mean("all", 3, 1 / 3), mean("seen", 2, 0.4), mean("unseen", 1, 0.2)],
        bits=OutsideBits(0.15, 400, 2000, bits, {"model": Amount(1.9, 1.0, 2.7)}, ["de", "en"], ["ja"]),
        bag=None,
        overlap=Overlap(5000, 20, 30, {"de": 40, "en": 10}, 100_000),
        tags={"deu": "de"},
        names={},
        notes=["no language is known by qqq"],
    )
