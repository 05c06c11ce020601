"""The baselines without fine-tuning that a kind of example is measured beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from xformer.data.labelled import Example, LabelledPair, LabelledText, LabelledWords
from xformer.errors import InputError
from xformer.evaluation.classification.baselines import Units, majority, require_scikit_learn, tfidf
from xformer.evaluation.classification.metrics import Probabilities, Targets
from xformer.evaluation.classification.pair_baselines import length_ratios, regression
from xformer.evaluation.classification.word_baselines import tags_as_seen, tags_by_letters
from xformer.finetuning.config import FinetuningConfig
from xformer.progress import Progress

BySystem = dict[str, Probabilities]


def targets_of(examples: Sequence[Example], labels: Sequence[str]) -> Targets:
    """Which labels (U, N) the texts, pairs or words of examples have."""
    number = {label: place for place, label in enumerate(labels)}
    answers = [answer for one in examples for answer in one.answers]
    found = np.zeros((len(answers), len(labels)), dtype=bool)
    for row, answer in enumerate(answers):
        found[row, [number[label] for label in answer]] = True
    return found


def text_baselines(
    config: FinetuningConfig,
    train: Sequence[LabelledText],
    within: Mapping[str, Sequence[LabelledText]],
    tests: Mapping[str, Sequence[LabelledText]],
    progress: Progress,
) -> tuple[dict[str, BySystem], dict[str, int]]:
    """The majority, and TF-IDF within each language.

    Args:
        config: settings of the run.
        train: the training texts.
        within: labelled texts that TF-IDF learns from, by language; those of training are among them.
        tests: test texts by language.
        progress: where to report.

    Returns:
        Probabilities by language and system, and by language the number of texts that TF-IDF learned from.
    """
    labels, multi_label = config.classifier.labels, config.classifier.multi_label
    source = targets_of(train, labels)
    found: dict[str, BySystem] = {}
    used: dict[str, int] = {}
    units: tuple[Units, ...] = ("words", "characters")
    for done, (tag, texts) in enumerate(tests.items()):
        found[tag] = {"majority": majority(source, len(texts))}
        own = within.get(tag, [])
        targets = targets_of(own, labels)
        if len(np.flatnonzero(targets.any(axis=0))) >= 2:
            used[tag] = len(own)
            for unit in units:
                progress(f"TF-IDF {unit} in {tag}", done, len(tests))
                fitted = tfidf(unit, [one.text for one in own], targets, multi_label)
                found[tag][unit] = fitted([one.text for one in texts])
    return found, used


def pair_baselines(
    config: FinetuningConfig,
    train: Sequence[LabelledPair],
    tests: Mapping[str, Sequence[LabelledPair]],
    cosines: Mapping[str, NDArray[np.float64]],
) -> dict[str, BySystem]:
    """The majority, a threshold of the pretrained vectors' cosine, and the ratio of lengths.

    Args:
        config: settings of the run.
        train: the training pairs.
        tests: test pairs by languages.
        cosines: of the pairs of `train` and of each part of the tests (`xformer.finetuning.cosines`).
    """
    targets = targets_of(train, config.classifier.labels)
    by_cosine = regression(cosines["train"][:, None], targets)
    by_length = regression(length_ratios([one.content for one in train]), targets)
    return {
        tag: {
            "cosine": by_cosine(cosines[tag][:, None]),
            "length": by_length(length_ratios([one.content for one in pairs])),
            "majority": majority(targets, len(pairs)),
        }
        for tag, pairs in tests.items()
    }


def word_baselines(
    config: FinetuningConfig,
    train: Sequence[LabelledWords],
    tests: Mapping[str, Sequence[LabelledWords]],
    progress: Progress,
) -> dict[str, BySystem]:
    """The commonest tag, the word's tags in training, and its letters where scikit-learn is installed."""
    targets = targets_of(train, config.classifier.labels)
    words = [word for one in train for word in one.words]
    systems = {"seen": tags_as_seen(words, targets)}
    try:
        require_scikit_learn()
    except InputError as error:
        progress.say(f"no baseline of letters: {error}")
    else:
        progress("letters of words", 0, 1)
        systems["letters"] = tags_by_letters(words, targets)
    found: dict[str, BySystem] = {}
    for tag, sentences in tests.items():
        asked = [word for one in sentences for word in one.words]
        found[tag] = {name: predict(asked) for name, predict in systems.items()}
        found[tag]["majority"] = majority(targets, len(asked))
    return found
