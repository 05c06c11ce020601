"""The sentences nearest to a text are its summary."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from xformer.summarization.extract import Summary, central, joined, summaries


def unit(rows: list[list[float]]) -> NDArray[np.float32]:
    found = np.array(rows, dtype=np.float32)
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)


def test_the_nearest_to_the_mean_is_chosen() -> None:
    vectors = unit([[1, 0], [1, 1], [0, 1], [1, 0.8]])
    centre = vectors.mean(axis=0)
    assert central(vectors, 1) == (int((vectors @ centre).argmax()),)


def test_further_sentences_are_unlike_those_taken() -> None:
    vectors = unit([[1, 0.1, 0], [1, 0.11, 0], [1, 0.09, 0], [1, 1, 0]])
    assert central(vectors, 2)[1] == 3
    assert central(vectors, 4) == (0, 1, 2, 3)


def test_sentences_without_a_vector() -> None:
    assert central(np.zeros((3, 2), dtype=np.float32), 2) == (0, 1)


def test_summaries_of_several_texts_ask_once() -> None:
    asked: list[list[str]] = []

    def encode(sentences: list[str]) -> NDArray[np.float32]:
        asked.append(sentences)
        return unit([[1.0, float(len(sentence))] for sentence in sentences])

    texts = ["One. Three and more. Two of it.", "", "Only one", "高い。高い物。安い。"]
    found = list(summaries(texts, encode))
    assert asked == [["One.", "Three and more.", "Two of it.", "高い。", "高い物。", "安い。"]]
    assert found[1:3] == [Summary("", ()), Summary("Only one", (0,))]
    assert found[0].text == texts[0].split(". ")[found[0].sentences[0]].rstrip(".") + "."
    two = list(summaries(texts, encode, 2))
    assert two[0].sentences == tuple(sorted(two[0].sentences))
    assert " " not in two[3].text
    assert list(summaries([], encode)) == []


@pytest.mark.parametrize(
    ("sentences", "text"), [([], ""), (["A.", "B"], "A. B"), (["高い。", "B"], "高い。B"), (["A"], "A")]
)
def test_joined(sentences: list[str], text: str) -> None:
    assert joined(sentences) == text
