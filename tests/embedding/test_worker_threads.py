"""Batches side by side, each on one thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest
import torch

from xformer.embedding.worker_threads import (
    encoding_threads,
    map_in_threads,
    tokens_for_each,
    using_threads,
)


@pytest.fixture(autouse=True)
def _two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    assert torch.get_num_threads() == 2, "the number is what it was before"
    torch.set_num_threads(before)


@pytest.mark.parametrize(("count", "within"), [(1, 1), (3, 3), (None, 2)])
def test_a_block_has_its_number_of_threads_also_if_it_fails(count: int | None, within: int) -> None:
    found = []
    with suppress(KeyError), using_threads(count):
        found.append(torch.get_num_threads())
        raise KeyError
    assert found == [within]
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_results_come_in_order_and_without_gradients(threads: int) -> None:
    weight = torch.ones(1, requires_grad=True)

    def call(item: int) -> tuple[int, bool, int]:
        return item, (weight * item).requires_grad, torch.get_num_threads()

    found = list(map_in_threads(call, range(20), threads))
    assert [one[0] for one in found] == list(range(20))
    assert not any(one[1] for one in found)
    assert {one[2] for one in found} == {2 if threads == 1 else 1}


def test_the_callers_precision_holds_in_each_thread() -> None:
    layer = torch.nn.Linear(2, 2)
    with torch.autocast("cpu", torch.bfloat16):
        assert {one.dtype for one in map_in_threads(layer, [torch.ones(1, 2)] * 4, 2)} == {torch.bfloat16}
    assert {one.dtype for one in map_in_threads(layer, [torch.ones(1, 2)] * 4, 2)} == {torch.float32}


def test_calls_run_side_by_side() -> None:
    both = threading.Barrier(2, timeout=30)
    assert len(list(map_in_threads(lambda item: both.wait(), range(4), 2))) == 4


def test_items_are_taken_a_few_ahead_only() -> None:
    taken = []

    def items() -> Iterator[int]:
        for item in range(100):
            taken.append(item)
            yield item

    with closing(map_in_threads(lambda item: item, items(), 2)) as found:
        assert next(found) == 0
        assert len(taken) <= 5


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_comes_at_its_place(threads: int) -> None:
    found = map_in_threads(lambda item: 1 // (3 - item), range(10), threads)
    assert [next(found) for _ in range(3)] == [0, 0, 1]
    with pytest.raises(ZeroDivisionError):
        next(found)


def test_threads_share_the_tokens_of_a_batch() -> None:
    assert encoding_threads("cpu") == 2
    assert encoding_threads("cuda") == 1
    assert tokens_for_each(16_384, 2) == 8_192
    assert tokens_for_each(16_384, 64) == 2_048
    assert tokens_for_each(100, 64) == 100
    assert tokens_for_each(None, 2) == tokens_for_each(None, 1) < tokens_for_each(None, 1, "cuda")
