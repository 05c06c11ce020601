from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.finetuning.test_batches import data_of
from tests.finetuning.test_model import CONFIG
from xformer.finetuning.batches import EpochBatches, held_out_batches
from xformer.finetuning.inputs.texts import TokenTexts
from xformer.finetuning.losses import ClassificationLosses, class_weights
from xformer.finetuning.model import FinetunedModel
from xformer.finetuning.parallel import ParallelBatches, ParallelTexts


def pairs_of(n_pairs: int) -> ParallelTexts:
    """Pairs of texts of one to eight tokens."""
    rng = np.random.default_rng(n_pairs)
    lengths = rng.integers(1, 9, size=2 * n_pairs)
    tokens = TokenTexts(rng.integers(0, 50, size=lengths.sum()).astype(np.int32), lengths, 5)
    return ParallelTexts(tokens, rng.integers(0, 2, size=n_pairs), ("de", "fr"))


def losses_of(weight: torch.Tensor | None = None, multi_label: bool = False) -> ClassificationLosses:
    torch.manual_seed(0)
    config = replace(CONFIG, classifier=replace(CONFIG.classifier, multi_label=multi_label))
    return ClassificationLosses(FinetunedModel(config).double().eval(), weight)


@pytest.mark.parametrize("multi_label", [False, True])
def test_parts_of_processes_add_up_to_the_whole(multi_label: bool) -> None:
    data, losses = data_of(20, multi_label), losses_of(torch.tensor([1.0, 2.0, 0.5]), multi_label)
    total, whole = losses(EpochBatches(data, 8, 0).make(1), "")
    parts = [losses(EpochBatches(data, 8, 0, rank, 3).make(1), "")[0] for rank in range(3)]
    torch.testing.assert_close(sum(parts), total)
    assert set(whole) == {"classification", "error"}
    assert float(total.detach()) == pytest.approx(float(whole["classification"].items.mean()))


def test_it_is_the_cross_entropy_and_held_out_the_share_of_errors() -> None:
    data, losses = data_of(20), losses_of()
    batch = next(held_out_batches(data, 10**6))
    logits = losses.model(batch.inputs)
    total, found = losses(batch, "")
    assert float(total) == pytest.approx(float((logits.argmax(1) != data.targets).double().mean()))
    expected = F.cross_entropy(logits, data.targets, reduction="none")
    torch.testing.assert_close(found["classification"].items, expected.detach())
    many = sum(float(losses(one, "")[0]) for one in held_out_batches(data, 9))
    assert many == pytest.approx(float(total))


def test_a_text_of_several_labels_is_right_only_with_all_of_them() -> None:
    data, losses = data_of(12, multi_label=True), losses_of(multi_label=True)
    batch = next(held_out_batches(data, 10**6))
    said = losses.model(batch.inputs) > 0
    expected = (said != (data.targets > 0)).any(dim=1).double().mean()
    assert float(losses(batch, "")[0]) == pytest.approx(float(expected))


def test_balanced_classes_weigh_alike() -> None:
    data = data_of(20)
    counts = data.counts
    weight = class_weights(counts, 20, "balanced", multi_label=False)
    assert weight is not None
    assert (weight * counts).tolist() == pytest.approx([20 / 3] * 3)
    several = class_weights(torch.tensor([5.0, 20.0, 0.0]), 20, "balanced", multi_label=True)
    assert several is not None
    assert several.tolist() == [3.0, 0.0, 19.0]
    assert class_weights(counts, 20, "none", multi_label=False) is None


@pytest.mark.parametrize("multi_label", [False, True])
def test_a_text_teaches_what_is_said_of_its_translation(multi_label: bool) -> None:
    data, losses = data_of(20, multi_label), losses_of(multi_label=multi_label)
    parallel = ParallelBatches(pairs_of(9), 5, 0).make(0)
    batch = EpochBatches(data, 8, 0).make(0)
    alone = losses(batch, "")[0]
    total, found = losses(replace(batch, parallel=parallel), "")
    text, translation = losses.model(parallel.texts).chunk(2)
    if multi_label:
        p, q = text.sigmoid(), translation.sigmoid()
        expected = (p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()).mean(dim=1)
    else:
        p, q = text.softmax(1), translation.softmax(1)
        expected = (p * (p / q).log()).sum(dim=1)
    torch.testing.assert_close(found["consistency"].items, expected.detach())
    weight = losses.model.config.consistency.weight
    torch.testing.assert_close(total, alone + weight * expected.mean())
    assert np.array_equal(found["consistency"].category, parallel.language)
    # Only what is said of the translation learns.
    head = losses.model.head.out.weight
    text, translation = losses.model(parallel.texts).chunk(2)
    fixed = text.detach().sigmoid() if multi_label else text.detach().softmax(1)
    if multi_label:
        loss = F.binary_cross_entropy_with_logits(translation, fixed)
    else:
        loss = F.cross_entropy(translation, fixed)
    (wanted,) = torch.autograd.grad(loss, head)
    (got,) = torch.autograd.grad(found["consistency"].value, head)
    torch.testing.assert_close(got, wanted)


def test_pairs_of_processes_add_up_to_the_whole() -> None:
    data, losses = data_of(20), losses_of()
    batch, pairs = EpochBatches(data, 8, 0).make(0), pairs_of(9)
    total = losses(replace(batch, parallel=ParallelBatches(pairs, 7, 0).make(3)), "")[1]["consistency"].value
    parts = [
        losses(replace(batch, parallel=ParallelBatches(pairs, 7, 0, rank, 3).make(3)), "")[1]["consistency"]
        for rank in range(3)
    ]
    torch.testing.assert_close(sum(part.value for part in parts), total)


def test_languages_are_counted() -> None:
    data, losses = data_of(20), losses_of()
    batch = EpochBatches(data, 8, 0).make(0)
    assert np.array_equal(losses(batch, "")[1]["error"].category, batch.language)
