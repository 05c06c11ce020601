"""What labelled examples must be. Covers `examples`."""

from __future__ import annotations

import pytest

from xformer.data.labelled import (
    LabelFields,
    LabelledPair,
    LabelledText,
    LabelledWords,
    LeftOut,
    PairFields,
    WordFields,
    check_columns_mean_classes,
    commonest_labels,
    joined_languages,
    keep_labels,
    require_known_labels,
)
from xformer.errors import InputError


def of(*labels: str) -> list[LabelledText]:
    return [LabelledText(f"text {n}", (label,), "en", f"f:{n}") for n, label in enumerate(labels, 1)]


def test_columns_that_mean_no_classes_are_refused() -> None:
    check_columns_mean_classes(of("a", "b"), LabelFields())
    with pytest.raises(InputError, match="f:1: expected at least two classes, found the label 'a' alone"):
        check_columns_mean_classes(of("a", "a"), LabelFields())
    with pytest.raises(InputError, match="found 60 different labels in 60 texts"):
        check_columns_mean_classes(of(*map(str, range(60))), LabelFields())
    numbers = [LabelledText(f"{n}.5", ("ab"[n % 2],), "en", f"f:{n}") for n in range(60)]
    with pytest.raises(InputError, match=r"f:0: field 'text': expected texts, found numbers such as '0\.5'"):
        check_columns_mean_classes(numbers, LabelFields())


def test_only_the_commonest_labels_are_kept() -> None:
    texts = of("c", "a", "b", "b", "a", "d")
    assert commonest_labels(texts, None) == ("a", "b", "c", "d")
    assert commonest_labels(texts, 3) == ("a", "b", "c")
    left_out = LeftOut()
    kept = keep_labels([*texts, LabelledText("t", ("b", "d"), "en", "f:9")], ("a", "b"), left_out)
    assert [one.labels for one in kept] == [("a",), ("b",), ("b",), ("a",), ("b",)]
    assert str(left_out) == "2 with another label"


def test_a_label_that_training_lacks_is_named_with_its_line() -> None:
    require_known_labels(of("news", "sport"), ("news", "sport"))
    with pytest.raises(InputError, match="f:2: the training files never have the label 'sprot', did you"):
        require_known_labels(of("news", "sprot"), ("news", "sport"))


def pairs(*rows: tuple[str, str, str]) -> list[LabelledPair]:
    return [LabelledPair(a, b, (label,), ("en", "de"), f"f:{n}") for n, (a, b, label) in enumerate(rows, 1)]


def sentence(*tokens: str, tags: str, line: int = 1) -> LabelledWords:
    lines = tuple(range(line, line + len(tokens)))
    return LabelledWords(tokens, tuple(tags), "en", "f", line, lines)


def test_pairs_are_checked_in_both_texts() -> None:
    check_columns_mean_classes(pairs(("a", "b", "x"), ("c", "d", "y")), PairFields())
    numbers = pairs(*((f"word {n}", str(n), "xy"[n % 2]) for n in range(60)))
    with pytest.raises(InputError, match="f:1: field 'text_pair': expected texts, found numbers such as '0'"):
        check_columns_mean_classes(numbers, PairFields())
    kept = keep_labels(pairs(("a", "b", "x"), ("c", "d", "y")), ("x",), left_out := LeftOut())
    assert [one.text for one in kept] == ["a"]
    assert str(left_out) == "1 with another label"


def test_words_are_checked_one_by_one() -> None:
    check_columns_mean_classes([sentence("a", "b", tags="xy")], WordFields())
    with pytest.raises(InputError, match="f:1: expected at least two classes, found the label 'x' alone"):
        check_columns_mean_classes([sentence("a", "b", tags="xx")], WordFields())
    numbers = [sentence(*map(str, range(60)), tags="xy" * 30, line=7)]
    with pytest.raises(InputError, match="f:7: field '1': expected words, found numbers such as '0' in 60"):
        check_columns_mean_classes(numbers, WordFields())
    lists = [LabelledWords(("a", "b"), ("x", "z"), "en", "f", 3)]
    with pytest.raises(InputError, match="f:3: word 2: the training files never have the label 'z'"):
        require_known_labels(lists, ("x", "y"))
    with pytest.raises(InputError, match=r"f:8: the training files never have the label 'z'\. They have x"):
        require_known_labels([sentence("a", "b", tags="xz", line=7)], ("x", "y"))


def test_languages_are_joined_once() -> None:
    assert joined_languages(("en", "de", "en")) == "en+de"
    assert LabelledPair("a", "b", ("x",), ("en", "en"), "f:1").language == "en"
