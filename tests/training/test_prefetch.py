"""Prefetched batches. That they are the same is tested in tests/pretraining/test_batches.py."""

from __future__ import annotations

import pytest

from xformer.errors import InputError
from xformer.training.prefetch import Prefetcher


def test_waiting_for_a_batch_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)

    def make(step: int, stage: str) -> int:
        nonlocal now
        now += 3.0 * (step != 1)  # which is made in advance
        return step

    with Prefetcher(make) as ahead:
        assert ahead.take(0, "only") == 0
        assert ahead.waited == 3.0


def test_what_goes_wrong_ahead_is_raised_when_it_is_asked_for() -> None:
    def make(step: int, stage: str) -> int:
        if step == 1:
            raise InputError("the second step")
        return step

    with Prefetcher(make) as ahead:
        ahead.take(0, "only")
        with pytest.raises(InputError, match="the second step"):
            ahead.take(1, "only")


def test_a_guess_that_was_wrong_is_made_again() -> None:
    with Prefetcher(lambda step, stage: (step, stage)) as ahead:
        asked = [(0, "first"), (1, "second"), (2, "second"), (7, "second")]
        assert [ahead.take(*one) for one in asked] == asked
