"""Shortcuts for the CPU: they are taken where they save time, and change nothing else.

Gradients of the rows in use are tested with the optimizer that reads them, and with bigrams; pooling against
the reference.

Covers xformer.model.multilingual, too.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from xformer.kernels import rotary
from xformer.model.config import ModelConfig
from xformer.model.cpu import ROW_MULTIPLE, EmbeddingTable, interleave_halves, rotary_qkv, rows_to_add
from xformer.model.heads import MaskedLMHead
from xformer.model.multilingual import MultilingualModel
from xformer.model.packed import pack
from xformer.model.positions import rotary_table

CPU = torch.device("cpu")
MODEL = ModelConfig(vocab_size=60, d_model=16, n_heads=2, n_layers=2, d_ff=24, zero_init_residual=False)


@pytest.mark.parametrize(
    ("rows", "added"),
    [(0, 0), (1, ROW_MULTIPLE - 1), (ROW_MULTIPLE, 0), (ROW_MULTIPLE + 1, ROW_MULTIPLE - 1)],
)
def test_rows_are_added_where_products_are_compiled_for_each_shape(rows: int, added: int) -> None:
    assert rows_to_add(rows, CPU) == 0
    with torch.autocast("cpu", torch.bfloat16):
        assert rows_to_add(rows, CPU) == added
        assert rows_to_add(rows, torch.device("cuda")) == 0


def test_products_of_a_step_have_sizes_that_come_back() -> None:
    model = MultilingualModel(MODEL)
    batches = [pack([[1, 2, 3], [4]]), pack([[5, 6], [7, 8, 9, 10], []])]
    sizes: set[int] = set()

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        sizes.add(len(output))

    exact = model.residual_streams(batches)
    for module in model.encoder.modules():
        if isinstance(module, nn.Linear):
            module.register_forward_hook(note)
    with torch.autocast("cpu", torch.bfloat16):
        found = model.residual_streams(batches)
    assert sizes == {
        ROW_MULTIPLE
    }  # the attention's first product is no module's, and 10 tokens are filled up
    for batch, wanted, got in zip(batches, exact, found, strict=True):
        for one, other in zip(wanted, got, strict=True):
            assert other.shape == (batch.n_tokens, 16)
            torch.testing.assert_close(other.float(), one, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("among_all", [False, True])
def test_what_fills_up_has_no_loss_and_no_gradient(among_all: bool) -> None:
    torch.manual_seed(0)
    head, table = MaskedLMHead(MODEL), EmbeddingTable(60, 16)
    nn.init.normal_(table.weight)
    hidden, targets = torch.randn(5, 16, requires_grad=True), torch.tensor([0, 1, 2, 0, 2])
    pieces = None if among_all else (torch.tensor([7, 9, 11]), torch.tensor([0.5, 0.0, -0.5]))
    leaves = [hidden, table.weight, *head.parameters()]
    exact, items = head.loss(hidden, table, targets, pieces)
    wanted = torch.autograd.grad(exact, leaves)
    with torch.autocast("cpu", torch.bfloat16):
        loss, found = head.loss(hidden, table, targets, pieces)
    gradients = torch.autograd.grad(loss, leaves)
    assert found.shape == items.shape == (5,)
    torch.testing.assert_close(loss, exact, rtol=0.02, atol=0.02)
    torch.testing.assert_close(found, items, rtol=0.05, atol=0.05)
    for one, other in zip(wanted, gradients, strict=True):
        assert other.isfinite().all()
        torch.testing.assert_close(other, one, rtol=0.1, atol=0.05)
    if not among_all:
        unused = [row for row in range(60) if row not in (7, 9, 11)]
        assert not gradients[1][unused].any()


def test_interleaving_brings_halves_together_and_leaves_values() -> None:
    rows = interleave_halves(torch.arange(24), 2)
    q, k, v = rows.view(3, 2, 4)
    assert q.tolist() == [[0, 2, 1, 3], [4, 6, 5, 7]]
    assert (k - 8).tolist() == q.tolist()
    assert v.flatten().tolist() == list(range(16, 24))
    assert torch.equal(
        interleave_halves(torch.arange(48).view(24, 2), 2), rows[:, None] * 2 + torch.arange(2)
    )


def test_the_order_of_columns_changes_no_product() -> None:
    projection = nn.Linear(12, 3 * 12).double()
    x, positions = torch.randn(9, 12, dtype=torch.float64), torch.arange(9) % 4
    table = rotary_table(4, 6, 100.0)
    q, k, v = rotary_qkv(x, projection, 2, positions, *table)
    plain_q, plain_k, plain_v = projection(x).view(9, 3, 2, 6).unbind(1)
    plain_q, plain_k = rotary(plain_q, plain_k, positions, *table)
    torch.testing.assert_close(torch.linalg.vecdot(q, k), torch.linalg.vecdot(plain_q, plain_k))
    torch.testing.assert_close(v, plain_v)
