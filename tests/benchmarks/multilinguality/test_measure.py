"""What is measured of a model. Covers `train`, too."""

import pytest
import torch

from xformer.benchmarks.multilinguality.batches import Maker
from xformer.benchmarks.multilinguality.elements import conditions
from xformer.benchmarks.multilinguality.languages import Texts
from xformer.benchmarks.multilinguality.measure import measure
from xformer.benchmarks.multilinguality.train import TrainingSize, loss, tiny_model, train
from xformer.model.multilingual import MultilingualModel

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


def test_a_seed_gives_the_same_model_and_training_lowers_the_loss(texts: Texts) -> None:
    def trained(steps: int) -> MultilingualModel:
        size = TrainingSize(steps=steps, texts=16, d_model=16, n_layers=2, n_heads=2, lr=0.01)
        return train(Maker(texts, conditions()["everything"], size=16, seed=1), size, 1)

    one, again = trained(3).state_dict(), trained(3).state_dict()
    assert all(torch.equal(one[name], again[name]) for name in one)
    maker = Maker(texts, conditions()["everything"], size=16, seed=1)
    before, after = (float(loss(trained(steps), maker.step(999), 1).detach()) for steps in (0, 60))
    assert after < 0.8 * before
