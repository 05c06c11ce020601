"""Labels of words and of pairs in Python. Covers xformer.api.finetuned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import xformer
from tests.synthetic_examples import pairs_in, words_in
from xformer.api import Model
from xformer.errors import InputError
from xformer.runs.directory import RunDirectory

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@pytest.fixture(scope="module")
def tagger(tagged: Path) -> Model:
    return xformer.load(tagged)


@pytest.fixture(scope="module")
def pairer(paired: Path) -> Model:
    return xformer.load(paired)


def test_words_get_tags_in_their_order(tagger: Model) -> None:
    sentences = words_in("en", "de", 8, 3)
    found = tagger.tag([one.words for one in sentences])
    assert tagger.labels == ("de", "en")
    assert tagger.example == "words"
    assert [one.words for one in found] == [one.words for one in sentences]
    tags, given = ([tag for one in some for tag in one.tags] for some in (sentences, found))
    assert np.mean([tag == other for tag, other in zip(tags, given, strict=True)]) > 0.8
    assert tagger.tag("dog sieht house").tags == tagger.tag(["dog sieht house"])[0].tags
    for one, of in zip(found, tagger.tag_probabilities([one.words for one in sentences]), strict=True):
        assert of.shape == (len(one.words), 2)
        assert of.max(axis=1) == pytest.approx(one.probabilities, abs=1e-6)


@settings(max_examples=25)
@given(texts=st.lists(TEXT | st.lists(TEXT, max_size=4), max_size=6))
def test_any_word_gets_a_tag_and_no_word_gets_none(tagger: Model, texts: list[Any]) -> None:
    found = tagger.tag(texts)
    expected = [tuple(text.split()) if isinstance(text, str) else tuple(text) for text in texts]
    assert [one.words for one in found] == expected
    assert all(len(one.tags) == len(one.probabilities) == len(one.words) for one in found)
    assert {tag for one in found for tag in one.tags} <= {"de", "en"}


def test_what_lies_beside_a_sentence_does_not_matter(tagger: Model) -> None:
    long = ["dog", "Hund"] * 300
    alone = tagger.tag([["dog", "", "Haus"]])[0]
    among = tagger.tag([long, ["dog", "", "Haus"], []])
    assert among[1].tags == alone.tags
    assert among[1].probabilities == pytest.approx(alone.probabilities, abs=1e-5)
    assert len(among[0].tags) == 600
    assert among[2].words == ()


@settings(max_examples=25)
@given(pairs=st.lists(st.tuples(TEXT, TEXT), max_size=6))
def test_any_pair_gets_a_label(pairer: Model, pairs: list[tuple[str, str]]) -> None:
    assert len(pairer.classify(pairs)) == len(pairs)
    assert pairer.class_probabilities(pairs).shape == (len(pairs), 2)


def test_pairs_get_labels_in_their_order(pairer: Model) -> None:
    pairs = pairs_in("en", "de", 8, 3)
    found = pairer.classify([one.content for one in pairs])
    assert np.mean([of.labels == one.labels for one, of in zip(pairs, found, strict=True)]) > 0.8
    assert pairer.classify(pairs[0].content).probabilities == pytest.approx(found[0].probabilities, abs=1e-5)
    of_list = pairer.classify([list(pairs[0].content)])  # type: ignore[list-item]
    assert of_list[0].labels == found[0].labels


def test_what_a_run_cannot_label_is_said(
    tagger: Model, pairer: Model, finetuned: Path, trained: RunDirectory
) -> None:
    with pytest.raises(InputError, match="this run gives each word a label, not each text; use `tag`"):
        tagger.classify(["a"])
    with pytest.raises(InputError, match="this run gives each pair of texts a label, not each word"):
        pairer.tag(["a"])
    with pytest.raises(InputError, match="this run gives each text a label, not each word; use `classify`"):
        xformer.load(finetuned).tag(["a"])
    with pytest.raises(InputError, match="this run has no labels; `xformer finetune tag "):
        xformer.load(trained.path).tag(["a"])
    for wrong in (["a"], ["a", "b"], [("a", "b", "c")], "ab", [3], 3):
        with pytest.raises(InputError, match=r"expected a pair of texts, as \(one, other\)"):
            pairer.classify(wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"texts\[1\]\[0\]: expected a string, got 3"):
        pairer.classify([("a", "b"), (3, "b")])  # type: ignore[list-item]
    with pytest.raises(InputError, match=r"texts\[1\]\[1\]: expected a string, got None"):
        tagger.tag([["a"], ["b", None]])  # type: ignore[list-item]
    with pytest.raises(InputError, match=r"texts\[0\]: expected a text, or a list of words, got 3"):
        tagger.tag([3])  # type: ignore[list-item]
    with pytest.raises(InputError, match="surrogate"):
        tagger.tag([["\ud800"]])


def test_they_encode(tagger: Model, pairer: Model) -> None:
    for model in (tagger, pairer):
        assert model.encode(["dog sees house"]).shape == (1, model.dim)
