"""The arithmetic of a weight, as the browser would compute it from what the page holds."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tests.inspect.page.small import array, small_subject
from xformer.inspect.interventions import replace
from xformer.inspect.page.arithmetic import arithmetic, arithmetic_part, bias_by_distance, whole_numbers
from xformer.inspect.page.blobs import Blobs
from xformer.inspect.page.parts import KEEP
from xformer.model.config import ModelConfig


def test_whole_numbers_by_hand() -> None:
    rows = whole_numbers(np.array([[1.0, -2.0, 0.5], [0.0, 0.0, 0.0]]), "int8")
    assert rows.values.tolist() == [[64, -127, 32], [0, 0, 0]]  # 1 · 127/2 = 63.5 goes to the even 64
    assert rows.scale.tolist() == [np.float32(2 / 127), 0.0]
    assert np.abs(rows.decode()[0] - [1, -2, 0.5]).max() <= 1 / 127


def test_bias_of_alibi_by_hand() -> None:
    bias = bias_by_distance(ModelConfig(positions="alibi", n_heads=2, d_model=8), None, 3)
    assert bias is not None
    # Two heads have the slopes 2^-4 and 2^-8.
    assert bias.tolist() == [
        [-2 / 16, -1 / 16, 0, -1 / 16, -2 / 16],
        [-2 / 256, -1 / 256, 0, -1 / 256, -2 / 256],
    ]


def test_bias_of_t5_by_hand() -> None:
    config = ModelConfig(positions="t5", n_heads=2, d_model=8, t5_buckets=8, t5_max_distance=16)
    table = torch.arange(16.0).view(8, 2)
    bias = bias_by_distance(config, table, 2)
    assert bias is not None
    # Distance -1 has bucket 1, 0 has 0, and 1 has 4 + 1: half of the buckets are for keys ahead.
    assert bias.tolist() == [[2, 0, 10], [3, 1, 11]]


@pytest.mark.parametrize("kind", ["int16", "int8"])
@pytest.mark.parametrize("positions", ["rotary", "alibi", "t5", "learned"])
def test_the_numbers_add_up(positions: str, kind: str) -> None:
    subject = small_subject(positions=positions, window=4, global_every=2)
    blobs = Blobs()
    with subject.trace("abc defgh", keep=KEEP) as trace:
        n = len(trace.texts[0].ids)
        width = {"int16": 2, "int8": 1}[kind]
        part = arithmetic(trace, 0, blobs, budget=2 * 2 * n * 16 * width)
        true = [trace[f"layers.{layer}.attn.weights"][0].numpy() for layer in range(2)]
    assert part["kind"] == kind
    assert part["windows"] == [None, 2]
    bias = None if part["bias"] is None else array(blobs, part["bias"])
    assert (bias is None) == (positions not in ("alibi", "t5"))
    for layer, blob in enumerate(part["layers"]):
        q, k = (
            array(blobs, blob[name]) * array(blobs, blob[f"{name}_scale"]).astype(float)[..., None]
            for name in "qk"
        )
        lse = array(blobs, blob["lse"])
        for i in range(n):
            for head in range(2):
                row = 0.0
                for j in range(n):
                    half = part["windows"][layer]
                    if half is not None and abs(j - i) > half:
                        assert true[layer][head, i, j] == 0
                        continue
                    score = part["scale"] * float(q[i, head] @ k[j, head])
                    score += 0 if bias is None else float(bias[head, j - i + n - 1])
                    weight = math.exp(score - float(lse[i, head]))
                    row += weight
                    assert abs(weight - true[layer][head, i, j]) <= part["error"]["weight"] + 1e-6
                assert row == pytest.approx(1, abs=n * part["error"]["weight"] + 1e-5)
    assert part["error"]["score"] <= {"int16": 1e-2, "int8": 1.0}[kind]


def test_a_rotation_turned_back_is_that_of_no_position() -> None:
    """The browser's `unrotated`: pair (m, m + D/2) turned back by position · base^(-2m/D) gives x · W."""
    subject = small_subject(positions="rotary", window=None, skip_first_norm=True)
    blobs = Blobs()
    with subject.trace("abcd", keep=(*KEEP, "layers.0.attn.in")) as trace:
        part = arithmetic(trace, 0, blobs)
        x = trace["layers.0.attn.in"][0]
    weight = subject.network.encoder.get_parameter("layers.0.attn.Wqkv.weight")
    q, _, _ = (x @ weight.T).view(len(x), 3, 2, 8).unbind(1)
    blob = part["layers"][0]
    turned = array(blobs, blob["q"]) * array(blobs, blob["q_scale"]).astype(float)[..., None]
    angle = np.arange(len(x))[:, None] * part["rotary"][0] ** (-np.arange(4) / 4.0)
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    first, second = turned[..., :4], turned[..., 4:]
    back = np.concatenate([first * cos + second * sin, second * cos - first * sin], axis=-1)
    np.testing.assert_allclose(back, q.detach().numpy(), atol=2e-4 * float(q.detach().abs().max()))


def test_too_long_a_text_says_why() -> None:
    subject = small_subject()
    with subject.trace("abc", keep=KEEP) as trace:
        part = arithmetic(trace, 0, Blobs(), budget=4 * 2 * 2 * 16)
    assert list(part) == ["why"]
    assert "A page of at most 4 tokens has them" in part["why"]


def test_changed_weights_follow_from_no_scores() -> None:
    subject = small_subject()
    changed = replace("layers.1.attn.weights", torch.eye(5, dtype=torch.float64), heads=0)
    with subject.trace("abc", keep=KEEP, interventions=[changed]) as trace:
        part = arithmetic(trace, 0, Blobs())
    assert part == {"why": "An intervention changed the weights of layer 1: they follow from no scores."}


def test_a_trace_without_queries_has_no_such_part() -> None:
    with small_subject().trace("abc", keep=["layers.*.attn.weights"]) as trace:
        assert arithmetic_part()(trace, Blobs()) == {}
