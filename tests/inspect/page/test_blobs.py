"""Arrays of a page: what the browser will have, decoded here with nothing of the page's own."""

from __future__ import annotations

import base64
import json
import re
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xformer.inspect.page.blobs import Blobs, quantise, small_map


def softmax(n: int, seed: int, sharpness: float) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    scores = sharpness * np.random.default_rng(seed).standard_normal((n, n))
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def elements(blobs: Blobs) -> list[tuple[dict[str, object], bytes]]:
    """What each element says about itself, and its bytes inflated."""
    found = [
        re.fullmatch(r"<script [^>]*data-about='([^']*)'>([^<]*)</script>", one) for one in blobs.elements()
    ]
    return [(json.loads(one[1]), zlib.decompress(base64.b64decode(one[2]))) for one in found if one]


@given(n=st.integers(1, 20), seed=st.integers(0, 99), sharpness=st.sampled_from([0.0, 0.1, 2.0, 30.0]))
def test_eight_bits_are_close_to_every_weight(n: int, seed: int, sharpness: float) -> None:
    weights = softmax(n, seed, sharpness)
    # w = (c / 255)^(4/3): half a step of c, at its steepest, is 2/3 / 255. Twice where the mean of a code is
    # off its middle.
    assert np.abs(quantise(weights).decode() - weights).max() < 4 / 3 / 255


@pytest.mark.parametrize("levels", [255, 127, 47, 31, 15, 11, 7, 5, 3, 1])
@pytest.mark.parametrize("n", [1, 3, 8])
def test_the_bytes_say_what_decode_does(levels: int, n: int) -> None:
    weights = softmax(n, levels, 2.0)
    made = quantise(weights, levels)
    data = zlib.decompress(made.to_bytes())
    scale = np.frombuffer(data, "<f4", n)
    table = np.frombuffer(data, "<f4", levels + 1, 4 * n)
    bits = int.from_bytes(data[4 * (n + levels + 1) :], "little")
    width = {255: 8, 127: 8, 47: 8, 31: 8, 15: 4, 11: 4, 7: 4, 5: 4, 3: 2, 1: 1}[levels]
    codes = [(bits >> (width * place)) & (2**width - 1) for place in range(n * n)]
    by_hand = scale[:, None] * table[np.reshape(codes, (n, n))]
    np.testing.assert_array_equal(by_hand, made.decode())


def test_a_uniform_row_is_exact_with_one_level() -> None:
    weights = np.full((6, 6), 1 / 6, dtype=np.float32)
    np.testing.assert_array_equal(quantise(weights, 1).decode(), weights)


def test_few_levels_keep_the_mean_of_each_row_of_a_head() -> None:
    weights = softmax(64, 0, 1.0)
    assert quantise(weights, 3).decode().sum() == pytest.approx(64, rel=0.02)


def test_a_head_is_as_fine_as_its_budget() -> None:
    blobs, weights = Blobs(), softmax(40, 1, 1.0)
    (first, fine), (second, coarse) = blobs.add_weights(weights, 10**6), blobs.add_weights(weights, 700)
    assert (first, second) == (0, 1)
    assert fine.levels == 255
    assert coarse.levels < 255
    assert blobs.size(second) <= 700
    about = [about for about, _ in elements(blobs)]
    assert about[0] == {"kind": "weights", "shape": [40, 40], "levels": 255, "bits": 8}
    assert about[1]["levels"] == coarse.levels


@pytest.mark.parametrize(
    "kind", ["uint8", "int8", "uint16", "int16", "int32", "float32", "float64", "float16"]
)
def test_arrays_come_back(kind: str) -> None:
    array = (np.arange(12).reshape(3, 4) * 2).astype(kind)
    blobs = Blobs()
    blobs.add(array.T)  # not contiguous
    ((about, data),) = elements(blobs)
    stored = "float32" if "float" in kind else kind
    assert about == {"kind": stored, "shape": [4, 3]}
    np.testing.assert_array_equal(np.frombuffer(data, stored).reshape(4, 3), array.T)


def test_an_array_that_no_browser_has_is_refused() -> None:
    with pytest.raises(ValueError, match="an array of complex128; expected one of uint8"):
        Blobs().add(np.zeros(2, dtype=complex))


@given(n=st.integers(1, 30), side=st.integers(1, 12), seed=st.integers(0, 9))
def test_a_small_map_keeps_the_largest(n: int, side: int, seed: int) -> None:
    weights = softmax(n, seed, 2.0)
    small = small_map(weights, side)
    cells = min(n, side)
    edges = [cell * n // cells for cell in range(cells)] + [n]
    for i in range(cells):
        for j in range(cells):
            block = weights[edges[i] : edges[i + 1], edges[j] : edges[j + 1]]
            assert small[i, j] == round(255 * float(block.max() / weights.max()))
