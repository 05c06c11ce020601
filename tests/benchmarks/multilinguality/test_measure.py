"""What is measured of a model, and that it is what was trained. Covers `train` and `vectors`, too."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from xformer.benchmarks.multilinguality.batches import Maker, StepBatch
from xformer.benchmarks.multilinguality.elements import conditions
from xformer.benchmarks.multilinguality.languages import Texts
from xformer.benchmarks.multilinguality.measure import measure, vectors_by_layer, words_of
from xformer.benchmarks.multilinguality.train import (
    MARGIN,
    SCALE,
    TrainingSize,
    losses,
    tiny_model,
    train,
)
from xformer.benchmarks.multilinguality.vectors import text_vectors
from xformer.model.multilingual import MultilingualModel
from xformer.model.packed import pack
from xformer.objectives import contrastive_loss

SIZE = TrainingSize(steps=4, texts=16, d_model=16, n_layers=2, n_heads=2)


def test_a_model_to_which_twins_are_equal_finds_them_all(texts: Texts) -> None:
    maker = Maker(texts, conditions()["sharing"], size=16, seed=0)
    model = tiny_model(maker.twins.vocab_size, SIZE, 0).eval()
    found = measure(model, maker, 1)
    assert max(found.words) < 0.5
    assert len(found.sentences) == len(found.words) == 3
    table = model.encoder.embeddings.tok_embeddings.weight.data
    table[torch.from_numpy(maker.twins.twin)] = table[: len(maker.twins.twin)].clone()
    found = measure(model, maker, 1)
    assert found.sentences == pytest.approx((1.0, 1.0, 1.0))
    assert found.words == pytest.approx((1.0, 1.0, 1.0))
    assert found.n_sentences == 20


def test_a_vector_is_the_mean_of_what_is_not_special() -> None:
    batch = pack([np.array([0, 7, 2]), np.array([0, 7, 8, 9, 2])])
    state = torch.randn(8, 4)
    # The longer text comes first in the batch.
    expected = torch.stack([state[6], state[1:4].mean(0)])
    torch.testing.assert_close(text_vectors(state, batch), F.normalize(expected, dim=-1))


@pytest.mark.parametrize("condition", ["everything", "everything - positions", "nothing + parallel data"])
def test_alignment_trains_the_vectors_that_are_measured(texts: Texts, condition: str) -> None:
    maker = Maker(texts, conditions()[condition], size=16, seed=0)
    model = tiny_model(maker.twins.vocab_size, SIZE, 0)
    step = maker.step(0)
    pairs = StepBatch(step.masked, step.joined, maker.pairs(texts.held_out))
    trained = losses(model, pairs, SIZE.middle)["alignment"]
    left, right = vectors_by_layer(model, maker, texts.held_out)[SIZE.middle]
    group = torch.arange(len(texts.held_out))
    measured = contrastive_loss(left, right, group, scale=SCALE, margin=MARGIN).mean()
    torch.testing.assert_close(trained, measured)


def test_every_condition_is_asked_for_the_same_words_and_hidden_tokens(texts: Texts) -> None:
    words = [int(one[0]) for one in words_of(texts)]
    assert all(any(letter.isalpha() for letter in texts.tokenizer.piece(one)) for one in words)
    outcomes = []
    for condition in ("sharing", "everything - parallel data"):
        maker = Maker(texts, conditions()[condition], size=16, seed=0)
        outcomes.append(measure(tiny_model(maker.twins.vocab_size, SIZE, 0).eval(), maker, SIZE.middle))
        twins = maker.twins.twin[words]
        assert (twins != words).all()
    # They differ in anchors alone, which a held-out text has none of.
    assert outcomes[0] == outcomes[1]
    assert outcomes[0].n_words == len(words)


def test_a_seed_gives_the_same_model_and_training_lowers_the_loss(texts: Texts) -> None:
    def trained(steps: int) -> MultilingualModel:
        size = TrainingSize(steps=steps, texts=16, d_model=16, n_layers=2, n_heads=2, lr=0.01)
        return train(Maker(texts, conditions()["everything"], size=16, seed=1), size, 1)

    one, again = trained(3).state_dict(), trained(3).state_dict()
    assert all(torch.equal(one[name], again[name]) for name in one)
    batch = Maker(texts, conditions()["everything"], size=16, seed=1).step(999)
    before, after = (
        {name: float(one.detach()) for name, one in losses(trained(steps), batch, 1).items()}
        for steps in (0, 60)
    )
    assert list(before) == ["masked", "joined", "alignment"]
    assert sum(after.values()) < 0.8 * sum(before.values())
