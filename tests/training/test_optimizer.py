"""Parameter groups, learning rates, clipping.

Covers xformer.pretraining.parameter_groups.
"""

from __future__ import annotations

import pytest
import torch

from xformer.model.config import ModelConfig
from xformer.model.cpu import EmbeddingTable, RowGradient
from xformer.model.multilingual import MultilingualModel
from xformer.model.packed import pack
from xformer.pretraining.parameter_groups import make_optimizer
from xformer.runs.config import OptimizerConfig
from xformer.training.optimizer import AdamWithTables, clip_gradients, set_learning_rates

MODELS = {
    "default": ModelConfig(vocab_size=50, d_model=8, n_heads=2, n_layers=2, d_ff=8, bigrams=4),
    "biased": ModelConfig(
        vocab_size=50, d_model=8, n_heads=2, n_layers=1, d_ff=8, bias=True, positions="t5", bigrams=4
    ),
    "untied": ModelConfig(
        vocab_size=50,
        d_model=8,
        n_heads=2,
        n_layers=1,
        d_ff=8,
        tie_embeddings=False,
        positions="learned",
        bigrams=4,
    ),
}
RATES = OptimizerConfig(lr=0.01, embedding_lr=0.1, vector_lr=0.02, bigram_lr=0.3, weight_decay=0.5)


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> MultilingualModel:
    return MultilingualModel(MODELS[request.param])


def _optimizer(model: MultilingualModel, config: OptimizerConfig = RATES) -> AdamWithTables:
    return make_optimizer(model, config)


def test_every_parameter_is_in_one_group(model: MultilingualModel) -> None:
    grouped = [id(p) for group in _optimizer(model).param_groups for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters())


def test_matrices_decay_and_the_embedding_has_its_own_rate(model: MultilingualModel) -> None:
    names = {id(p): name for name, p in model.named_parameters()}
    embedding, bigrams = (
        f"encoder.embeddings.{name}.weight" for name in ("tok_embeddings", "bigram_embeddings")
    )
    rates = {embedding: 0.1, bigrams: 0.3}
    for group in _optimizer(model).param_groups:
        for parameter in group["params"]:
            name = names[id(parameter)]
            assert group["lr"] == rates.get(name, 0.01 if parameter.ndim == 2 else 0.02)
            assert group["weight_decay"] == (0.5 if parameter.ndim == 2 and name not in rates else 0.0)
            assert group["by_row"] == (name == bigrams)


def test_what_is_frozen_is_left_out() -> None:
    model = MultilingualModel(MODELS["default"])
    frozen = model.encoder.layers[0].attn.Wqkv.weight.requires_grad_(False)  # type: ignore[union-attr]
    grouped = [id(p) for group in _optimizer(model).param_groups for p in group["params"]]
    assert id(frozen) not in grouped
    assert len(grouped) == len(list(model.parameters())) - 1


def test_rates_are_set_relative_to_their_own(model: MultilingualModel) -> None:
    optimizer = _optimizer(model)
    for factor in (0.5, 0.25, 1.0):  # not one upon the other
        set_learning_rates(optimizer, {"matrices": factor, "embedding": 0.3, "vectors": 0.7, "bigrams": 0.5})
        rates = [0.01 * factor, 0.1 * 0.3, 0.02 * 0.7, 0.3 * 0.5]
        assert [g["lr"] for g in optimizer.param_groups] == rates


def _with_gradients(norms: list[float]) -> AdamWithTables:
    optimizer = _optimizer(MultilingualModel(MODELS["default"]))
    for group, norm in zip(optimizer.param_groups[:3], norms, strict=True):
        size = sum(p.numel() for p in group["params"])
        for parameter in group["params"]:
            parameter.grad = torch.full_like(parameter, norm / size**0.5)
    return optimizer


