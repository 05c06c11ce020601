"""The batches of a step.

Shapes: T tokens, L languages, P pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from xformer.data.sampling import language_shares
from xformer.data.shards import TokenShards
from xformer.errors import InputError
from xformer.objectives import AlignmentBatch, MaskedBatch
from xformer.pretraining.batches import StepBatch, StepBatches
from xformer.pretraining.stages import EMBEDDING_WARMUP, FULL
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory
from xformer.tokenizer import Tokenizer
from xformer.training.prefetch import Prefetcher


@pytest.fixture(scope="module")
def shards(prepared: Any) -> TokenShards:
    return TokenShards.open(RunDirectory(prepared).shards("train"))


@pytest.fixture(scope="module")
def starts_word(prepared: Any) -> Any:
    return Tokenizer.load(RunDirectory(prepared).tokenizer).starts_word()


@pytest.fixture
def make(shards: TokenShards, starts_word: Any, config: RunConfig) -> Callable[..., StepBatches]:
    """The batches under the settings with other objectives and sampling."""

    def build(seed: int = 0, alpha: float = 0.7, **objectives: Any) -> StepBatches:
        return StepBatches(
            shards,
            replace(
                config,
                objectives=replace(config.objectives, **objectives),
                training=replace(config.training, seed=seed),
                data=replace(config.data, alpha=alpha),
            ),
            starts_word,
        )

    return build


def _tensors(batch: StepBatch) -> list[torch.Tensor]:
    found = []
    for part in batch.masked.values():
        found += [part.inputs.tokens, part.inputs.positions, part.selected, part.targets]
    for pairs in batch.pairs.values():
        found += [pairs.inputs.tokens, pairs.group]
    return found


def _same(a: StepBatch, b: StepBatch) -> bool:
    pairs = list(zip(_tensors(a), _tensors(b), strict=True))
    return all(x.shape == y.shape and torch.equal(x, y) for x, y in pairs)


def _texts(batch: MaskedBatch | AlignmentBatch) -> list[tuple[int, ...]]:
    """The sequences in the order before packing, with what was hidden put back."""
    tokens = batch.inputs.tokens.clone()
    if isinstance(batch, MaskedBatch):
        tokens[batch.selected] = batch.targets
    parts = tokens.split(list(batch.inputs.lengths))
    back = batch.inputs.order.argsort().tolist()
    return [tuple(parts[place].tolist()) for place in back]


def test_a_step_s_batch_depends_on_its_number_and_the_seed_alone(make: Callable[..., StepBatches]) -> None:
    first, second = make(), make()
    forwards = [first.make(step) for step in range(4)]
    backwards = [second.make(step) for step in (3, 1, 2, 0)][::-1]
    assert _same(forwards[0], backwards[0])
    assert _same(forwards[3], backwards[3])
    assert not _same(forwards[0], forwards[1])
    assert not _same(forwards[0], make(seed=1).make(0))


def test_steps_of_one_size_have_gaps_in_other_places(make: Callable[..., StepBatches]) -> None:
    places: dict[tuple[str, int], set[tuple[int, ...]]] = {}
    batches, steps = make(), 30
    for step in range(steps):
        batch = batches.make(step)
        for name in batch.masked:
            part = batch.masked[name]
            key = (name, part.inputs.n_tokens)
            places.setdefault(key, set()).add(tuple(part.selected.tolist()))
    assert len(places) < 2 * steps - 10  # many have the same size
    assert sum(map(len, places.values())) == 2 * steps


def test_texts_and_pairs_are_those_of_the_shards(
    make: Callable[..., StepBatches], shards: TokenShards
) -> None:
    texts: dict[tuple[int, ...], set[tuple[int, int]]] = {}
    for example in range(len(shards)):
        known = texts.setdefault(tuple(shards[example].tolist()), set())
        known.add((int(shards.language[example]), int(shards.group[example])))
    batch = make().make(5)
    alignment = batch.pairs["alignment"]
    assert all(text in texts for text in _texts(batch.masked["masked_lm"]))

    both = _texts(alignment)
    half = len(both) // 2
    assert half == len(alignment.group) >= 2
    for pair, (left, right) in enumerate(zip(both[:half], both[half:], strict=True)):
        group = int(alignment.group[pair])
        languages = alignment.language[pair], alignment.language[half + pair]
        assert (languages[0], group) in texts[left]
        assert (languages[1], group) in texts[right]
        assert languages[0] != languages[1]

    for joined in _texts(batch.masked["translation_lm"]):
        cut = joined.index(2)  # </s>
        groups = [{group for _, group in texts[part]} for part in (joined[:cut], joined[cut + 1 :])]
        assert groups[0] & groups[1]


def test_tokens_are_about_as_many_as_asked(make: Callable[..., StepBatches]) -> None:
    asked = {
        "masked_lm_tokens": 400,
        "translation_lm_tokens": 700,
        "alignment_tokens": 1000,
        "embedding_warmup_tokens": 1500,
    }
    batches = make(**asked)
    totals = dict.fromkeys(asked, 0)
    for step in range(20):
        batch, bag = batches.make(step), batches.make(step, EMBEDDING_WARMUP)
        inputs = [part.inputs for one in (batch, bag) for part in (one.masked | one.pairs).values()]
        for name, packed in zip(asked, inputs, strict=True):
            totals[name] += packed.n_tokens
        separators = inputs[1].n_sequences
        assert batch.plan.n_tokens == sum(packed.n_tokens for packed in inputs[:3]) - separators
    for name, total in totals.items():
        assert total / 20 == pytest.approx(asked[name], rel=0.12)


def test_objectives_without_tokens_are_left_out(make: Callable[..., StepBatches]) -> None:
    off = {"masked_lm_tokens": 0, "translation_lm_tokens": 0, "alignment_tokens": 0}
    for name in ("masked_lm", "translation_lm", "alignment"):
        batches = make(**off | {f"{name}_tokens": 200})
        batch = batches.make(0)
        assert set(batch.masked | batch.pairs) == {name}
        bag = batches.make(0, EMBEDDING_WARMUP)
        assert batches.aligns == (name == "alignment") == ("bag_alignment" in bag.pairs)
        assert set(bag.masked | bag.pairs) == {"bag_alignment" if batches.aligns else name}


def test_the_bag_s_pairs_are_alone_and_in_its_stage_alone(make: Callable[..., StepBatches]) -> None:
    batches = make(alignment_tokens=500, embedding_warmup_tokens=1500)
    whole, bag = batches.make(3), batches.make(3, EMBEDDING_WARMUP)
    assert set(bag.masked | bag.pairs) == {"bag_alignment"}
    assert set(whole.masked | whole.pairs) == {"masked_lm", "translation_lm", "alignment"}
    pairs = bag.pairs["bag_alignment"]
    assert 2 < len(pairs.group) / len(whole.pairs["alignment"].group) < 4
    assert bag.plan.n_tokens == pairs.inputs.n_tokens


def test_wrong_answers_are_in_the_language_of_the_right_one(make: Callable[..., StepBatches]) -> None:
    together, mixed = make(alignment_languages="one"), make(alignment_languages="mixed")

    def lefts(batches: StepBatches, step: int) -> set[int]:
        pairs = batches.make(step).pairs["alignment"]
        return set(pairs.language[: len(pairs.group)].tolist())

    assert all(len(lefts(together, step)) == 1 for step in range(12))
    assert set.union(*(lefts(together, step) for step in range(60))) == {0, 1, 2}
    assert any(len(lefts(mixed, step)) > 1 for step in range(12))


def test_texts_drawn_agree_with_the_shares_asked_for(
    make: Callable[..., StepBatches], shards: TokenShards
) -> None:
    batches = make(alpha=0.3, alignment_tokens=0, translation_lm_tokens=0, masked_lm_tokens=2000)
    shares = language_shares(np.bincount(shards.language), 0.3, 8.0)
    steps = [batches.make(step).plan for step in range(30)]
    drawn = np.sum([batch.texts_by_language for batch in steps], axis=0)
    asked = np.sum([batch.asked_by_language for batch in steps], axis=0)
    assert asked / asked.sum() == pytest.approx(shares)
    texts = drawn.sum()
    assert texts == pytest.approx(asked.sum())
    assert (np.abs(drawn / texts - shares) < 4 * np.sqrt(shares * (1 - shares) / texts)).all()
    # And not with the shares of tokens, Greek texts being longer.
    tokens = np.sum([batch.tokens_by_language for batch in steps], axis=0)
    assert np.abs(tokens / tokens.sum() - shares).max() > 0.05


def test_a_text_counts_for_its_own_language_partners_for_none(
    make: Callable[..., StepBatches], shards: TokenShards
) -> None:
    batch = make(masked_lm_tokens=0, translation_lm_tokens=0).make(2, EMBEDDING_WARMUP)
    pairs, plan = batch.pairs["bag_alignment"], batch.plan
    half = len(pairs.group)
    left, both = pairs.language[:half], pairs.language
    lengths = [len(text) for text in _texts(pairs)]
    assert plan.texts_by_language.tolist() == np.bincount(left, minlength=3).tolist()
    assert plan.asked_by_language.sum() == pytest.approx(half)
    assert plan.tokens_by_language.tolist() == np.bincount(both, weights=lengths, minlength=3).tolist()


def test_batches_are_made_without_pytorchs_threads(make: Callable[..., StepBatches]) -> None:
    """They are made beside a step: threads that compute there as well would keep its own from their work."""

    class Operations(TorchDispatchMode):
        seen: ClassVar[set[str]] = set()

        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            self.seen.add(str(function))
            return function(*args, **(kwargs or {}))

    batches = make()
    with Operations():
        for step, stage in ((0, EMBEDDING_WARMUP), (1, FULL)):
            batches.make(step, stage)
    # `from_numpy` calls these two, which compute nothing.
    assert Operations.seen <= {"aten.detach.default", "aten.lift_fresh.default"}


def test_batches_made_ahead_are_the_same_batches(make: Callable[..., StepBatches]) -> None:
    plain = make()
    stages = [EMBEDDING_WARMUP] * 2 + [FULL] * 2 + [EMBEDDING_WARMUP]  # twice it is another than before
    with Prefetcher(make().make) as ahead:
        for step, stage in zip([0, 1, 2, 3, 7], stages, strict=True):
            assert _same(ahead.take(step, stage), plain.make(step, stage))


def test_a_batch_moves_whole(make: Callable[..., StepBatches]) -> None:
    batch = make().make(0)
    parts = batch.masked | batch.pairs
    assert len(parts) == 3
    for part in parts.values():
        moved = part.to("meta")
        assert {tensor.device.type for tensor in vars(moved).values() if torch.is_tensor(tensor)} == {"meta"}
        assert moved.inputs.lengths == part.inputs.lengths


def test_without_translations_the_settings_that_do_without_are_named(
    shards: TokenShards, starts_word: Any, config: RunConfig
) -> None:
    one_language = shards.subset(np.flatnonzero(np.asarray(shards.language) == 0))
    said = (
        r"found none\. To train without translations: objectives\.translation_lm_tokens=0 and objectives\.al"
    )
    with pytest.raises(InputError, match=said):
        StepBatches(one_language, config, starts_word)
    objectives = replace(config.objectives, translation_lm_tokens=0, alignment_tokens=0)
    assert StepBatches(one_language, replace(config, objectives=objectives), starts_word).make(0).masked
