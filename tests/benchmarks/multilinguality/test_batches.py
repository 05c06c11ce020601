import numpy as np
import pytest
import torch

from xformer.benchmarks.multilinguality.batches import ANCHOR_RATE, FAKE, POSITIONS, REAL, Maker
from xformer.benchmarks.multilinguality.elements import Elements, conditions
from xformer.benchmarks.multilinguality.languages import Texts
from xformer.tokenizer.special import BOS_ID, EOS_ID, MASK_ID


def maker(texts: Texts, condition: str) -> Maker:
    return Maker(texts, conditions()[condition], size=16, seed=3)


def test_a_step_is_a_function_of_its_number(texts: Texts) -> None:
    one, again, other = (maker(texts, "everything").step(number) for number in (5, 5, 6))
    assert torch.equal(one.masked.inputs.tokens, again.masked.inputs.tokens)
    assert one.joined is not None
    assert again.joined is not None
    assert torch.equal(one.joined.targets, again.joined.targets)
    assert not torch.equal(one.masked.inputs.tokens, other.masked.inputs.tokens)


def test_with_nothing_shared_the_languages_have_no_token_and_no_position_in_common(texts: Texts) -> None:
    step = maker(texts, "nothing").step(0)
    size = texts.tokenizer.vocab_size
    assert step.joined is None
    assert step.pairs is None
    tokens, positions = step.masked.inputs.tokens, step.masked.inputs.positions
    fake = tokens >= size
    assert (positions[fake] >= POSITIONS).all()
    assert (positions[~fake] < POSITIONS).all()
    assert (step.masked.targets[torch.from_numpy(step.masked.language == FAKE)] >= size).all()
    assert (step.masked.targets[torch.from_numpy(step.masked.language == REAL)] < size).all()
    assert {MASK_ID, MASK_ID + size} <= set(tokens.tolist())


def test_pairs_are_twins(texts: Texts) -> None:
    made = maker(texts, "nothing + parallel data")
    pairs = made.pairs(texts.both[:3])
    size = texts.tokenizer.vocab_size
    found = {}
    for place, number in enumerate(pairs.inputs.order.tolist()):
        start, end = pairs.inputs.cu_seqlens[place : place + 2].tolist()
        found[number] = pairs.inputs.tokens[start:end] - size * (number >= 3)
    for number in range(3):
        assert torch.equal(found[number], found[number + 3])
        assert found[number].tolist() == [BOS_ID, *texts.both[number].tolist(), EOS_ID]


def test_a_joined_pair_is_the_text_and_then_its_twin(texts: Texts) -> None:
    made = maker(texts, "nothing + parallel data")
    text, size = texts.both[0], texts.tokenizer.vocab_size
    batch = made.joined([text], 0)
    whole = batch.inputs.tokens.clone()
    whole[batch.selected] = batch.targets
    twin = [int(one) + size for one in (*text, EOS_ID)]
    assert whole.tolist() == [BOS_ID, *text.tolist(), EOS_ID, *twin]
    n = len(text)
    assert batch.inputs.positions.tolist() == [*range(n + 2), *range(POSITIONS, POSITIONS + n + 1)]
    assert (batch.language == (batch.targets.numpy() >= size)).all()


def test_anchors_replace_some_of_what_is_read_and_nothing_of_what_is_guessed(texts: Texts) -> None:
    without, with_them = (
        Maker(texts, Elements(vocabulary=False, anchors=on, parallel=False), size=16, seed=0)
        for on in (False, True)
    )
    batches = [one.masked(texts.real, [REAL] * len(texts.real), 0) for one in (without, with_them)]
    plain, mixed = (one.inputs.tokens.numpy() for one in batches)
    size = texts.tokenizer.vocab_size
    changed = plain != mixed
    assert (mixed[changed] == plain[changed] + size).all()
    readable = np.isin(plain, np.arange(5), invert=True)
    assert changed[readable].mean() == pytest.approx(ANCHOR_RATE, abs=0.03)
    assert not changed[~readable].any()
    assert torch.equal(batches[0].targets, batches[1].targets)
