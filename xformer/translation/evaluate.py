"""Scores of a translation run on test texts, and of two runs beside each other."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch

from xformer.data.translated import direction_named
from xformer.errors import InputError
from xformer.evaluation.report_file import write_report
from xformer.evaluation.translation.report import DirectionReport, TranslationComparison, TranslationReport
from xformer.evaluation.translation.scores import paired, require_scorers, scores
from xformer.evaluation.translation.table import translation_markdown
from xformer.generation.options import GenerationOptions
from xformer.progress import Progress
from xformer.runs.directory import RunDirectory
from xformer.runs.find import find_run
from xformer.storage.files import atomic_write
from xformer.translation.data_record import TranslationRecord
from xformer.translation.load import open_translation
from xformer.translation.model_card import write_translation_card
from xformer.translation.translator import Search, Translator

_AT_ONCE = 512


@dataclass(frozen=True)
class TestPair:
    """A text to translate and what it should become.

    Attributes:
        source: the text.
        reference: its translation by people.
        translation: by the run; empty before.
    """

    source: str
    reference: str
    translation: str = ""


def evaluate_translator(
    path: str | os.PathLike[str],
    tests: Mapping[str, Sequence[TestPair]],
    progress: Progress,
    beam: int = 4,
    device: torch.device | None = None,
) -> TranslationReport:
    """Translate test texts and score them; writes the scores, the translations and the model card.

    Args:
        path: a translation run.
        tests: by direction; a direction without any is left out.
        progress: where to report.
        beam: width of the search.
        device: by default a GPU if there is one.

    Raises:
        InputError: a text is too long, or sacreBLEU is missing.
    """
    opened = open_translation(path)
    if tests:
        require_scorers([direction_named(name).target for name in tests])
    place = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    translator = Translator(opened, place)
    found: dict[str, DirectionReport] = {}
    for name, pairs in tests.items():
        direction, sources = direction_named(name), [pair.source for pair in pairs]
        translations = written(translator, name, sources, beam, partial(progress, f"translate {name}"))
        references = [pair.reference for pair in pairs]
        found[name] = DirectionReport(
            len(pairs),
            scores(translations, references, direction.target),
            scores(sources, references, direction.target),
        )
        done = zip(pairs, translations, strict=True)
        rows = [asdict(TestPair(pair.source, pair.reference, text)) for pair, text in done]
        keep_rows(opened.run.translations / f"{name}.jsonl", rows)
    base = opened.config.origin.run
    record = TranslationRecord.load(opened.run) if opened.run.translated_data.is_file() else None
    report = TranslationReport(
        opened.run.path.resolve().name,
        None if base is None else Path(base).name,
        opened.state.step,
        beam,
        opened.state.elapsed / 60,
        0 if record is None else record.seen,
        found,
    )
    write_report(
        report,
        opened.run.translation,
        {},
        progress,
        table=translation_markdown(report) if found else None,
        write_card=lambda: write_translation_card(opened.run, results_of(report), report.seen),
    )
    return report


def results_of(report: TranslationReport) -> str | None:
    """What the model card says of the scores."""
    if not report.directions:
        return None
    return (
        f"On held-out texts that chose nothing, with a beam of {report.beam}; intervals are over"
        f" resampled texts. Copying the source stands beside it.\n\n{translation_markdown(report)}"
    )


def evaluate_again(run: RunDirectory, progress: Progress, *, force: bool) -> TranslationReport:
    """The scores of a run on the test texts that it keeps.

    Args:
        run: a translation run.
        progress: where to report.
        force: translate again, even if the run has scores of this checkpoint.

    Raises:
        InputError: the run has no test texts.
    """
    tests = kept_translations(run)
    saved = TranslationReport.load_if_there(run.translation)
    step = open_translation(run.path).state.step
    if saved is not None and saved.step == step and not force:
        progress.say(f"evaluated before, at step {step:,}; --force does it again")
        return saved
    return evaluate_translator(run.path, tests, progress, 4 if saved is None else saved.beam)


def compare_translators(
    path: str | os.PathLike[str], against: str | os.PathLike[str]
) -> TranslationComparison:
    """Two runs on the same texts, by their kept translations.

    Raises:
        InputError: a run has no translations, or they have no direction with the same texts.
    """
    ours, theirs = (kept_translations(find_run(one)) for one in (path, against))
    found = {}
    for name in ours.keys() & theirs.keys():
        same = [(one.source, one.reference) for one in ours[name]]
        if same != [(one.source, one.reference) for one in theirs[name]]:
            raise InputError(f"{path}, {against}: expected the same test texts, those of {name} differ")
        references = [one.reference for one in ours[name]]
        first, second = ([one.translation for one in its] for its in (ours[name], theirs[name]))
        found[name] = paired(first, second, references, direction_named(name).target)
    if not found:
        raise InputError(f"{path}, {against}: expected a direction that both were tested in, found none")
    return TranslationComparison(Path(path).resolve().name, Path(against).resolve().name, found)


def kept_translations(run: RunDirectory) -> dict[str, list[TestPair]]:
    """The test texts of a run with their translations, by direction.

    Raises:
        InputError: there are none, or a file is damaged.
    """
    return kept_pairs(run, run.translations, "translations", lambda row: TestPair(**row))


def kept_pairs(
    run: RunDirectory, folder: Path, what: str, pair: Callable[[dict[str, str]], TestPair]
) -> dict[str, list[TestPair]]:
    """The test texts that a run keeps in a folder, by direction.

    Args:
        run: the run.
        folder: of `keep_rows`.
        what: is kept with them, for messages.
        pair: makes a test text of a row.

    Raises:
        InputError: there are none, or a file is damaged.
    """
    found: dict[str, list[TestPair]] = {}
    for path in sorted(folder.glob("*.jsonl")):
        try:
            lines = path.read_text(encoding="utf-8").split("\n")[:-1]
            found[path.stem] = [pair(json.loads(line)) for line in lines]
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise InputError(f"{path}: expected test texts with {what}: {error}") from error
    if not found:
        raise InputError(
            f"{run.path}: has no test texts; give the command that made it with --test FILES: nothing is"
            " trained again"
        )
    return found


def written(
    translator: Translator,
    direction: str,
    sources: Sequence[str],
    beam: int,
    on_done: Callable[[int, int], None],
) -> list[str]:
    """What a run writes of texts.

    Args:
        translator: of the run.
        direction: from any language to one that the run writes.
        sources: the texts.
        beam: width of the search.
        on_done: called with the number of texts that are done, and that of all.

    Raises:
        InputError: a text is too long, or the run does not write the language.
    """
    target, search = direction_named(direction, same=True).target, Search(GenerationOptions(beam=beam))
    translator.check(sources)
    found: list[str] = []
    for start in range(0, len(sources), _AT_ONCE):
        its = translator.translate(sources[start : start + _AT_ONCE], target, search=search, first=start)
        found += [one[0].text for one in its]
        on_done(len(found), len(sources))
    return found


def keep_rows(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    """Write rows as JSON lines, in a folder that is made."""
    path.parent.mkdir(exist_ok=True)
    with atomic_write(path) as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
