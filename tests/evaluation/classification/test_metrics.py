from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from xformer.evaluation.classification.metrics import (
    calibration,
    confusion,
    decisions,
    interval,
    right,
    scores,
)


@st.composite
def problems(draw: st.DrawFn, several: bool = False) -> tuple[np.ndarray, np.ndarray]:
    texts, classes = draw(st.integers(1, 30)), draw(st.integers(2, 5))
    raw = draw(arrays(np.float64, (texts, classes), elements=st.floats(0.001, 1.0)))
    if several:
        return raw, draw(arrays(bool, (texts, classes)))
    targets = np.zeros((texts, classes), dtype=bool)
    targets[np.arange(texts), draw(arrays(np.int64, texts, elements=st.integers(0, classes - 1)))] = True
    return raw / raw.sum(axis=1, keepdims=True), targets


@given(problems())
def test_scores_are_those_of_scikit_learn(problem: tuple[np.ndarray, np.ndarray]) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    probabilities, targets = problem
    truth, said = targets.argmax(axis=1), probabilities.argmax(axis=1)
    classes = range(targets.shape[1])
    found = scores(probabilities, targets, multi_label=False)
    assert found.accuracy == pytest.approx(metrics.accuracy_score(truth, said))
    assert found.micro_f1 == pytest.approx(found.accuracy)
    assert found.macro_f1 == pytest.approx(metrics.f1_score(truth, said, average="macro"))
    assert found.log_loss == pytest.approx(metrics.log_loss(truth, probabilities, labels=list(classes)))
    expected = metrics.confusion_matrix(truth, said, labels=list(classes))
    assert confusion(probabilities, targets).tolist() == expected.tolist()
    assert right(probabilities, targets, False).tolist() == (truth == said).astype(float).tolist()


@given(problems(several=True))
def test_scores_of_several_labels_are_those_of_scikit_learn(
    problem: tuple[np.ndarray, np.ndarray],
) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    probabilities, targets = problem
    said = decisions(probabilities, multi_label=True)
    found = scores(probabilities, targets, multi_label=True)
    assert found.accuracy == pytest.approx((said == targets).all(axis=1).mean())
    options = {"zero_division": 0.0}
    assert found.micro_f1 == pytest.approx(metrics.f1_score(targets, said, average="micro", **options))
    used = np.flatnonzero(targets.any(axis=0) | said.any(axis=0))
    each = metrics.f1_score(targets, said, average=None, **options)
    assert found.macro_f1 == pytest.approx(each[used].mean() if len(used) else 0.0)


@given(problems())
def test_calibration_adds_up(problem: tuple[np.ndarray, np.ndarray]) -> None:
    probabilities, targets = problem
    found = calibration(probabilities, targets, multi_label=False, bins=7)
    assert sum(one.answers for one in found.bins) == len(targets)
    gaps = sum(one.answers * abs(one.confidence - one.accuracy) for one in found.bins) / len(targets)
    assert found.ece == pytest.approx(gaps)
    for one in found.bins:
        assert one.low - 1e-9 <= one.confidence <= one.high + 1e-9


def test_who_is_right_as_often_as_sure_is_calibrated() -> None:
    probabilities = np.repeat([[0.8, 0.2]], 10, axis=0)
    targets = np.array([[True, False]] * 8 + [[False, True]] * 2)
    assert calibration(probabilities, targets, False).ece == pytest.approx(0.0)
    assert calibration(probabilities[:5], targets[:5], False).ece == pytest.approx(0.2)


def test_the_interval_is_that_of_a_mean() -> None:
    values = np.random.default_rng(0).random((1, 900)) < 0.7
    low, high = interval(values.astype(np.float64))
    error = 1.96 * np.sqrt(0.7 * 0.3 / 900)
    assert low == pytest.approx(values.mean() - error, abs=0.006)
    assert high == pytest.approx(values.mean() + error, abs=0.006)


def test_seeds_that_differ_widen_it() -> None:
    rng = np.random.default_rng(1)
    alike = np.repeat((rng.random((1, 400)) < 0.5).astype(np.float64), 3, axis=0)
    apart = np.stack([(rng.random(400) < share).astype(np.float64) for share in (0.3, 0.5, 0.7)])
    width = [high - low for low, high in (interval(alike), interval(apart))]
    assert width[1] > 1.5 * width[0]
