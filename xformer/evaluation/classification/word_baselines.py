"""Baselines for tags of words that look at the word alone: its tags in training, and its letters.

Shapes: M training words, W words, N tags.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from xformer.evaluation.classification.baselines import require_scikit_learn
from xformer.evaluation.classification.metrics import Probabilities, Targets, scores

_STRENGTHS = (1.0, 10.0, 100.0)
"""Inverse strengths of regularisation, of which a tenth of the different words chooses one."""


def tags_as_seen(words: Sequence[str], targets: Targets) -> Callable[[Sequence[str]], Probabilities]:
    """The tags that each word had in training (a unigram tagger).

    A word counts as if it had been seen once more with the shares of all words' tags; so one that training
    lacks has these, and the commonest of all tags.

    Args:
        words: M.
        targets: (M, N) with one tag each.

    Returns:
        A function from words to probabilities (W, N).
    """
    share = targets.mean(axis=0)
    counts: dict[str, np.ndarray] = {}
    for word, tag in zip(words, targets.argmax(axis=1).tolist(), strict=True):
        if word not in counts:
            counts[word] = share.copy()
        counts[word][tag] += 1

    def predict(asked: Sequence[str]) -> Probabilities:
        if not asked:
            return np.zeros((0, len(share)))
        found = np.stack([counts.get(word, share) for word in asked])
        probabilities: Probabilities = found / found.sum(axis=1, keepdims=True)
        return probabilities

    return predict


def tags_by_letters(
    words: Sequence[str], targets: Targets, seed: int = 0
) -> Callable[[Sequence[str]], Probabilities]:
    """Fit logistic regression on a word's character n-grams, of one to four characters, its ends marked.

    A word that occurs often counts as often. A tenth of the different words chooses the strength of
    regularisation; then the regression is fitted to all.

    Args:
        words: M.
        targets: (M, N) with one tag each.
        seed: which words choose.

    Returns:
        A function from words to probabilities (W, N). A tag without a training word has probability 0.

    Raises:
        InputError: scikit-learn is not installed.
    """
    require_scikit_learn()
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    n_tags = targets.shape[1]
    seen = Counter(zip(words, targets.argmax(axis=1).tolist(), strict=True))
    different = list(dict.fromkeys(word for word, _ in seen))
    place = {word: at for at, word in enumerate(different)}
    rows = np.array([place[word] for word, _ in seen])
    tags = np.array([tag for _, tag in seen])
    weight = np.array(list(seen.values()), dtype=np.float64)
    counter = TfidfVectorizer(
        analyzer="char_wb", ngram_range=(1, 4), lowercase=False, sublinear_tf=True, dtype=np.float32
    )
    # A word of nothing but space would have no n-gram; its ends are marked all the same.
    vectors = counter.fit_transform(different)

    def fit(used: np.ndarray, strength: float) -> Callable[[np.ndarray], Probabilities]:
        model = LogisticRegression(C=strength, max_iter=200, tol=1e-3)
        model.fit(vectors[rows[used]], tags[used], sample_weight=weight[used])

        def of(asked: object) -> Probabilities:
            found = np.zeros((asked.shape[0], n_tags))  # type: ignore[attr-defined]
            found[:, model.classes_] = model.predict_proba(asked)
            return found

        return of

    chosen = (np.random.default_rng(seed).random(len(different)) < 0.1)[rows]
    strength = _STRENGTHS[1]
    if chosen.sum() >= 20 and len(np.unique(tags[~chosen])) >= 2:
        truth = np.eye(n_tags, dtype=bool)[tags[chosen]]

        def loss(one: float) -> float:
            return scores(fit(~chosen, one)(vectors[rows[chosen]]), truth, False).log_loss

        strength = min(_STRENGTHS, key=loss)
    fitted = fit(np.ones(len(rows), dtype=bool), strength)

    def predict(asked: Sequence[str]) -> Probabilities:
        if not asked:
            return np.zeros((0, n_tags))
        once = list(dict.fromkeys(asked))
        where = {word: at for at, word in enumerate(once)}
        return fitted(counter.transform(once))[[where[word] for word in asked]]

    return predict
