"""The encoder under `torch.export` and `torch.compile`: one program for all batches, with the same bits."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounter
from torch.export import Dim

from xformer.model.config import ModelConfig
from xformer.model.encoder import Encoder
from xformer.model.exportable import PackedEncoder, PaddedEncoder
from xformer.model.packed import Packed, pack

SMALL = ModelConfig(
    vocab_size=31, d_model=24, n_heads=3, d_ff=16, n_layers=2, window=4, global_every=2, max_length=16
)
ROWS = [[5, 6, 7, 8, 9, 10], [11], [], [12, 13, 14], [15, 16, 17]]
# Lengths, numbers of sequences and of tokens all differ.
BATCHES = [ROWS, [[1] * 12, [2, 3]], [[4] * n for n in (5, 5, 1, 7, 2, 2)], [[6, 7]] * 4]


def encoder(**changes: Any) -> Encoder:
    torch.manual_seed(0)
    return Encoder(replace(SMALL, zero_init_residual=False, **changes)).eval()


def padded(rows: list[list[int]], width: int) -> tuple[Tensor, Tensor]:
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    return ids, torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])


@pytest.mark.parametrize(
    "changes",
    [{}, {"positions": "learned", "bigrams": 2}, {"positions": "t5"}, {"positions": "alibi"}],
    ids=lambda changes: changes.get("positions", "rotary"),
)
@torch.no_grad()
def test_both_doors_lead_to_the_same_vectors(changes: dict[str, Any]) -> None:
    """For any batch, an empty sequence and one of padding alone included."""
    model = encoder(**changes)
    for rows in BATCHES:
        batch = pack(rows, sort=False)
        expected = model(batch)
        assert torch.equal(PackedEncoder(model)(batch.tokens, batch.cu_seqlens), expected)
        ids, mask = padded(rows, 13)
        found = PaddedEncoder(model)(ids, mask)
        torch.testing.assert_close(found[mask.bool()], expected, rtol=0, atol=1e-6)
        assert not found[~mask.bool()].any()


def test_what_the_doors_refuse() -> None:
    model = PackedEncoder(encoder(), max_length=4)
    batch = pack(ROWS)
    with pytest.raises(ValueError, match="cu_seqlens: expected sequences of at most max_length=4, got 6"):
        model(batch.tokens, batch.cu_seqlens)
    with pytest.raises(ValueError, match="cu_seqlens: expected to rise from 0 to the 13 tokens"):
        model(batch.tokens, batch.cu_seqlens[1:])
    with pytest.raises(ValueError, match="max_length: expected a number of tokens from 1, got 0"):
        PackedEncoder(encoder(), max_length=0)
    with pytest.raises(ValueError, match=r"at most model\.max_length=16 with learned positions, got 17"):
        PaddedEncoder(encoder(positions="learned"), max_length=17)
    ids, mask = padded(ROWS, 7)
    mask[3] = torch.tensor([0, 0, 0, 0, 1, 1, 1])
    with pytest.raises(
        ValueError, match="attention_mask: expected tokens before padding, in row 3 they are not"
    ):
        PaddedEncoder(encoder())(ids, mask)


@pytest.mark.slow
@torch.no_grad()
def test_one_exported_program_takes_every_batch() -> None:
    """Written, read again, and run on numbers of tokens and sequences that it was not exported with."""
    model = encoder(n_layers=1)
    batch = pack(ROWS)
    doors: dict[Any, tuple[tuple[Tensor, ...], Any]] = {
        PackedEncoder: ((batch.tokens, batch.cu_seqlens), ({0: Dim("tokens")}, {0: Dim("starts")})),
        PaddedEncoder: (padded(ROWS, 7), ({0: Dim("rows"), 1: Dim("width", max=16)},) * 2),
    }
    for door, (arguments, dynamic) in doors.items():
        kept = io.BytesIO()
        torch.export.save(torch.export.export(door(model), arguments, dynamic_shapes=dynamic), kept)
        kept.seek(0)
        program = torch.export.load(kept).module()
        for rows in BATCHES:
            one = pack(rows, sort=False)
            inputs = (one.tokens, one.cu_seqlens) if door is PackedEncoder else padded(rows, 12)
            assert torch.equal(program(*inputs), door(model)(*inputs))


@pytest.mark.slow
def test_one_graph_serves_all_ragged_batches() -> None:
    """Forward and backward; a batch of other lengths is not compiled again."""
    torch._dynamo.reset()
    model, counter = encoder(), CompileCounter()
    compiled = torch.compile(model, backend=counter, fullgraph=True, dynamic=True)

    def solved(function: Any, batch: Packed) -> list[Tensor]:
        out: Tensor = function(batch)
        return [out, *torch.autograd.grad(out.square().sum(), list(model.parameters()))]

    for rows in BATCHES:
        batch = pack(rows)
        torch.testing.assert_close(solved(compiled, batch), solved(model, batch), rtol=0, atol=0)
    assert counter.frame_count == 1
    torch._dynamo.reset()
