"""A fine-tuned run with its seeds, its baselines and its evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from xformer.data.labelled import LabelledText
from xformer.evaluation.classification import metrics
from xformer.evaluation.classification.baselines import Units, majority, tfidf
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
from xformer.finetuning.config import FinetuningConfig
from xformer.finetuning.finetune import SourceTexts, finetune, labelled
from xformer.finetuning.load import open_finetuned
from xformer.finetuning.predict import logits_of, probabilities_of
from xformer.finetuning.watch import oracle_gaps, watch_languages, watched_sizes
from xformer.progress import Progress
from xformer.runs.directory import RunDirectory
from xformer.runs.settings import with_training


@dataclass(frozen=True)
class Experiment:
    """What is trained and measured.

    Attributes:
        out: folder of the run with the first seed; the other seeds and the baselines lie in it.
        config: settings of that run.
        texts: of the source languages.
        tests: test texts, of any languages.
        within: labelled texts of the tested languages, which baselines alone are trained on.
        seeds: number of seeds.
        baselines: whether baselines are measured.
        watched: test texts of each language for the oracle gap; 0 for no gap.
    """

    out: Path
    config: FinetuningConfig
    texts: SourceTexts
    tests: Sequence[LabelledText]
    within: Sequence[LabelledText] = ()
    seeds: int = 1
    baselines: bool = True
    watched: int = 200

    @property
    def languages(self) -> dict[str, list[LabelledText]]:
        """The test texts by language."""
        return _by_language(self.tests)


def run_experiment(
    experiment: Experiment, progress: Progress, device: torch.device | None = None
) -> ClassificationReport | None:
    """Train all runs, from wherever they are, and evaluate them.

    Writes classification.json, classification.md and two pictures into the folder.

    Returns:
        The scores; None after Ctrl-C: what was trained is saved, and the same call goes on with it.

    Raises:
        InputError: as `finetune`.
    """
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
    report = _evaluate(experiment, runs, progress, device)
    run = RunDirectory(out)
    pictures = {
        run.classification_plot: scores_figure(report),
        run.confusion_plot: confusion_figure(report),
    }
    write_report(report, run.classification, pictures, progress, table=markdown(report))
    return report


def _variants(config: FinetuningConfig) -> dict[str, FinetuningConfig]:
    """The same without pretraining, and without blocks."""
    return {
        "untrained": replace(config, base=replace(config.base, init="random")),
        "bag": replace(config, classifier=replace(config.classifier, layers=0)),
    }


def _train(
    experiment: Experiment, place: Path, config: FinetuningConfig, progress: Progress, device: torch.device
) -> bool:
    watch = watch_languages(experiment.tests, experiment.watched) if experiment.watched else None
    return finetune(place, config, experiment.texts, progress, device, watch)


def _evaluate(
    experiment: Experiment, runs: dict[str, list[Path]], progress: Progress, device: torch.device
) -> ClassificationReport:
    config, tests = experiment.config, experiment.languages
    found: dict[str, dict[str, list[Probabilities]]] = {tag: {} for tag in tests}
    uncalibrated: dict[str, list[Probabilities]] = {tag: [] for tag in tests}
    steps, dev_accuracy, temperatures = [], [], []
    oracles: dict[str, list[OracleGap]] = {tag: [] for tag in tests}
    sizes = watched_sizes(experiment.tests, experiment.watched)
    truth: dict[str, Targets] = {}
    for system, places in runs.items():
        for place in places:
            opened = open_finetuned(place)
            if system == "model":
                steps.append(opened.state.step)
                dev_accuracy.append(1.0 - (opened.state.held_out or 0.0))
                temperatures.append(opened.temperature)
                for tag, gap in oracle_gaps(opened.run, opened.state.step, sizes).items():
                    oracles[tag].append(gap)
            for tag, texts in tests.items():
                data = labelled(texts, opened.config, opened.tokenizer)
                truth[tag] = data.truth(len(config.classifier.labels))
                logits = logits_of(
                    opened.model.to(device), data.texts, device, what=f"{system} in {tag}", progress=progress
                )
                several = config.classifier.multi_label
                of_system = probabilities_of(logits, several, opened.temperature)
                found[tag].setdefault(system, []).append(of_system)
                if system == "model":
                    uncalibrated[tag].append(probabilities_of(logits, several))
    trained_on = _add_baselines(experiment, found, truth, progress) if experiment.baselines else {}
    source = tuple(sorted({one.language for one in experiment.texts.train}))
    languages = {
        tag: _language(
            found[tag],
            uncalibrated[tag],
            truth[tag],
            config.classifier.multi_label,
            tag in source,
            trained_on.get(tag),
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
        train_texts=len(experiment.texts.train),
        dev_accuracy=tuple(dev_accuracy),
        temperature=tuple(temperatures),
        languages=languages,
    )


def _add_baselines(
    experiment: Experiment,
    found: dict[str, dict[str, list[Probabilities]]],
    truth: dict[str, Targets],
    progress: Progress,
) -> dict[str, int]:
    """Add the baselines without an encoder; the number of texts they learned from, by language."""
    labels, multi_label = experiment.config.classifier.labels, experiment.config.classifier.multi_label
    own = _by_language(experiment.texts.train)
    source = _targets(experiment.texts.train, labels)
    for tag, texts in _by_language(experiment.within).items():
        own.setdefault(tag, []).extend(texts)
    used: dict[str, int] = {}
    units: tuple[Units, ...] = ("words", "characters")
    for done, (tag, texts) in enumerate(experiment.languages.items()):
        found[tag]["majority"] = [majority(source, len(texts))]
        train = own.get(tag, [])
        targets = _targets(train, labels)
        if len(np.flatnonzero(targets.any(axis=0))) >= 2:
            used[tag] = len(train)
            for unit in units:
                progress(f"TF-IDF {unit} in {tag}", done, len(experiment.languages))
                fitted = tfidf(unit, [one.text for one in train], targets, multi_label)
                found[tag][unit] = [fitted([one.text for one in texts])]
    return used


def _language(
    found: dict[str, list[Probabilities]],
    uncalibrated: list[Probabilities],
    truth: Targets,
    multi_label: bool,
    source: bool,
    trained_on: int | None,
    oracles: list[OracleGap],
) -> LanguageReport:
    systems = {}
    for name, seeds in found.items():
        correct = np.stack([metrics.right(one, truth, multi_label) for one in seeds])
        low, high = metrics.interval(correct)
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


def _by_language(texts: Sequence[LabelledText]) -> dict[str, list[LabelledText]]:
    found: dict[str, list[LabelledText]] = {}
    for one in texts:
        found.setdefault(one.language, []).append(one)
    return dict(sorted(found.items()))


def _targets(texts: Sequence[LabelledText], labels: Sequence[str]) -> Targets:
    number = {label: place for place, label in enumerate(labels)}
    found = np.zeros((len(texts), len(labels)), dtype=bool)
    for row, one in enumerate(texts):
        found[row, [number[label] for label in one.labels]] = True
    return found
