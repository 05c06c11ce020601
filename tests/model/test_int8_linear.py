"""`Int8Linear` beside its definition in fp64, and what it must not depend on."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from xformer.errors import InputError
from xformer.model.int8_linear import CHUNK, Int8Linear, activation_limit, padded_rows, require_int8

pytestmark = pytest.mark.skipif(
    not torch.cpu.get_capabilities().get("avx2", False), reason="this CPU has no AVX2, which int8 needs"
)


def definition(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Round weights by output channel and activations by row, then multiply in fp64."""
    x, weight = x.double(), weight.double()
    rows = x.abs().amax(1, keepdim=True).clamp_min(1e-30) / activation_limit()
    channels = weight.abs().amax(1, keepdim=True).clamp_min(1e-30) / 127
    product = (x / rows).round() @ (weight / channels).round().T * rows * channels.T
    return product if bias is None else product + bias.double()


@settings(max_examples=25, deadline=None)
@given(
    n_rows=st.sampled_from([0, 1, 31, 32, 33, CHUNK, CHUNK + 1, 2 * CHUNK + 40]),
    sizes=st.sampled_from([(8, 8), (24, 40), (65, 33), (256, 96)]),
    has_bias=st.booleans(),
    seed=st.integers(0, 2**20),
)
def test_rounds_by_channel_and_by_row(n_rows: int, sizes: tuple[int, int], has_bias: bool, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    width, out = sizes
    # Rows and channels of very different sizes, and zeros.
    x = torch.randn(n_rows, width, generator=generator) * torch.randn(n_rows, 1, generator=generator).exp()
    x[: n_rows // 8] = 0
    weight = torch.randn(out, width, generator=generator) * torch.randn(out, 1, generator=generator).exp()
    weight[0] = 0
    bias = torch.randn(out, generator=generator) if has_bias else None
    found, wanted = Int8Linear(weight, bias)(x), definition(x, weight, bias)
    assert found.dtype == torch.float32
    # A value half way between two steps may be rounded either way: one step of one product.
    step = (x.abs().amax(1, keepdim=True) * weight.abs().amax(1)[None]).double() / activation_limit()
    assert bool(((found.double() - wanted).abs() <= 1.01 * step + 1e-5 * (1 + wanted.abs())).all())
    if n_rows:
        assert (found.double() - wanted).norm() <= 2e-3 * wanted.norm() + 1e-6


def test_the_largest_products_do_not_overflow() -> None:
    x, weight = torch.ones(40, 512), torch.ones(24, 512)
    torch.testing.assert_close(Int8Linear(weight, None)(x), torch.full((40, 24), 512.0))
    torch.testing.assert_close(Int8Linear(-weight, None)(x), torch.full((40, 24), -512.0))


def test_a_row_does_not_depend_on_the_others() -> None:
    layer = Int8Linear(torch.randn(48, 64), torch.randn(48))
    x = torch.randn(300, 64)
    together = layer(x)
    loud = torch.cat([x[:7], 1000 * torch.randn(500, 64)])
    assert torch.equal(layer(loud)[:7], together[:7])


def test_other_devices_are_refused_by_name() -> None:
    with pytest.raises(InputError, match="int8 is computed on a CPU, got the device cuda:1"):
        require_int8(torch.device("cuda:1"))
    require_int8(torch.device("cpu"))


def test_few_shapes_are_multiplied() -> None:
    shapes = {padded_rows(n) for n in range(1, CHUNK + 1)}
    assert len(shapes) <= 16
    assert all(0 <= padded_rows(n) - n < 128 for n in range(1, CHUNK + 1))
    assert padded_rows(1) == 32
    assert padded_rows(CHUNK) == CHUNK
