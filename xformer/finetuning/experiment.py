"""A fine-tuned run with its seeds, its baselines and its evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from xformer.data.labelled import Example, LabelledPair, LabelledText, LabelledWords
from xformer.evaluation.classification import metrics
from xformer.evaluation.classification.metrics import Probabilities, Scores, Targets
from xformer.evaluation.classification.picture import confusion_figure, scores_figure
from xformer.evaluation.classification.report import (
    ClassificationReport,
    LanguageReport,
    OracleGap,
    SystemScores,
    Uncalibrated,
)
from xformer.evaluation.classification.table import markdown
from xformer.evaluation.report_file import write_report
from xformer.finetuning.baselines import pair_baselines, text_baselines, word_baselines
from xformer.finetuning.config import FinetuningConfig
from xformer.finetuning.cosines import settle_cosines
from xformer.finetuning.data_record import DataRecord, PartRecord, write_data_record
from xformer.finetuning.finetune import SourceExamples, finetune, labelled
from xformer.finetuning.load import open_finetuned
from xformer.finetuning.model_card import write_finetuned_card
from xformer.finetuning.predict import logits_of, probabilities_of
from xformer.finetuning.watch import oracle_gaps, watch_languages, watched_sizes
from xformer.progress import Progress
from xformer.runs.directory import RunDirectory
from xformer.runs.settings import with_training

K = TypeVar("K", LabelledText, LabelledPair, LabelledWords)


@dataclass(frozen=True)
class Experiment:
    """What is trained and measured.

    Attributes:
        out: folder of the run with the first seed; the other seeds and the baselines lie in it.
        config: settings of that run.
        examples: of the source languages.
        tests: test examples, of any languages.
        within: labelled texts of the tested languages, which baselines alone are trained on.
        seeds: number of seeds.
        baselines: whether baselines are measured.
        watched: test examples of each language for the oracle gap; 0 for no gap.
        record: what the run keeps of its data; None for the counts alone.
    """

    out: Path
    config: FinetuningConfig
    examples: SourceExamples[Any]
    tests: Sequence[Example]
    within: Sequence[Example] = ()
    seeds: int = 1
    baselines: bool = True
    watched: int = 200
    record: DataRecord | None = None

    @property
    def languages(self) -> dict[str, list[Example]]:
        """The test examples by language."""
        return _by_language(self.tests)


def run_experiment(
    experiment: Experiment, progress: Progress, device: torch.device | None = None
) -> ClassificationReport | None:
    """Train all runs, from wherever they are, and evaluate them.

    Writes data.json, classification.json, classification.md, two pictures and the model card into the folder.

    Returns:
        The scores; None after Ctrl-C: what was trained is saved, and the same call goes on with it.

    Raises:
        InputError: as `finetune`.
    """
    if experiment.record is not None and (seen := experiment.record.seen):
        progress.say(
            f"{seen:,} of {len(experiment.tests):,} test examples stand in the training part as well; scores"
            " are higher than of what the model has not seen"
        )
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    config, out = experiment.config, experiment.out
    first = config.training.seed
    runs: dict[str, list[Path]] = {"model": []}
    for number in range(experiment.seeds):
        place = out if not number else out / "seeds" / str(first + number)
        seeded = with_training(config, seed=first + number)
        if not _train(experiment, place, seeded, progress, device):
            return None
        runs["model"].append(place)
    if experiment.baselines and not config.classifier.frozen:
        for name, changed in _variants(config).items():
            progress.say(f"baseline: {name}")
            if not _train(experiment, out / "baselines" / name, changed, progress, device):
                return None
            runs[name] = [out / "baselines" / name]
    baselines = _baselines(experiment, progress, device) if experiment.baselines else None
    run = RunDirectory(out)
    write_data_record(run, experiment.record or _counted(experiment))
    report = _evaluate(experiment, runs, baselines, progress, device)
    pictures = {
        run.classification_plot: scores_figure(report) if report.languages else None,
        run.confusion_plot: confusion_figure(report),
    }
    write_report(
        report,
        run.classification,
        pictures,
        progress,
        table=markdown(report),
        write_card=lambda: write_finetuned_card(run, report),
    )
    return report


def _counted(experiment: Experiment) -> DataRecord:
    """A record of examples that come from no file."""
    train, dev = experiment.examples.train, experiment.examples.dev
    return DataRecord(
        PartRecord.of(train),
        PartRecord.of(dev),
        PartRecord.of(experiment.tests),
        PartRecord.of(experiment.within),
    )


def _variants(config: FinetuningConfig) -> dict[str, FinetuningConfig]:
    """The same without pretraining, and without blocks.

    Without blocks the first token says nothing of a text, so a bag has a head of this project.
    """
    return {
        "untrained": replace(config, base=replace(config.base, init="random")),
        "bag": replace(config, classifier=replace(config.classifier, layers=0, head="own")),
    }


def _train(
    experiment: Experiment, place: Path, config: FinetuningConfig, progress: Progress, device: torch.device
) -> bool:
    watch = watch_languages(experiment.tests, experiment.watched) if experiment.watched else None

    def prepare(run: RunDirectory) -> None:
        # What needs the pretrained run, which may be gone when this one goes on.
        if place == experiment.out and experiment.baselines and config.classifier.example == "pair":
            _cosines(experiment, progress, device)

    return finetune(place, config, experiment.examples, progress, device, watch, prepare)


def _cosines(
    experiment: Experiment, progress: Progress, device: torch.device
) -> dict[str, NDArray[np.float64]]:
    pairs = {"train": experiment.examples.train, **experiment.languages}
    contents = {part: [one.content for one in _of(LabelledPair, some)] for part, some in pairs.items()}
    return settle_cosines(experiment.out / "baselines", experiment.config, contents, progress, device)


@dataclass(frozen=True)
class _Baselines:
    """Probabilities by language and system, and the number of texts that TF-IDF learned from."""

    found: dict[str, dict[str, Probabilities]]
    trained_on: dict[str, int]


def _baselines(experiment: Experiment, progress: Progress, device: torch.device) -> _Baselines:
    config, train, tests = experiment.config, experiment.examples.train, experiment.languages
    if config.classifier.example == "pair":
        of_pairs = {tag: _of(LabelledPair, some) for tag, some in tests.items()}
        cosines = _cosines(experiment, progress, device)
        return _Baselines(pair_baselines(config, _of(LabelledPair, train), of_pairs, cosines), {})
    if config.classifier.example == "words":
        of_words = {tag: _of(LabelledWords, some) for tag, some in tests.items()}
        return _Baselines(word_baselines(config, _of(LabelledWords, train), of_words, progress), {})
    within = _by_language([*train, *experiment.within])
    return _Baselines(
        *text_baselines(
            config,
            _of(LabelledText, train),
            {tag: _of(LabelledText, some) for tag, some in within.items()},
            {tag: _of(LabelledText, some) for tag, some in tests.items()},
            progress,
        )
    )


def _evaluate(
    experiment: Experiment,
    runs: dict[str, list[Path]],
    baselines: _Baselines | None,
    progress: Progress,
    device: torch.device,
) -> ClassificationReport:
    config, tests = experiment.config, experiment.languages
    found: dict[str, dict[str, list[Probabilities]]] = {tag: {} for tag in tests}
    uncalibrated: dict[str, list[Probabilities]] = {tag: [] for tag in tests}
    steps, dev_accuracy, temperatures = [], [], []
    oracles: dict[str, list[OracleGap]] = {tag: [] for tag in tests}
    sizes = watched_sizes(experiment.tests, experiment.watched)
    truth: dict[str, Targets] = {}
    units: dict[str, NDArray[np.int64]] = {}
    for system, places in runs.items():
        for place in places:
            opened = open_finetuned(place)
            if system == "model":
                steps.append(opened.state.step)
                dev_accuracy.append(1.0 - (opened.state.held_out or 0.0))
                temperatures.append(opened.temperature)
                for tag, gap in oracle_gaps(opened.run, opened.state.step, sizes).items():
                    oracles[tag].append(gap)
            for tag, examples in tests.items():
                data = labelled(examples, opened.config, opened.tokenizer)
                truth[tag], units[tag] = data.truth(len(config.classifier.labels)), data.inputs.units
                logits = logits_of(
                    opened.model.to(device), data.inputs, device, what=f"{system} in {tag}", progress=progress
                )
                several = config.classifier.multi_label
                of_system = probabilities_of(logits, several, opened.temperature)
                found[tag].setdefault(system, []).append(of_system)
                if system == "model":
                    uncalibrated[tag].append(probabilities_of(logits, several))
    if baselines is not None:
        for tag, systems in baselines.found.items():
            found[tag] |= {name: [probabilities] for name, probabilities in systems.items()}
    source = tuple(sorted({one.language for one in experiment.examples.train}))
    languages = {
        tag: _language(
            found[tag],
            uncalibrated[tag],
            truth[tag],
            units[tag],
            config.classifier.multi_label,
            tag in source,
            None if baselines is None else baselines.trained_on.get(tag),
            oracles[tag],
        )
        for tag in tests
    }
    return ClassificationReport(
        run=experiment.out.resolve().name,
        base=Path(config.base.run).name,
        step=tuple(steps),
        seeds=tuple(config.training.seed + number for number in range(experiment.seeds)),
        frozen=config.classifier.frozen,
        multi_label=config.classifier.multi_label,
        labels=config.classifier.labels,
        source=source,
        train_texts=len(experiment.examples.train),
        dev_accuracy=tuple(dev_accuracy),
        temperature=tuple(temperatures),
        languages=languages,
        example=config.classifier.example,
        parallel=None if config.consistency.corpus is None else Path(config.consistency.corpus).name,
    )


def _language(
    found: dict[str, list[Probabilities]],
    uncalibrated: list[Probabilities],
    truth: Targets,
    units: NDArray[np.int64],
    multi_label: bool,
    source: bool,
    trained_on: int | None,
    oracles: list[OracleGap],
) -> LanguageReport:
    systems = {}
    for name, seeds in found.items():
        correct = np.stack([metrics.right(one, truth, multi_label) for one in seeds])
        low, high = metrics.interval(correct, units)
        size = trained_on if name in ("words", "characters") else None
        mean = _mean([metrics.scores(one, truth, multi_label) for one in seeds])
        systems[name] = SystemScores(mean, low, high, tuple(correct.mean(axis=1).tolist()), size)
    first = found["model"][0]
    counts = () if multi_label else tuple(map(tuple, metrics.confusion(first, truth).tolist()))
    oracle = None
    if oracles:
        chosen, best = (
            float(np.mean([getattr(one, name) for one in oracles])) for name in ("chosen", "best")
        )
        oracle = OracleGap(chosen, best, oracles[0].texts)
    reliability, before = (metrics.calibration(each, truth, multi_label) for each in (first, uncalibrated[0]))
    raw = _mean([metrics.scores(one, truth, multi_label) for one in uncalibrated])
    without = Uncalibrated(raw.log_loss, raw.ece, before)
    return LanguageReport(len(truth), source, systems, reliability, without, counts, oracle)


def _mean(found: list[Scores]) -> Scores:
    names = ("accuracy", "macro_f1", "micro_f1", "log_loss", "ece")
    return Scores(**{name: float(np.mean([getattr(one, name) for one in found])) for name in names})


def _by_language(examples: Sequence[Example]) -> dict[str, list[Example]]:
    found: dict[str, list[Example]] = {}
    for one in examples:
        found.setdefault(one.language, []).append(one)
    return dict(sorted(found.items()))


def _of(kind: type[K], examples: Sequence[Example]) -> list[K]:
    """The examples, all of which are of a kind."""
    return [one for one in examples if isinstance(one, kind)]
