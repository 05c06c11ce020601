"""What is counted between two lines of the log; covers xformer.training.tally and .losses, too.

Shapes: S items of a loss, L languages.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from xformer.pretraining.batches import StepBatch
from xformer.pretraining.step_plan import StepPlan
from xformer.pretraining.tally import LanguageTally
from xformer.training.losses import Loss, StepSums

LANGUAGES = ("de", "el", "en")
# Steps of (objective, [(language, loss)], tokens of each language).
ITEMS = st.lists(st.tuples(st.integers(0, 2), st.floats(0, 20, width=32)), min_size=1, max_size=6)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["masked_lm", "alignment"]),
        ITEMS,
        st.lists(st.integers(0, 99), min_size=3, max_size=3),
    ),
    min_size=1,
    max_size=5,
)


def _batch(asked: list[float], texts: list[int], tokens: list[int]) -> StepBatch:
    return StepBatch(StepPlan(0, {}, np.array(asked), np.array(texts), np.array(tokens)), {}, {})


def _sums(name: str, items: list[tuple[int, float]]) -> StepSums:
    losses = torch.tensor([loss for _, loss in items])
    language = np.array([language for language, _ in items], dtype=np.int64)
    return StepSums.of(losses.sum(), {name: Loss(losses.mean(), losses, language)}, len(LANGUAGES))


@given(STEPS)
def test_means_are_over_items_of_all_steps(
    steps: list[tuple[str, list[tuple[int, float]], list[int]]],
) -> None:
    tally = LanguageTally(LANGUAGES)
    seen: dict[str, list[tuple[int, float]]] = {}
    for name, items, tokens in steps:
        tally.add(_sums(name, items), _batch([1.0, 0.5, 0.5], [2, 0, 0], tokens), 1.0)
        seen.setdefault(name, []).extend(items)
    assert tally.means() == pytest.approx(
        {name: np.mean([loss for _, loss in items]) for name, items in seen.items()}
    )
    table = tally.by_language()
    assert list(table) == list(LANGUAGES)
    total = np.sum([tokens for _, _, tokens in steps])
    for number, tag in enumerate(LANGUAGES):
        expected = {"asked": [0.5, 0.25, 0.25][number], "drawn": [1.0, 0.0, 0.0][number]}
        expected["tokens"] = sum(tokens[number] for _, _, tokens in steps) / max(total, 1)
        for name, items in seen.items():
            if mine := [loss for language, loss in items if language == number]:
                expected[name] = float(np.mean(mine))
        assert table[tag] == pytest.approx(expected, abs=1e-5)


@given(ITEMS, st.integers(0, 6))
def test_what_processes_count_adds_up(items: list[tuple[int, float]], cut: int) -> None:
    parts = [_sums("masked_lm", mine) for mine in (items[:cut], items[cut:])]
    others = torch.from_numpy(np.append(parts[1].table, parts[1].total))
    found, whole = parts[0].added_up(lambda mine: mine + others), _sums("masked_lm", items)
    assert found.total == pytest.approx(whole.total)
    sums, counts = found.by_category["masked_lm"]
    expected, number = whole.by_category["masked_lm"]
    assert sums == pytest.approx(expected)
    assert counts.tolist() == number.tolist()


def test_a_process_without_items_counts_none() -> None:
    nothing = Loss(torch.tensor(0.0), torch.zeros(0), np.zeros(0, dtype=np.int64))
    tally = LanguageTally(LANGUAGES)
    tally.add(
        StepSums.of(torch.tensor(0.0), {"masked_lm": nothing}, 3), _batch([1.0] * 3, [1] * 3, [1] * 3), 0.0
    )
    assert tally.means() == {"masked_lm": 0.0}
    assert all("masked_lm" not in row for row in tally.by_language().values())


def test_a_fresh_tally_has_nothing_to_say() -> None:
    assert LanguageTally(LANGUAGES).means() == {}
    assert set(LanguageTally(LANGUAGES).by_language()) == set(LANGUAGES)


@given(STEPS, st.integers(0, 5))
def test_a_tally_that_goes_on_from_another_counts_the_same(
    steps: list[tuple[str, list[tuple[int, float]], list[int]]], stop: int
) -> None:
    def add(tally: LanguageTally, number: int) -> None:
        name, items, tokens = steps[number]
        tally.add(_sums(name, items), _batch([0.1, 1 / 3, 0.7], [2, 0, 1], tokens), number / 3)

    whole, first = LanguageTally(LANGUAGES), LanguageTally(LANGUAGES)
    for number in range(len(steps)):
        add(whole, number)
    for number in range(min(stop, len(steps))):
        add(first, number)
    second = LanguageTally(LANGUAGES, json.loads(json.dumps(first.state())))
    for number in range(min(stop, len(steps)), len(steps)):
        add(second, number)
    assert second.state() == whole.state()
    assert (second.means(), second.by_language(), second.norm) == (
        whole.means(),
        whole.by_language(),
        (len(steps) - 1) / 3,
    )


def test_sources_are_counted_where_the_plan_has_them_and_go_on_from_a_state() -> None:
    sources = ("games", "names", "other")
    texts = np.zeros(3, dtype=np.int64)
    plan = StepPlan(0, {}, np.ones(3), texts, texts, np.array([3.0, 1.0, 0.0]), np.array([2, 2, 0]))
    tally = LanguageTally(LANGUAGES, sources=sources)
    tally.add(_sums("masked_lm", [(0, 1.0)]), StepBatch(plan, {}, {}), 1.0)
    again = LanguageTally(LANGUAGES, tally.state(), sources)
    again.add(_sums("masked_lm", [(0, 1.0)]), StepBatch(plan, {}, {}), 1.0)
    expected = {"games": {"asked": 0.75, "drawn": 0.5}, "names": {"asked": 0.25, "drawn": 0.5}}
    assert again.fields()["sources"] == expected
    assert "sources" not in LanguageTally(LANGUAGES).fields()
    assert not any("sources" in name for name in LanguageTally(LANGUAGES).state())
