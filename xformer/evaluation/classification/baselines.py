"""Baselines that need no encoder: the classes' frequencies, and TF-IDF with logistic regression.

Shapes: E texts, N classes.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from xformer.errors import InputError
from xformer.evaluation.classification.metrics import Probabilities, Targets, scores

Units = Literal["words", "characters"]

_STRENGTHS = (1.0, 10.0, 100.0)
"""Inverse strengths of regularisation, of which a tenth of the texts chooses one."""

_NO_SPACES = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
"""Thai, Lao, Burmese, Khmer, Japanese and Chinese, which put no spaces between words."""


def majority(train: Targets, n_texts: int) -> Probabilities:
    """The shares (E, N) of the classes in the training texts (M, N), for each text alike."""
    share = train.mean(axis=0) if len(train) else np.full(train.shape[1], 1 / train.shape[1])
    return np.broadcast_to(share, (n_texts, len(share))).astype(np.float64)


def words(text: str) -> list[str]:
    r"""The words of a text in lower case, in any script; of scripts without spaces, characters and pairs.

    scikit-learn's own pattern, `\w\w+`, drops words of one character, takes a Chinese sentence for one
    word, and cuts Hindi words at their vowel signs, which are marks and not letters.

    >>> words("हिन्दी and 中文!")
    ['हिन्दी', 'and', '中', '中文', '文']
    """
    found: list[str] = []
    for match in _pattern().finditer(text.lower()):
        run = match[0]
        if match.lastgroup == "close":
            for place, character in enumerate(run):
                found += [character, run[place : place + 2]] if place + 1 < len(run) else [character]
        else:
            found.append(run)
    return found


def tfidf(
    units: Units,
    train: Sequence[str],
    targets: Targets,
    multi_label: bool,
    seed: int = 0,
) -> Callable[[Sequence[str]], Probabilities]:
    """Fit logistic regression on TF-IDF vectors of texts.

    `words`: words and pairs of neighbours. `characters`: all sequences of one to four characters within
    words. Counts are dampened (1 + ln count). A tenth of the texts chooses the strength of regularisation;
    then the regression is fitted to all.

    Args:
        units: what is counted.
        train: M texts.
        targets: (M, N) their labels.
        multi_label: whether a text may have several labels, or none.
        seed: which texts choose.

    Returns:
        A function from texts to probabilities (E, N). A class without a training text has probability 0.

    Raises:
        InputError: scikit-learn is not installed, or the texts have fewer than two classes.
    """
    require_scikit_learn()
    from sklearn.feature_extraction.text import TfidfVectorizer

    if len(np.flatnonzero(targets.any(axis=0))) < 2:
        raise InputError("TF-IDF: expected training texts of at least two classes")
    common = {"sublinear_tf": True, "min_df": 2 if len(train) >= 1000 else 1, "dtype": np.float32}
    if units == "words":
        counter = TfidfVectorizer(analyzer=_words_and_pairs, **common)
    else:
        counter = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), max_features=200_000, **common)
    vectors = counter.fit_transform(train)
    chosen = np.random.default_rng(seed).random(len(train)) < 0.1
    strength = _STRENGTHS[1]
    if chosen.sum() >= 20 and len(np.flatnonzero(targets[~chosen].any(axis=0))) >= 2:

        def loss(one: float) -> float:
            fitted = _fit(vectors[~chosen], targets[~chosen], multi_label, one)
            return scores(fitted(vectors[chosen]), targets[chosen], multi_label).log_loss

        strength = min(_STRENGTHS, key=loss)
    fitted = _fit(vectors, targets, multi_label, strength)
    return lambda texts: fitted(counter.transform(texts))


def require_scikit_learn() -> None:
    """Check that scikit-learn is installed.

    Raises:
        InputError: it is not; the message says how to install it.
    """
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        raise InputError("TF-IDF needs scikit-learn: pip install 'xformer[eval]'") from error


def _fit(
    vectors: Any, targets: Targets, multi_label: bool, strength: float
) -> Callable[[Any], NDArray[np.float64]]:
    """Logistic regression; from vectors to probabilities of all N classes."""
    from sklearn.linear_model import LogisticRegression

    n_classes = targets.shape[1]

    def regression() -> Any:
        # Of these sparse vectors SAGA (Defazio et al. 2014) needs a sixth of the time of L-BFGS.
        return LogisticRegression(C=strength, solver="saga", max_iter=500, tol=1e-3, random_state=0)

    if not multi_label:
        model = regression().fit(vectors, targets.argmax(axis=1))

        def of_one(asked: Any) -> NDArray[np.float64]:
            found = np.zeros((asked.shape[0], n_classes))
            found[:, model.classes_] = model.predict_proba(asked)
            return found

        return of_one
    # A class that all texts have, or none, needs no regression.
    always: NDArray[np.float64] = np.asarray(targets.all(axis=0), dtype=np.float64)
    models = {
        place: regression().fit(vectors, targets[:, place])
        for place in range(n_classes)
        if len(np.unique(targets[:, place])) == 2
    }

    def of_several(asked: Any) -> NDArray[np.float64]:
        found: NDArray[np.float64] = np.tile(always, (asked.shape[0], 1))
        for place, one in models.items():
            found[:, place] = one.predict_proba(asked)[:, 1]
        return found

    return of_several


def _words_and_pairs(text: str) -> list[str]:
    found = words(text)
    return found + [f"{one} {other}" for one, other in pairwise(found)]


@cache
def _pattern() -> re.Pattern[str]:
    marks = "".join(
        chr(code) for code in range(0x300, 0x20000) if unicodedata.category(chr(code)) in ("Mn", "Mc")
    )
    apart = rf"(?![{_NO_SPACES}])[\w{marks}]"
    return re.compile(rf"(?P<close>[{_NO_SPACES}]+)|(?P<apart>(?:{apart})+)")
