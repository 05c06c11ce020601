from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from xformer.data.labelled import LabelledText
from xformer.finetuning.batches import EpochBatches, Examples, held_out_batches
from xformer.finetuning.inputs.texts import TokenTexts

LABELS = ("a", "b", "c")


def data_of(n_texts: int, multi_label: bool = False) -> Examples:
    rng = np.random.default_rng(n_texts)
    lengths = rng.integers(0, 9, size=n_texts)
    tokens = TokenTexts(rng.integers(0, 50, size=lengths.sum()).astype(np.int32), lengths, 5)
    found = [
        LabelledText(
            f"{n}", LABELS[: n % 4] if multi_label else (LABELS[n % 3],), ("en", "de")[n % 2], f"f:{n}"
        )
        for n in range(n_texts)
    ]
    return Examples.of(found, tokens, LABELS, multi_label)


@given(n_texts=st.integers(1, 40), size=st.integers(1, 12), seed=st.integers(0, 5), world=st.integers(1, 3))
def test_an_epoch_has_each_text_once_and_processes_share_it(
    n_texts: int, size: int, seed: int, world: int
) -> None:
    data = data_of(n_texts)
    shares = [EpochBatches(data, size, seed, rank, world) for rank in range(world)]
    whole = EpochBatches(data, size, seed)
    targets: list[int] = []
    for step in range(whole.steps):
        batch, parts = whole.make(step), [one.make(step) for one in shares]
        assert sum(len(part.targets) for part in parts) == len(batch.targets) == batch.n_units
        assert {(part.n_units, part.n_tokens, part.rows) for part in parts} == {
            (batch.n_units, batch.n_tokens, batch.rows)
        }
        assert sorted(t for part in parts for t in part.targets.tolist()) == sorted(batch.targets.tolist())
        targets += batch.targets.tolist()
    assert sorted(targets) == sorted(data.targets.tolist())


def test_epochs_have_orders_of_their_own_and_steps_can_be_made_in_any_order() -> None:
    data = data_of(30)
    batches, again = EpochBatches(data, 7, 3), EpochBatches(data, 7, 3)
    made = {step: batches.make(step) for step in (12, 0, 5, 1)}
    for step, one in made.items():
        assert torch.equal(one.targets, again.make(step).targets)
        assert one.rows == again.make(step).rows
    assert made[0].rows != made[5].rows
    assert made[0].digest("") != made[0].digest("x")
    assert EpochBatches(data, 7, 4).make(0).rows != made[0].rows


def test_held_out_batches_have_each_text_once_and_in_order() -> None:
    data = data_of(25, multi_label=True)
    batches = list(held_out_batches(data, 16))
    assert torch.equal(torch.cat([one.targets for one in batches]), data.targets)
    assert all(one.held_out and one.n_units == 25 for one in batches)
    assert len(batches) > 3
    assert data.targets.sum(dim=1).tolist() == [n % 4 for n in range(25)]
    assert torch.equal(data.counts, data.targets.double().sum(dim=0))


def test_a_change_of_text_or_label_changes_the_fingerprint() -> None:
    data, other = data_of(9), data_of(9)
    assert data.fingerprint == other.fingerprint
    other.targets[3] = (other.targets[3] + 1) % 3
    assert data.fingerprint != other.fingerprint
    assert data.truth(3).argmax(axis=1).tolist() == data.targets.tolist()
