"""The shares of all processes are the step of one, whatever their number.

Shapes: P pairs.

Covers xformer.pretraining.step_plan.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xformer.data.shards import TokenShards
from xformer.errors import InputError
from xformer.model.packed import Packed, pack
from xformer.objectives import AlignmentBatch, MaskedBatch
from xformer.pretraining.batches import StepBatch, StepBatches
from xformer.pretraining.stages import EMBEDDING_WARMUP, FULL
from xformer.pretraining.step_plan import assign_by_length
from xformer.runs.config import Masking, MaskingConfig, Replacement, RunConfig
from xformer.runs.directory import RunDirectory
from xformer.tokenizer import Tokenizer

Make = Callable[..., list[StepBatches]]
MASKING = st.builds(
    MaskingConfig,
    rate=st.sampled_from([0.02, 0.3, 0.7]),
    unit=st.sampled_from(get_args(Masking)),
    replacement=st.sampled_from(get_args(Replacement)),
)


@pytest.fixture(scope="module")
def make(prepared: Any, config: RunConfig) -> Make:
    """What makes the batches of each of so many processes."""
    run = RunDirectory(prepared)
    starts_word = Tokenizer.load(run.tokenizer).starts_word()
    shards = TokenShards.open(run.shards("train"))

    def build(world: int, **objectives: Any) -> list[StepBatches]:
        more = {"masked_lm_tokens": 200, "translation_lm_tokens": 300, "sampled_softmax_size": 50}
        changed = replace(
            config,
            objectives=replace(config.objectives, **more | objectives),
        )
        return [StepBatches(shards, changed, starts_word, rank, world) for rank in range(world)]

    return build


def _made(processes: list[StepBatches], step: int, stage: str = FULL) -> list[StepBatch]:
    """What they make, after they have told each other what they hide."""
    parts = [one.make(step, stage) for one in processes]
    hidden = np.sum([one.hidden(part) for one, part in zip(processes, parts, strict=True)], axis=0)
    return [one.complete(part, hidden) for one, part in zip(processes, parts, strict=True)]


STAGES = st.sampled_from([FULL, EMBEDDING_WARMUP])
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


@given(st.integers(2, 6), MASKING, st.sampled_from([0, 50]), st.integers(0, 9), STAGES)
@settings(max_examples=15, deadline=None)
def test_shares_are_the_step_and_do_not_overlap(
    make: Make, world: int, masking: MaskingConfig, candidates: int, step: int, stage: str
) -> None:
    how = {"masking": masking, "sampled_softmax_size": candidates}
    (whole,) = [one.make(step, stage) for one in make(1, **how)]
    shares = _made(make(world, **how), step, stage)
    assert len({share.plan.digest("before") for share in [whole, *shares]}) == 1
    assert [set(share.masked) | set(share.pairs) for share in shares] == [set(whole.plan.examples)] * world
    for name, one in whole.masked.items():
        parts = [share.masked[name] for share in shares]
        texts = [text for part in parts for text in _masked_texts(part)]
        assert Counter(texts) == Counter(_masked_texts(one))
        assert {part.n_hidden for part in [one, *parts]} == {len(one.targets)}
        for part in parts:
            assert (part.sample is None) == (one.sample is None) == (not candidates)
            if part.sample and one.sample:
                assert torch.equal(part.sample.ids, one.sample.ids)
                assert torch.equal(part.sample.log_inclusion, one.sample.log_inclusion)
                assert part.sample_targets is not None
                assert torch.equal(part.sample.ids[part.sample_targets], part.targets)
    for name, all_pairs in whole.pairs.items():
        apart = [share.pairs[name] for share in shares]
        assert Counter(pair for pairs in apart for pair in _pairs(pairs)) == Counter(_pairs(all_pairs))
        for rank, pairs in enumerate(apart):
            assert pairs.sizes == tuple(len(other.group) for other in apart)
            assert pairs.first == sum(pairs.sizes[:rank])
            assert torch.equal(pairs.group_of_all, torch.cat([other.group for other in apart]))


@pytest.mark.parametrize("stage", [FULL, EMBEDDING_WARMUP])
def test_shares_are_proper_batches_of_nearly_equal_size(make: Make, stage: str) -> None:
    shares = _made(make(3), 3, stage)
    for name in shares[0].plan.examples:
        inputs = [(share.masked | share.pairs)[name].inputs for share in shares]
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


def test_a_process_may_hide_nothing(make: Make) -> None:
    rare = MaskingConfig(rate=0.002)
    steps = [_made(make(4, masking=rare), step) for step in range(20)]
    counts = np.array([[len(share.masked["masked_lm"].targets) for share in step] for step in steps])
    assert (counts.sum(axis=1) == 0).any()
    assert ((counts == 0).any(axis=1) & (counts.sum(axis=1) > 0)).any()
    assert all(share.masked["masked_lm"].inputs.n_sequences for step in steps for share in step)


@given(st.lists(st.integers(0, 9), max_size=20), st.integers(1, 7))
def test_each_is_shares_to_one_longest_first(lengths: list[int], world: int) -> None:
    shares = assign_by_length(np.array(lengths, dtype=np.uint32), world)
    assert sorted(np.concatenate(shares).tolist()) == list(range(len(lengths)))
    sums = [sum(lengths[place] for place in hand.tolist()) for hand in shares]
    assert len(shares) == world
    assert max(sums) - min(sums) <= max(lengths, default=0)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, r"objectives\.masked_lm_tokens: \d+ texts in a step are too few for 99 processes"),
        ({"masked_lm_tokens": 0}, r"objectives\.translation_lm_tokens: \d+ pairs in a step are too few for"),
        (
            {"masked_lm_tokens": 0, "translation_lm_tokens": 0},
            r"objectives\.alignment_tokens: \d+ pairs in a step",
        ),
        (
            {"masked_lm_tokens": 0, "translation_lm_tokens": 0, "alignment_tokens": 4_000},
            r"objectives\.embedding_warmup_tokens: \d+ pairs in a step are too few for 99 processes",
        ),
    ],
)
def test_too_many_processes_are_told_so_at_once(make: Make, more: dict[str, int], said: str) -> None:
    with pytest.raises(InputError, match=said):
        make(99, **more)


def test_a_stage_that_does_not_come_may_be_too_small(make: Make) -> None:
    small = {"masked_lm_tokens": 0, "translation_lm_tokens": 0, "embedding_warmup_tokens": 60}
    with pytest.raises(InputError, match=r"objectives\.embedding_warmup_tokens"):
        make(4, **small)
    assert len(make(4, embedding_warmup_share=0.0, **small)) == 4
