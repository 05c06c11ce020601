"""A run that translates or summarizes, with its evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from xformer.data.translated import Direction, TranslatedTexts
from xformer.evaluation.summarization.report import SummarizationReport
from xformer.evaluation.translation.report import TranslationReport
from xformer.progress import Progress
from xformer.runs.directory import RunDirectory
from xformer.translation.config import TranslationConfig
from xformer.translation.data_record import TranslationRecord
from xformer.translation.evaluate import TestPair, evaluate_translator
from xformer.translation.evaluate_summaries import evaluate_summarizer
from xformer.translation.train import TranslationTexts, train_translator


@dataclass(frozen=True)
class TranslationExperiment:
    """What is trained and measured.

    Attributes:
        out: folder of the run.
        config: its settings.
        texts: to learn from, and held out.
        test: to test with; None for nothing.
        beam: width of the search.
        record: what the run keeps of its data.
        tested: directions to test in.
    """

    out: Path
    config: TranslationConfig
    texts: TranslationTexts
    test: TranslatedTexts | None
    beam: int
    record: TranslationRecord
    tested: tuple[Direction, ...]

    def test_pairs(self) -> dict[str, list[TestPair]]:
        """The pairs to test with, by direction."""
        if self.test is None:
            return {}
        pairs = self.test.pairs(self.tested)
        found = dict[str, list[TestPair]]()
        for source, target, number in zip(pairs.source, pairs.target, pairs.direction, strict=True):
            one = TestPair(self.test.texts[source], self.test.texts[target])
            found.setdefault(str(pairs.directions[number]), []).append(one)
        return found


def run_experiment(
    experiment: TranslationExperiment, progress: Progress, device: torch.device | None = None
) -> TranslationReport | SummarizationReport | None:
    """Train from wherever the run is, and evaluate.

    Returns:
        The scores, of no direction where there are no test texts; None after Ctrl-C: what was trained is
        saved, and the same call goes on with it.

    Raises:
        InputError: as `train_translator` and `evaluate_translator`.
    """
    if experiment.record.seen:
        progress.say(
            f"{experiment.record.seen:,} of {len(experiment.test or ()):,} test texts stand in the training"
            " part as well; scores are higher than of what the model has not seen"
        )
    if not train_translator(experiment.out, experiment.config, experiment.texts, progress, device):
        return None
    experiment.record.save(RunDirectory(experiment.out))
    evaluate = evaluate_summarizer if experiment.config.translation.summarizes else evaluate_translator
    return evaluate(experiment.out, experiment.test_pairs(), progress, experiment.beam, device)
