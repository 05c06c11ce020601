"""Parameter groups, learning rates, clipping."""

from __future__ import annotations

import pytest
import torch

from xformer.config import ModelConfig
from xformer.model import MultilingualModel
from xformer.run_config import OptimizerConfig
from xformer.training.optimizer import clip_gradients, make_optimizer, set_learning_rates

MODELS = {
    "default": ModelConfig(vocab_size=50, d_model=8, n_heads=2, n_layers=2, d_ff=8),
    "biased": ModelConfig(vocab_size=50, d_model=8, n_heads=2, n_layers=1, d_ff=8, bias=True, positions="t5"),
    "untied": ModelConfig(
        vocab_size=50, d_model=8, n_heads=2, n_layers=1, d_ff=8, tie_embeddings=False, positions="learned"
    ),
}
RATES = OptimizerConfig(lr=0.01, embedding_lr=0.1, vector_lr=0.02, weight_decay=0.5)


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> MultilingualModel:
    return MultilingualModel(MODELS[request.param])


def _optimizer(model: MultilingualModel, config: OptimizerConfig = RATES) -> torch.optim.AdamW:
    return make_optimizer(model, model.encoder.token_embedding, config)


def test_every_parameter_is_in_one_group(model: MultilingualModel) -> None:
    grouped = [id(p) for group in _optimizer(model).param_groups for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters())


def test_matrices_decay_and_the_embedding_has_its_own_rate(model: MultilingualModel) -> None:
    names = {id(p): name for name, p in model.named_parameters()}
    embedding = "encoder.embeddings.tok_embeddings.weight"
    for group in _optimizer(model).param_groups:
        for parameter in group["params"]:
            name = names[id(parameter)]
            assert group["lr"] == (0.1 if name == embedding else 0.01 if parameter.ndim == 2 else 0.02)
            assert group["weight_decay"] == (0.5 if parameter.ndim == 2 and name != embedding else 0.0)


def test_what_is_frozen_is_left_out() -> None:
    model = MultilingualModel(MODELS["default"])
    frozen = model.encoder.layers[0].attn.Wqkv.weight.requires_grad_(False)  # type: ignore[union-attr]
    grouped = [id(p) for group in _optimizer(model).param_groups for p in group["params"]]
    assert id(frozen) not in grouped
    assert len(grouped) == len(list(model.parameters())) - 1


def test_rates_are_set_relative_to_their_own(model: MultilingualModel) -> None:
    optimizer = _optimizer(model)
    for factor in (0.5, 0.25, 1.0):  # not one upon the other
        set_learning_rates(optimizer, {"matrices": factor, "embedding": 0.3, "vectors": 0.7})
        assert [g["lr"] for g in optimizer.param_groups] == [0.01 * factor, 0.1 * 0.3, 0.02 * 0.7]


def _with_gradients(norms: list[float]) -> torch.optim.AdamW:
    optimizer = _optimizer(MultilingualModel(MODELS["default"]))
    for group, norm in zip(optimizer.param_groups, norms, strict=True):
        size = sum(p.numel() for p in group["params"])
        for parameter in group["params"]:
            parameter.grad = torch.full_like(parameter, norm / size**0.5)
    return optimizer


def _norms(optimizer: torch.optim.Optimizer) -> list[float]:
    return [
        float(torch.cat([p.grad.flatten() for p in group["params"]]).norm())
        for group in optimizer.param_groups
    ]


def test_each_group_is_clipped_by_itself() -> None:
    optimizer = _with_gradients([5.0, 0.5, 2.0])
    assert float(clip_gradients(optimizer, 1.0)) == pytest.approx(5.0)
    assert _norms(optimizer) == pytest.approx([1.0, 0.5, 1.0], rel=1e-4)


def test_no_clipping_still_measures() -> None:
    optimizer = _with_gradients([5.0, 0.5, 2.0])
    assert float(clip_gradients(optimizer, 0.0)) == pytest.approx(5.0)
    assert _norms(optimizer) == pytest.approx([5.0, 0.5, 2.0])


def test_groups_without_gradients_do_not_count() -> None:
    optimizer = _with_gradients([5.0, 0.5, 2.0])
    for parameter in optimizer.param_groups[0]["params"]:
        parameter.grad = None
    assert float(clip_gradients(optimizer, 1.0)) == pytest.approx(2.0)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("group", [0, 1, 2])
def test_a_gradient_that_is_not_finite_shows_in_the_norm(group: int, bad: float) -> None:
    optimizer = _with_gradients([1.0, 1.0, 1.0])
    optimizer.param_groups[group]["params"][0].grad.view(-1)[0] = bad
    assert not torch.isfinite(clip_gradients(optimizer, 1.0))


@pytest.mark.gpu
def test_the_norm_is_on_the_gradients_device_though_a_group_has_none() -> None:
    model = MultilingualModel(MODELS["default"]).cuda()
    optimizer = _optimizer(model)
    model.encoder.token_embedding.grad = torch.ones_like(model.encoder.token_embedding)
    assert clip_gradients(optimizer, 1.0).is_cuda