def _norms(optimizer: torch.optim.Optimizer) -> list[float]:
    return [
        float(torch.cat([p.grad.flatten() for p in group["params"]]).norm())
        for group in optimizer.param_groups[:3]
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


def _with_table_gradient(value: float, sparse: bool) -> AdamWithTables:
    """Small gradients everywhere, and this number in a row of the bigrams."""
    optimizer = _with_gradients([0.5, 0.5, 0.5])
    (weight,) = optimizer.param_groups[3]["params"]
    if sparse:
        values = torch.zeros(1, 8).index_fill(1, torch.tensor([3]), value)
        optimizer.tables[weight].row_gradients.append(RowGradient(torch.tensor([5]), values))
    else:
        weight.grad = torch.zeros_like(weight)
        weight.grad[5, 3] = value
    return optimizer


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("bad", [float("nan"), float("-inf"), 1e25])  # the last one's square is infinite
def test_a_table_s_gradient_that_cannot_be_remembered_shows_in_the_norm(bad: float, sparse: bool) -> None:
    assert not torch.isfinite(clip_gradients(_with_table_gradient(bad, sparse), 1.0))


@pytest.mark.parametrize("sparse", [False, True])
def test_a_table_s_gradient_is_neither_clipped_nor_counted(sparse: bool) -> None:
    optimizer = _with_table_gradient(100.0, sparse)
    assert float(clip_gradients(optimizer, 1.0)) == pytest.approx(0.5)
    (weight,) = optimizer.param_groups[3]["params"]
    few = optimizer.row_gradient(weight)
    assert float((few.values[0] if few else weight.grad[5])[3]) == 100.0


def _table(model: MultilingualModel, name: str) -> EmbeddingTable:
    table = getattr(model.encoder.embeddings, f"{name}_embeddings")
    assert isinstance(table, EmbeddingTable)
    return table


def _after(
    name: str, sparse: bool, gradients: list[torch.Tensor], clip: float = 0.0
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """What steps with these gradients add to a table, and what is remembered of it."""
    torch.manual_seed(0)
    model = MultilingualModel(MODELS["default"])
    optimizer, table = _optimizer(model), _table(model, name)
    before = table.weight.detach().clone()
    for gradient in gradients:
        optimizer.zero_grad()
        if sparse:
            rows = gradient.any(dim=1).nonzero()[:, 0]
            table.row_gradients.append(RowGradient(rows, gradient[rows]))
        else:
            table.weight.grad = gradient.clone()
        if name == "tok":
            clip_gradients(optimizer, clip)
        optimizer.step()
    return table.weight.detach() - before, optimizer.state[table.weight]


def _two_rows(rows: int = 200) -> list[torch.Tensor]:
    gradients = torch.zeros(3, rows, 8)
    gradients[0, 7], gradients[1, 7], gradients[2, rows // 2] = 2.0, 1.0, torch.arange(8.0)
    return list(gradients)


def test_bigrams_take_the_steps_of_adagrad_by_row() -> None:
    """Each row: w ← w - lr·g/√s with s the sum over steps of each row's mean square."""
    table, state = _after("bigram", False, _two_rows())
    remembered = state["square_sum"]
    seen = OptimizerConfig(bigram_lr=0.3).bigram_lr
    expected = torch.zeros(200, 8)
    expected[7] = -seen * (2.0 / 4.0**0.5 + 1.0 / 5.0**0.5)
    expected[100] = -seen * torch.arange(8.0) / 17.5**0.5
    torch.testing.assert_close(table, expected)
    assert remembered.shape == (200, 1)
    assert remembered.nonzero()[:, 0].tolist() == [7, 100]


@pytest.mark.parametrize(("name", "rows"), [("bigram", 200), ("tok", 50)])
@pytest.mark.parametrize("clip", [0.0, 1.0])
def test_a_gradient_of_used_rows_comes_to_the_same(name: str, rows: int, clip: float) -> None:
    dense, dense_state = _after(name, False, _two_rows(rows), clip)
    found, state = _after(name, True, _two_rows(rows), clip)
    assert dense.any()
    torch.testing.assert_close(found, dense, rtol=1e-6, atol=0)
    assert state.keys() == dense_state.keys()
    for key, value in dense_state.items():
        torch.testing.assert_close(state[key], value, rtol=1e-6, atol=0)


@pytest.mark.parametrize(("name", "rows"), [("bigram", 200), ("tok", 50)])
@pytest.mark.parametrize("whole", [False, True])
def test_several_passes_add_up(name: str, rows: int, whole: bool) -> None:
    """Also where one of them used the whole table, whose gradient is then dense."""
    once = torch.zeros(rows, 8)
    once[3], once[5] = 3.0, 1.0
    torch.manual_seed(0)
    model = MultilingualModel(MODELS["default"])
    optimizer, table = _optimizer(model), _table(model, name)
    before = table.weight.detach().clone()
    if whole:
        table.weight.grad = torch.zeros(rows, 8).index_fill(0, torch.tensor([3]), 1.0)
    else:
        table.row_gradients.append(RowGradient(torch.tensor([3]), torch.ones(1, 8)))
    used = torch.tensor([3, 5])
    table.row_gradients.append(RowGradient(used, torch.tensor([[2.0] * 8, [1.0] * 8])))
    optimizer.step()
    torch.testing.assert_close(table.weight.detach() - before, _after(name, False, [once])[0])
    optimizer.zero_grad()
    assert not table.row_gradients


def test_gradients_of_used_rows_are_those_of_autograd() -> None:
    model = MultilingualModel(MODELS["default"])
    table = model.encoder.embeddings.tok_embeddings
    batch = pack([[7, 8, 9, 7], [7, 8], [5]])
    weights = torch.randn(batch.n_tokens, 8)
    (model.encoder.embed(batch) * weights).sum().backward()
    dense, table.weight.grad = table.weight.grad, None
    table.sparse = True
    (model.encoder.embed(batch) * weights).sum().backward()
    found = table.row_gradient()
    assert found is not None
    assert dense is not None
    assert table.weight.grad is None
    assert found.rows.tolist() == [5, 7, 8, 9]
    torch.testing.assert_close(torch.zeros(50, 8).index_copy(0, found.rows, found.values), dense)


@pytest.mark.gpu
def test_the_norm_is_on_the_gradients_device_though_a_group_has_none() -> None:
    model = MultilingualModel(MODELS["default"]).cuda()
    optimizer = _optimizer(model)
    model.encoder.token_embedding.grad = torch.ones_like(model.encoder.token_embedding)
    assert clip_gradients(optimizer, 1.0).is_cuda
