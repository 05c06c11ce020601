"""Which texts are compared: one per group and language, whole ones, with their translations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xformer.data.shards import TokenShards
from xformer.errors import InputError
from xformer.evaluation.parallel_texts import ParallelTexts, one_text_per_group, text_numbers

MakeShards = Callable[..., TokenShards]


def test_the_first_whole_text_of_a_group_is_taken(make_shards: MakeShards) -> None:
    shards = make_shards(
        [[300 + n] for n in range(6)],
        language=[1, 1, 0, 1, 1, 1],
        group=[5, 5, 5, 9, 5, 7],
        record=[3, 2, 9, 9, 2, 4],
        pieces=[1, 1, 1, 1, 1, 2],
    )
    assert one_text_per_group(shards).tolist() == [1, 2, 3]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), min_size=1, max_size=30))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_choice_does_not_depend_on_the_order(
    make_shards: MakeShards, pairs: list[tuple[int, int]]
) -> None:
    group, language = np.array(pairs, dtype=np.int64).T
    sequences, record = [[300 + n] for n in range(len(pairs))], np.arange(len(pairs))[::-1]
    chosen = one_text_per_group(make_shards(sequences, language, group, record=record))
    assert len(chosen) == len(set(pairs))
    order = np.random.default_rng(len(pairs)).permutation(len(pairs))
    shuffled = one_text_per_group(make_shards(sequences, language[order], group[order], record=record[order]))
    assert sorted(record[chosen].tolist()) == sorted(record[order][shuffled].tolist())


def test_equal_texts_have_one_number() -> None:
    sequences = [np.array(ids, dtype=np.int32) for ids in ([7, 8], [7], [7, 8], [8, 7])]
    assert text_numbers(sequences).tolist() == [0, 1, 0, 2]


def test_texts_without_a_translation_are_left_out(make_shards: MakeShards) -> None:
    # Groups 0 and 1 are in en (1), 2 is not; de (0) has two texts of group 0; fr (2) is in one group alone.
    shards = make_shards(
        [[300 + n] for n in range(7)], language=[1, 1, 0, 0, 0, 0, 2], group=[0, 1, 0, 0, 1, 2, 0]
    )
    texts = ParallelTexts.of(shards, "en", least=2)
    assert texts.examples.tolist() == [0, 1, 2, 4]
    assert texts.languages == (0,)
    left, right = texts.with_pivot(0)
    assert texts.group[left.numpy()].tolist() == texts.group[right.numpy()].tolist() == [0, 1]
    with pytest.raises(InputError, match=r"data\.pivot: expected one of .*'xx'"):
        ParallelTexts.of(shards, "xx")
    with pytest.raises(InputError, match="with 3 texts or more"):
        ParallelTexts.of(shards, "en", least=3)


def test_a_sample_takes_whole_groups(parallel_test: TokenShards) -> None:
    texts = ParallelTexts.of(parallel_test, "en", most=20)
    assert len(np.unique(texts.group)) == 20
    assert np.bincount(texts.language).tolist() == [20, 20, 20, 20]


def test_some_examples_of_a_split(parallel_test: TokenShards) -> None:
    chosen = np.array([7, 2, 40])
    some = parallel_test.subset(chosen)
    assert len(some) == 3
    for place, example in enumerate(chosen):
        assert some[place].tolist() == parallel_test[int(example)].tolist()
        assert some.group[place] == parallel_test.group[example]
