"""Head sizes in two parts, and tiles that are no larger than the sequences."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from xformer.kernels.attention.triton.tile_sizes import Kernel, attention_tile
from xformer.kernels.device import AMPERE, BLACKWELL, CDNA3, HOPPER, INTERPRETER, Target, head_parts


def is_power_of_two(n: int) -> bool:
    return n & (n - 1) == 0


@pytest.mark.parametrize(
    ("head_size", "parts"),
    [
        (1, (16, 0)), (16, (16, 0)), (17, (32, 0)), (40, (32, 16)), (64, (64, 0)), (72, (64, 16)),
        (80, (64, 16)), (96, (64, 32)), (97, (128, 0)), (128, (128, 0)), (144, (128, 16)), (192, (128, 64)),
        (200, (256, 0)), (256, (256, 0)),
    ],
)  # fmt: skip
def test_head_parts(head_size: int, parts: tuple[int, int]) -> None:
    assert head_parts(head_size) == parts


@given(head_size=st.integers(1, 256))
def test_parts_hold_the_head_and_waste_less_than_one_power_of_two(head_size: int) -> None:
    first, rest = head_parts(head_size)
    assert is_power_of_two(first)
    assert first >= 16
    assert rest == 0 or (is_power_of_two(rest) and 16 <= rest < first)
    assert head_size <= first + rest <= max(16, 2 * head_size - 1)
    assert rest == 0 or head_size > first


@given(
    kernel=st.sampled_from(get_args(Kernel)),
    target=st.sampled_from([INTERPRETER, AMPERE, HOPPER, BLACKWELL, CDNA3]),
    head_size=st.integers(1, 256),
    dtype=st.sampled_from([torch.float32, torch.float16, torch.bfloat16]),
    max_length=st.integers(0, 8192),
    burden=st.integers(0, 4),
    biased_mask=st.booleans(),
)
def test_tiles_are_powers_of_two_and_no_longer_than_they_must_be(
    kernel: Kernel,
    target: Target,
    head_size: int,
    dtype: torch.dtype,
    max_length: int,
    burden: int,
    biased_mask: bool,
) -> None:
    tile = attention_tile(kernel, target, head_size, dtype, max_length, burden, biased_mask)
    sizes = (tile.block_m, tile.block_n, tile.num_warps)
    assert all(map(is_power_of_two, sizes))
    assert min(tile.block_m, tile.block_n) >= 16
    owned = tile.block_n if kernel == "key_value" else tile.block_m
    assert target is INTERPRETER or owned < max(32, 2 * max_length)
    assert kernel != "query_table" or tile.block_m == tile.block_n  # what its diagonals need
