"""What the encoder promises beyond equality with the reference."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
import torch

from xformer.model.config import ModelConfig
from xformer.model.encoder import Encoder
from xformer.model.packed import pack

SMALL = ModelConfig(vocab_size=31, d_model=24, n_heads=3, d_ff=16, n_layers=4, window=4)
ROWS = [[5, 6, 7, 8, 9, 10], [11], [], [12, 13, 14], [15, 16, 17]]


@pytest.mark.parametrize("positions", ["rotary", "alibi", "t5", "none"])
def test_an_untrained_model_is_its_embeddings(positions: Any) -> None:
    encoder = Encoder(replace(SMALL, positions=positions))
    batch = pack(ROWS)
    assert torch.equal(encoder(batch, final_norm=False), encoder.embed(batch))
    states = encoder.hidden_states(batch)
    assert len(states) == 5
    assert all(torch.equal(state, states[0]) for state in states)


def test_growing_in_depth_changes_nothing_at_first_and_reaches_the_new_block() -> None:
    encoder = Encoder(SMALL)
    batch = pack(ROWS)
    optimizer = torch.optim.SGD(encoder.parameters(), lr=1.0)
    for _ in range(3):
        optimizer.zero_grad()
        (encoder(batch, n_layers=2) * torch.arange(24.0)).sum().backward()
        optimizer.step()
    assert not torch.equal(encoder(batch, n_layers=2), encoder(batch, n_layers=0))
    assert torch.equal(encoder(batch, n_layers=2), encoder(batch))
    optimizer.zero_grad()
    (encoder(batch) * torch.arange(24.0)).sum().backward()
    gradient = encoder.get_parameter("layers.3.mlp.Wo.weight").grad
    assert gradient is not None
    assert gradient.abs().max() > 0


@pytest.mark.parametrize("sort", [True, False])
def test_sequences_do_not_see_each_other(sort: bool) -> None:
    torch.manual_seed(0)
    encoder = Encoder(replace(SMALL, zero_init_residual=False)).double()
    batch = pack(ROWS, sort=sort)
    together = encoder(batch)
    for place, number in enumerate(batch.order.tolist()):
        rows = together[batch.cu_seqlens[place] : batch.cu_seqlens[place + 1]]
        torch.testing.assert_close(rows, encoder(pack([ROWS[number]])), rtol=0, atol=1e-12)


def test_local_layers_are_local_and_global_ones_are_not() -> None:
    torch.manual_seed(0)
    config = replace(SMALL, n_layers=3, window=4, global_every=3, zero_init_residual=False)
    assert [config.is_global(layer) for layer in range(3)] == [True, False, False]
    encoder = Encoder(config)

    def reach() -> int:
        """How far from a token, at most, the output changes when that token does."""
        one, other = list(range(21)), list(range(21))
        other[10] = 30
        changed = (encoder(pack([one])) - encoder(pack([other]))).abs().amax(dim=1) > 0
        return int((changed.nonzero() - 10).abs().max())

    assert reach() == 10
    with torch.no_grad():
        encoder.get_parameter("layers.0.attn.Wo.weight").zero_()
    # Two local layers remain, of two tokens to either side each.
    assert reach() == 4


def test_empty_batches() -> None:
    encoder = Encoder(replace(SMALL, zero_init_residual=False))
    for n_sequences in range(3):
        out = encoder(pack([[]] * n_sequences))
        assert out.shape == (0, 24)
        out.sum().backward()


def test_dropout_acts_in_training_alone_and_follows_the_seed() -> None:
    config = replace(SMALL, dropout=0.2, attention_dropout=0.2, zero_init_residual=False)
    encoder = Encoder(config)
    batch = pack(ROWS)
    torch.manual_seed(3)
    first = encoder(batch)
    assert not torch.equal(first, encoder(batch))
    torch.manual_seed(3)
    assert torch.equal(first, encoder(batch))
    encoder.eval()
    assert torch.equal(encoder(batch), encoder(batch))


def test_wrong_depth_and_too_long_sequences_are_refused() -> None:
    encoder = Encoder(replace(SMALL, positions="learned", max_length=5))
    with pytest.raises(ValueError, match=re.escape("n_layers: expected 0 to 4, got 5")):
        encoder(pack([[1]]), n_layers=5)
    with pytest.raises(ValueError, match=r"at most model\.max_length=5 tokens.*got 6"):
        encoder(pack(ROWS))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("positions", "rotery"),
        ("norm", "batchnorm"),
        ("activation", "tanh"),
        ("norm_position", "middle"),
        ("gelu", "fast"),
        ("vocab_size", 0),
        ("d_model", 25),
        ("d_model", 27),
        ("n_layers", -1),
        ("t5_buckets", 7),
        ("t5_max_distance", 3),
        ("window", 1),
        ("dropout", 1.0),
        ("norm_eps", 0.0),
    ],
)
def test_a_wrong_setting_is_named(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^model\.{field}: expected .*, got {value!r}$"):
        replace(SMALL, **{field: value})
