from __future__ import annotations

import numpy as np
import pytest

from xformer.evaluation.classification.pair_baselines import length_ratios, regression


def test_two_classes_and_one_number_are_a_threshold(rng: np.random.Generator) -> None:
    truth = rng.random(400) < 0.5
    x = np.where(truth, 0.6, 0.3) + 0.08 * rng.standard_normal(400)
    predict = regression(x[:, None], np.stack([~truth, truth], axis=1))
    p = predict(np.linspace(0, 1, 50)[:, None])
    assert p.sum(axis=1) == pytest.approx(1)
    assert (np.diff(p[:, 1]) > 0).all()
    assert np.interp(0.5, p[:, 1], np.linspace(0, 1, 50)) == pytest.approx(0.45, abs=0.03)


def test_it_is_scikit_learn_s_regression(rng: np.random.Generator) -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    x, target = rng.standard_normal((300, 2)), rng.integers(0, 3, 300)
    x[:, 0] += target
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    # Ours has its ridge on the mean loss, and on the constant as well.
    other = linear.LogisticRegression(C=1 / (300 * 1e-3), tol=1e-10, fit_intercept=False, max_iter=500)
    other.fit(np.hstack([x, np.ones((300, 1))]), target)
    ours = regression(x, np.eye(3, dtype=bool)[target])(x)
    np.testing.assert_allclose(ours, other.predict_proba(np.hstack([x, np.ones((300, 1))])), atol=1e-5)


def test_numbers_that_say_nothing_and_numbers_that_say_all() -> None:
    target = np.eye(2, dtype=bool)[[0, 0, 0, 1]]
    assert regression(np.ones((4, 1)), target)(np.ones((1, 1)))[0] == pytest.approx([0.75, 0.25], abs=0.01)
    sure = regression(np.array([[0.0], [0.0], [0.0], [1.0]]), target)(np.array([[0.0], [1.0]]))
    assert np.isfinite(sure).all()
    assert sure.argmax(axis=1).tolist() == [0, 1]


def test_lengths() -> None:
    found = length_ratios([("aa", "aaaaa"), ("aaaaa", "aa"), ("", "")])
    np.testing.assert_allclose(found, [[np.log(2), np.log(2)], [-np.log(2), np.log(2)], [0, 0]])
    assert length_ratios([]).shape == (0, 2)
