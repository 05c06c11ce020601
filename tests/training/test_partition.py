"""The shares of all processes are the step, whatever their number.

Shapes: P pairs.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from xformer.data.shards import TokenShards
from xformer.errors import InputError
from xformer.objectives import AlignmentBatch, MaskedBatch
from xformer.packed import Packed, pack
from xformer.run_config import RunConfig
from xformer.tokenizer import Tokenizer
from xformer.training.batches import StepBatch, StepBatches
from xformer.training.partition import share_of
from xformer.training.run_directory import RunDirectory


@pytest.fixture(scope="module")
def batches(prepared: Any, config: RunConfig) -> StepBatches:
    run = RunDirectory(prepared)
    starts_word = Tokenizer.load(run.tokenizer).starts_word()
    more = replace(config.objectives, masked_lm_tokens=400, translation_lm_tokens=600)
    return StepBatches(TokenShards.open(run.shards("train")), replace(config, objectives=more), starts_word)


@pytest.fixture(params=[False, True], ids=["full", "bag"])
def batch(request: Any, batches: StepBatches) -> StepBatch:
    return batches.make(3, bag=request.param)


Text = tuple[tuple[int, ...], ...]


def _texts(inputs: Packed, *extra: torch.Tensor) -> list[Text]:
    """Each packed sequence's tokens, positions, and whatever else there is a number of for each token."""
    columns = torch.stack([inputs.tokens, inputs.positions, *extra], dim=1)
    return [tuple(map(tuple, part.tolist())) for part in columns.split(list(inputs.lengths))]


def _masked_texts(part: MaskedBatch) -> list[Text]:
    targets = torch.full_like(part.inputs.tokens, -1)
    targets[part.selected] = part.targets
    language = torch.full_like(targets, -1)
    language[part.selected] = torch.from_numpy(part.language)
    return _texts(part.inputs, targets, language)


def _pairs(part: AlignmentBatch) -> list[Any]:
    texts = _texts(part.inputs)
    apart: list[Text] = [()] * len(texts)
    for row, place in enumerate(part.inputs.order.tolist()):
        apart[place] = texts[row]
    left, right = apart[: len(texts) // 2], apart[len(texts) // 2 :]
    languages = part.language.reshape(2, -1).T.tolist()
    return list(zip(left, right, part.group.tolist(), map(tuple, languages), strict=True))


@pytest.mark.parametrize("world", [1, 2, 3, 5])
def test_shares_are_the_step_and_do_not_overlap(batch: StepBatch, world: int) -> None:
    shares = [share_of(batch, rank, world) for rank in range(world)]
    for name in ("masked_lm", "translation_lm"):
        whole = getattr(batch, name)
        parts = [getattr(share, name) for share in shares]
        if whole is None:
            assert parts == [None] * world
            continue
        assert Counter(text for part in parts for text in _masked_texts(part.batch)) == Counter(
            _masked_texts(whole)
        )
        for part in parts:
            assert part.sizes == tuple(len(other.batch.targets) for other in parts)
            together = np.concatenate([other.batch.language for other in parts])
            np.testing.assert_array_equal(part.language_of_all, together)
    for name in ("alignment", "bag_alignment"):
        whole = getattr(batch, name)
        parts = [getattr(share, name) for share in shares]
        if whole is None:
            assert parts == [None] * world
            continue
        assert Counter(pair for part in parts for pair in _pairs(part.batch)) == Counter(_pairs(whole))
        for rank, part in enumerate(parts):
            assert part.sizes == tuple(len(other.batch.group) for other in parts)
            assert part.first == sum(part.sizes[:rank])
            assert torch.equal(part.group_of_all, torch.cat([other.batch.group for other in parts]))
            together = np.concatenate([other.batch.language for other in parts])
            np.testing.assert_array_equal(part.language_of_all, together)


def test_shares_are_proper_batches_of_nearly_equal_size(batch: StepBatch) -> None:
    shares = [share_of(batch, rank, 3) for rank in range(3)]
    for name in ("masked_lm", "translation_lm", "alignment", "bag_alignment"):
        parts = [getattr(share, name) for share in shares]
        if parts[0] is None:
            continue
        inputs = [part.batch.inputs for part in parts]
        for packed in inputs:
            parts_of_tokens = packed.tokens.split(list(packed.lengths))
            apart = [parts_of_tokens[row].numpy() for row in packed.order.argsort().tolist()]
            again = pack(apart)
            assert torch.equal(again.tokens, packed.tokens)
            assert torch.equal(again.cu_seqlens, packed.cu_seqlens)
            assert torch.equal(again.order, packed.order)
            assert again.lengths == packed.lengths
        sizes = [packed.n_tokens for packed in inputs]
        longest = max(packed.max_length for packed in inputs)
        assert max(sizes) - min(sizes) <= longest * (2 if "alignment" in name else 1)


def test_one_process_has_it_all_in_order(batch: StepBatch) -> None:
    share = share_of(batch, 0, 1)
    for name in ("masked_lm", "translation_lm", "alignment", "bag_alignment"):
        whole, part = getattr(batch, name), getattr(share, name)
        if whole is not None:
            assert torch.equal(part.batch.inputs.tokens, whole.inputs.tokens)
            assert torch.equal(part.batch.inputs.order, whole.inputs.order)
            np.testing.assert_array_equal(part.batch.language, whole.language)


def test_too_many_processes_are_told_so(batches: StepBatches) -> None:
    batch = batches.make(0)
    with pytest.raises(InputError, match=r"objectives\.masked_lm_tokens: .* one of 99 processes without any"):
        share_of(batch, 0, 99)
    pairs_alone = replace(batch, masked_lm=None, translation_lm=None)
    with pytest.raises(InputError, match=r"objectives\.alignment_tokens: .* too few for 99 processes"):
        share_of(pairs_alone, 98, 99)
    with pytest.raises(InputError, match=r"objectives\.bag_tokens: .* too few for 99 processes"):
        share_of(batches.make(0, bag=True), 98, 99)
