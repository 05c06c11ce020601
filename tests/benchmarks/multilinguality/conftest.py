from random import Random

import pytest

from xformer.benchmarks.multilinguality.languages import Texts, divide

SENTENCE = "the red cat sees a small dog and two birds near old house while rain falls on 12 green hills ."


@pytest.fixture(scope="session")
def sentences() -> list[str]:
    random = Random(0)
    words = SENTENCE.split()
    return [" ".join(random.choices(words, k=random.randint(6, 12))) for _ in range(400)]


@pytest.fixture(scope="session")
def texts(sentences: list[str]) -> Texts:
    return divide(sentences, vocabulary=320, held_out=20)
