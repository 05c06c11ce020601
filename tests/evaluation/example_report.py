"""An evaluation report with scores as they might be."""

from __future__ import annotations

import numpy as np

from xformer.evaluation.bag import BagRecord
from xformer.evaluation.report import EvaluationReport, LanguageScores, MaskedLMScores, RetrievalScores


def example_report(n_languages: int = 60) -> EvaluationReport:
    """Sixty languages; the model beats the bag in all but every fourth."""
    rng = np.random.default_rng(0)
    tags = [f"l{number:02d}" for number in range(n_languages)]

    def scores(number: int) -> LanguageScores:
        bag = float(rng.uniform(0.5, 0.8))
        top1 = bag + (-0.05 if number % 4 == 0 else 0.07)
        return LanguageScores(
            messages=1000 + number,
            top1=top1,
            to_pivot_top1=top1 - 0.01,
            from_pivot_top1=top1 + 0.01,
            mrr=top1 + 0.05,
            to_pivot_mrr=top1 + 0.04,
            from_pivot_mrr=top1 + 0.06,
            bag_top1=bag,
            bag_mrr=bag + 0.05,
            untrained_top1=0.2,
            untrained_mrr=0.25,
        )

    languages = {tag: scores(number) for number, tag in enumerate(tags)}
    retrieval = RetrievalScores(
        pivot="en",
        candidates=1234,
        min_messages=100,
        layer=1,
        dev_top1_by_layer=[0.5, 0.75, 0.7],
        mean_top1=float(np.mean([one.top1 for one in languages.values()])),
        bag_mean_top1=float(np.mean([one.bag_top1 for one in languages.values()])),
        untrained_mean_top1=0.2,
        mean_mrr=0.8,
        bag_mean_mrr=0.7,
        untrained_mean_mrr=0.25,
        languages=languages,
        left_out={"tlh": 3, "eo": 99},
    )
    everyone = [*tags, "en", "eo"]
    mlm = MaskedLMScores(
        rate=0.15,
        hidden_tokens=dict.fromkeys(everyone, 900),
        bits_per_byte=dict.fromkeys(everyone, 1.5),
        unigram_bits_per_byte=dict.fromkeys(everyone, 2.5),
        blind_unigram_bits_per_byte=dict.fromkeys(everyone, 3.1),
        untrained_bits_per_byte=dict.fromkeys(everyone, 4.5),
        mean_bits_per_byte=1.51,
        unigram_mean_bits_per_byte=2.51,
        blind_unigram_mean_bits_per_byte=3.12,
        untrained_mean_bits_per_byte=4.51,
        overall_bits_per_byte=1.49,
        unigram_overall_bits_per_byte=2.49,
        blind_unigram_overall_bits_per_byte=3.13,
        untrained_overall_bits_per_byte=4.49,
    )
    return EvaluationReport(
        split="test",
        split_sha256="0" * 64,
        step=4321,
        texts=20_000,
        messages=1234,
        seed=0,
        retrieval=retrieval,
        mlm=mlm,
        bag=BagRecord(steps=4000, pairs=512.5, seconds=100.0, waited=1.0, loss=2.6),
        seconds={"retrieval": 12.0},
    )


def retrieval_of(report: EvaluationReport) -> RetrievalScores:
    """The scores of retrieval, which are there."""
    assert report.retrieval is not None
    return report.retrieval
