"""Scores of a summarizing run on test texts, beside baselines that need no model."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import torch

from xformer.evaluation.report_file import write_report
from xformer.evaluation.summarization.judge import judge
from xformer.evaluation.summarization.report import (
    RUN,
    SummarizationReport,
    SummarizedDirection,
    summarization_markdown,
)
from xformer.evaluation.summarization.rouge import SIGNATURE, has_rouge
from xformer.progress import Progress
from xformer.runs.directory import RunDirectory
from xformer.translation.data_record import TranslationRecord
from xformer.translation.evaluate import TestPair, keep_rows, kept_pairs, written
from xformer.translation.load import open_translation
from xformer.translation.model_card import write_translation_card
from xformer.translation.translator import Translator

_ROUGELESS = "only chrF is measured: ROUGE needs rouge-score (pip install 'xformer[summarize]')"


def evaluate_summarizer(
    path: str | os.PathLike[str],
    tests: Mapping[str, Sequence[TestPair]],
    progress: Progress,
    beam: int = 4,
    device: torch.device | None = None,
) -> SummarizationReport:
    """Summarize test texts and score them; writes the scores, the summaries and the model card.

    ROUGE and chrF with 95% intervals of the difference to the first sentence, by bootstrap over texts.

    Args:
        path: a summarizing run.
        tests: by direction, maybe one that was never learned, to a language that the run writes.
        progress: where to report; told where ROUGE is missing.
        beam: width of the search.
        device: by default a GPU if there is one.

    Raises:
        InputError: the run does not write a language.
    """
    opened = open_translation(path)
    place = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    translator, with_rouge = Translator(opened, place), has_rouge()
    if tests and not with_rouge:
        progress.say(_ROUGELESS)
    found: dict[str, SummarizedDirection] = {}
    for name, pairs in tests.items():
        sources, references = [pair.source for pair in pairs], [pair.reference for pair in pairs]
        ours = written(translator, name, sources, beam, partial(progress, f"summarize {name}"))

        def tell(side: str, done: int, total: int, name: str = name) -> None:
            progress(f"{name}: {side}", done, total)

        sides = judge(sources, references, {RUN: ours}, progress=tell, with_rouge=with_rouge)
        found[name] = SummarizedDirection(len(pairs), sides)
        rows = [
            {"text": pair.source, "reference": pair.reference, "summary": text}
            for pair, text in zip(pairs, ours, strict=True)
        ]
        keep_rows(opened.run.summaries / f"{name}.jsonl", rows)
    base = opened.config.origin.run
    record = TranslationRecord.load(opened.run) if opened.run.translated_data.is_file() else None
    report = SummarizationReport(
        opened.run.path.resolve().name,
        None if base is None else Path(base).name,
        opened.state.step,
        beam,
        opened.state.elapsed / 60,
        0 if record is None else record.seen,
        SIGNATURE if with_rouge else None,
        opened.config.translation.directions,
        found,
    )
    write_report(
        report,
        opened.run.summarization,
        {},
        progress,
        table=summarization_markdown(report) if found else None,
        write_card=lambda: write_translation_card(opened.run, _results(report), report.seen),
    )
    return report


def evaluate_summaries_again(run: RunDirectory, progress: Progress, *, force: bool) -> SummarizationReport:
    """The scores of a run on the test texts that it keeps.

    Args:
        run: a summarizing run.
        progress: where to report.
        force: summarize again, even if the run has scores of this checkpoint.

    Raises:
        InputError: the run has no test texts, or a file of them is damaged.
    """
    tests = kept_pairs(run, run.summaries, "summaries", lambda row: TestPair(row["text"], row["reference"]))
    saved = SummarizationReport.load_if_there(run.summarization)
    step = open_translation(run.path).state.step
    if (
        saved is not None
        and saved.step == step
        and (saved.rouge is not None or not has_rouge())
        and not force
    ):
        progress.say(f"evaluated before, at step {step:,}; --force does it again")
        return saved
    return evaluate_summarizer(run.path, tests, progress, 4 if saved is None else saved.beam)


def _results(report: SummarizationReport) -> str | None:
    """What the model card says of the scores."""
    if not report.directions:
        return None
    return (
        f"On held-out texts that chose nothing, with a beam of {report.beam}; differences to the first"
        f" sentence have 95% intervals over resampled texts.\n\n{summarization_markdown(report)}"
    )
