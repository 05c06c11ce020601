"""What is a spike: a step far above the median of the steps before."""

from __future__ import annotations

from statistics import median

from hypothesis import given
from hypothesis import strategies as st

from xformer.training.spikes import SpikeDetector

LEVELS = st.floats(0.01, 100)
STEPS = st.lists(st.tuples(LEVELS, LEVELS), min_size=1, max_size=150)


@given(STEPS, st.floats(1.1, 10))
def test_a_spike_is_more_than_so_many_medians_of_the_last_64(
    steps: list[tuple[float, float]], factor: float
) -> None:
    watch = SpikeDetector(factor)
    for number, (loss, norm) in enumerate(steps):
        before = steps[max(0, number - 64) : number]
        expected = None
        if len(before) >= 16:
            if norm > factor * median(norm for _, norm in before):
                expected = "gradient norm"
            if loss > factor * median(loss for loss, _ in before):
                expected = "loss"
        found = watch.check(loss, norm)
        assert (found is None) == (expected is None)
        assert found is None or found.startswith(f"{expected} ")


@given(STEPS, st.integers(0, 150))
def test_a_watch_that_goes_on_from_another_finds_the_same(
    steps: list[tuple[float, float]], stop: int
) -> None:
    one, first = SpikeDetector(2.0), SpikeDetector(2.0)
    expected = [one.check(*step) for step in steps]
    found = [first.check(*step) for step in steps[:stop]]
    second = SpikeDetector(2.0, first.recent)
    assert found + [second.check(*step) for step in steps[stop:]] == expected
    assert second.recent == one.recent


def test_a_level_that_changes_for_good_becomes_the_usual_one() -> None:
    watch = SpikeDetector(2.0)
    for _ in range(64):
        assert watch.check(1.0, 1.0) is None
    spikes = [watch.check(10.0, 1.0) for _ in range(64)]
    assert spikes[0] == "loss 10, with a median of 1"
    assert spikes[31] is not None
    assert spikes[-31:] == [None] * 31


def test_none_finds_nothing_and_remembers_nothing() -> None:
    watch = SpikeDetector(None, [(1.0, 1.0)] * 64)
    assert watch.check(1e9, 1e9) is None
    assert watch.recent == ()


def test_what_is_forgotten_is_no_measure() -> None:
    watch = SpikeDetector(2.0)
    for _ in range(20):
        watch.check(1.0, 1.0)
    watch.forget()
    assert [watch.check(50.0, 50.0) for _ in range(16)] == [None] * 16
    assert watch.check(200.0, 50.0) is not None
