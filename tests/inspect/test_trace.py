"""A trace shows what the model computes, and the model computes the same bits under it.

Covers `activation`, `layout`, `names`, `recorder`, `subject` and `weights`, and xformer.model.probe.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.inspect.subjects import ROWS, TOKENS, subject, texts, tokens
from xformer.errors import InputError
from xformer.inspect.names import all_names, axes_of, shape_of
from xformer.inspect.trace import Trace
from xformer.kernels import attention
from xformer.model.packed import pack
from xformer.model.positions import rotary_table

KINDS: dict[str, dict[str, Any]] = {
    "ours": {},
    "bert": {
        "positions": "learned", "norm_position": "post", "final_norm": False, "skip_first_norm": False,
        "activation": "gelu", "bias": True, "bigrams": 0, "window": None, "n_segments": 2,
    },
    "t5": {"positions": "t5", "norm": "rmsnorm", "activation": "relu2", "bigrams": 0},
    "alibi": {"positions": "alibi", "activation": "swiglu", "window": 6, "global_every": 2},
}  # fmt: skip


@given(
    kind=st.sampled_from(sorted(KINDS)),
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=5),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    keep=st.sampled_from(["*", "layers.1.attn.weights", "final", "layers.*.mlp.act"]),
)
@settings(deadline=None, max_examples=25)
def test_outputs_are_the_same_bits(kind: str, lengths: list[int], dtype: torch.dtype, keep: str) -> None:
    of = subject(dtype=dtype, **KINDS[kind])
    rows = [[5 + (i + k) % 36 for i in range(n)] for k, n in enumerate(lengths)]
    batch = pack(rows)
    with torch.no_grad():
        states, final = of.network.encoder.hidden_states(batch), of.network.encoder(batch)
        vectors = of.network.sentence_vectors(batch, n_layers=2, normalise=False)
    with of.trace(
        [tokens(row) for row in rows], keep=[keep, "final", "sentence", "layers.*.resid_post"]
    ) as t:
        assert torch.equal(t["final"].packed, final)
        for layer, state in enumerate(states[1:]):
            assert torch.equal(t[f"layers.{layer}.resid_post"].packed, state)
        assert torch.equal(t["sentence"].packed, batch.unsort(vectors))


@pytest.mark.parametrize("kind", KINDS)
def test_every_activation_has_the_shape_that_names_say(kind: str) -> None:
    of, given_texts = subject(**KINDS[kind]), texts()
    with of.trace(given_texts, keep="*") as t:
        assert t.names == all_names(of.config)
        for name in t.names:
            axes = axes_of(name)
            for number, text in enumerate(given_texts):
                n, shape = len(text), shape_of(name, of.config)
                expected = {
                    ("dim",): shape,
                    ("head", "query", "key"): (*shape, n, n),
                }.get(axes, (n, *shape))
                assert t[name][number].shape == expected, name


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_those_of_the_definition_and_give_what_the_kernel_computed(kind: str) -> None:
    of = subject(**KINDS[kind])
    with of.trace(texts()) as t:
        for layer in range(3):
            weights = t[f"layers.{layer}.attn.weights"]
            heads, v = t[f"layers.{layer}.attn.heads"], t[f"layers.{layer}.attn.v"]
            for number in range(4):
                its = weights[number]
                torch.testing.assert_close(its.sum(-1), torch.ones_like(its[..., 0]))
                torch.testing.assert_close(torch.einsum("hmn,nhd->mhd", its, v[number]), heads[number])
                part = weights.text(number, heads=[2, 0], rows=-1)
                torch.testing.assert_close(part, its[[2, 0], -1:])
            assert weights.disagreement is not None
            assert weights.compare() < 1e-12
            found = weights.statistics()
            assert [one.entropy.shape for one in found] == [(2, 3), (7, 3), (1, 3), (4, 3)]
            its = weights[1]
            entropy = -torch.xlogy(its, its).sum(-1).T
            torch.testing.assert_close(found[1].entropy, entropy)
            received = found[1].received
            assert received is not None
            torch.testing.assert_close(received, its.sum(1).T)


def test_queries_and_keys_are_in_the_order_of_the_checkpoint() -> None:
    of = subject()
    with of.trace(tokens(ROWS[0])) as t:
        read, weight = t["layers.1.attn.in"][0], of.network.encoder.get_parameter("layers.1.attn.Wqkv.weight")
        q, k, _ = (read @ weight.T).view(7, 3, 3, 8).unbind(1)
        cos, sin = rotary_table(7, 8, of.config.rotary_base_local)
        for name, x in (("q", q), ("k", k)):
            first, second = x[..., :4], x[..., 4:]
            c, s = cos[:, None].double(), sin[:, None].double()
            turned = torch.cat([first * c - second * s, second * c + first * s], -1)
            # The tables are made in fp32, as the model's are.
            torch.testing.assert_close(t[f"layers.1.attn.{name}"][0], turned, rtol=1e-5, atol=1e-6)


def test_the_residual_stream_adds_up() -> None:
    of = subject()
    with of.trace(texts(), keep="*") as t:
        for layer in range(3):
            at = f"layers.{layer}."
            for i in range(4):
                middle = t[at + "resid_pre"][i] + t[at + "attn.out"][i]
                torch.testing.assert_close(t[at + "resid_mid"][i], middle)
                torch.testing.assert_close(t[at + "resid_post"][i], middle + t[at + "mlp.out"][i])
        assert torch.equal(t["layers.0.resid_pre"][1], t["embeddings"][1])


def test_logits_are_those_of_the_head_at_any_token() -> None:
    of = subject()
    with of.trace(texts(), keep="final") as t:
        found = t.logits(1, [0, -1])
        hidden = t["final"][1]
        whole = of.network.masked_lm(hidden, torch.tensor([0, 6]), of.network.encoder.token_embedding)
        torch.testing.assert_close(found, whole)
    with of.trace(texts(), keep="*") as t:
        torch.testing.assert_close(t["logits"][1][[0, -1]], whole)
        assert t.logits(2).shape == (1, 41)


def test_what_was_recorded_stays_and_the_graph_does_not() -> None:
    of = subject()
    with of.trace(texts(), gradients=True) as t:
        assert t["final"][0].requires_grad
        t.backward(t["sentence"][0].sum())
    assert not t["final"][0].requires_grad
    assert t.gradient("embeddings")[0].abs().max() > 0
    assert t["layers.0.attn.weights"][0].shape == (3, 2, 2)
    assert all(parameter.grad is None for parameter in of.network.parameters())
    with pytest.raises(InputError, match="inside its with block"):
        t.backward(torch.zeros(()))


def slope(of: Any, name: str, direction: Tensor, loss: Any) -> float:
    """The derivative of a loss along a direction, from two passes."""
    from xformer.inspect import steer

    values = []
    for strength in (1e-6, -1e-6):
        with of.trace(texts(), interventions=[steer(name, direction, strength, texts=1)]) as t:
            values.append(float(loss(t)))
    return (values[0] - values[1]) / 2e-6


@pytest.mark.parametrize("name", ["embeddings", "layers.1.attn.q", "layers.0.attn.heads", "layers.2.mlp.act"])
def test_gradients_are_those_of_two_passes(name: str) -> None:
    of = subject()

    def loss(t: Trace) -> Tensor:
        return t.logits(1, 3)[0, 7] + t["sentence"][1][0]

    with of.trace(texts(), keep="*", gradients=True) as t:
        t.backward(loss(t))
        found = t.gradient(name)[1]
        direction = torch.randn(found.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        assert float((found * direction).sum()) == pytest.approx(slope(of, name, direction, loss), rel=1e-5)


def test_gradients_of_weights_are_those_of_two_passes() -> None:
    of = subject()
    name = "layers.1.attn.weights"
    with of.trace(texts(), gradients=True) as t:
        t.backward(t.logits(1, 3)[0, 7])
        found = t.gradient(name)[1]
        part = t.gradient(name).text(1, heads=2, rows=[0])
    direction = torch.randn(found.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    expected = slope(of, name, direction, lambda t: t.logits(1, 3)[0, 7])
    assert float((found * direction).sum()) == pytest.approx(expected, rel=1e-5)
    torch.testing.assert_close(part, found[2:, :1])


def test_bf16_and_8192_tokens_are_traced_and_their_weights_asked_by_rows() -> None:
    of = subject(dtype=torch.float32, window=128)
    long = tokens([5 + i % 36 for i in range(8192)])
    with torch.autocast("cpu", torch.bfloat16), of.trace(long, keep="layers.0.attn.weights") as t:
        weights = t["layers.0.attn.weights"]
        rows = weights.text(0, heads=1, rows=[0, 8191])
        assert rows.shape == (1, 2, 8192)
        assert rows.sum(-1).sub(1).abs().max() < 1e-3
        assert weights.statistics()[0].entropy.shape == (8192, 3)
    assert "longer than the 8" in t.notes[0]
    with of.trace(long, keep="layers.0.attn.weights", limit_bytes=1 << 28) as t:
        weights = t["layers.0.attn.weights"]
    with pytest.raises(InputError, match="3 heads × 8,192 rows × 8,192 keys take 805 MB"):
        weights[0]


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        (lambda of: of.trace(texts(), keep="layers.9.attn.q"), "there are 0 to 2"),
        (lambda of: of.trace(texts(), keep="layers.0.attn.weigths"), "did you mean layers.0.attn.weights"),
        (
            lambda of: of.trace(texts(), keep="*", limit_bytes=1000),
            "take 99,680 bytes, more than limit_bytes=1",
        ),
        (lambda of: of.trace([]), "at least one text"),
        (lambda of: of.trace(7), "expected a text or several, got int"),
        (lambda of: of.trace(["w5", b"w6"]), r"texts\[1\]: expected a string, got bytes"),
        (lambda of: of.trace("w5")["final"], "use it in a block"),
        (lambda of: of.trace_bytes("w5", "nothing"), "there is no activation 'nothing'"),
    ],
)
def test_what_cannot_be_is_said_before_any_work(
    ask: Any, answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = subject()
    monkeypatch.setattr(of.network.encoder, "forward", None)  # the model never runs
    with pytest.raises(InputError, match=answer):
        ask(of)


def test_what_was_not_kept_is_said() -> None:
    of = subject()
    with of.trace(texts(), keep=["layers.0.attn.q"]) as t:
        assert t.names == ("layers.0.attn.q",)
        for ask, answer in [
            (lambda: t["layers.0.attn.k"], "it was not kept; add it to keep="),
            (lambda: t["layers.0.attn.q"][4], "text: expected 0 to 3, as there are 4 texts; got 4"),
            (lambda: t["layers.0.attn.q"].text(0, heads=3), "heads: expected 0 to 2"),
            (lambda: t["layers.0.attn.q"].text(0, tokens="x"), "tokens: expected a whole number"),
            (lambda: t.gradient("layers.0.attn.q"), "call backward"),
            (lambda: t.backward(torch.zeros(())), "gradients=True"),
            (lambda: t.__enter__(), "make another trace"),
        ]:
            with pytest.raises(InputError, match=re.escape(answer)):
                ask()


def test_a_model_with_learned_positions_reads_no_more_than_it_has() -> None:
    of = subject(**KINDS["bert"] | {"max_length": 8})
    with pytest.raises(InputError, match="at most 8 tokens"):
        of.trace(tokens(list(range(5, 14))))


def test_the_size_is_that_of_what_is_kept() -> None:
    of = subject()
    kept: dict[int, int] = {}
    with of.trace(texts(), keep=["embeddings", "layers.*", "final"]) as t:
        for value in t._recorder.recorded.values():
            kept[value.data_ptr()] = value.numel() * value.element_size()
    assert t.bytes == of.trace_bytes(texts(), ["embeddings", "layers.*", "final"])
    assert sum(kept.values()) == pytest.approx(t.bytes, rel=0.15)


def test_text_is_cut_by_the_tokens_of_the_subject() -> None:
    of = subject()
    assert of.tokenise("w5 w6").ids.tolist() == [5, 6]
    assert of.tokens is TOKENS
    with of.trace(["w5 w6", tokens([7])]) as t:
        assert [text.text for text in t.texts] == ["w5 w6", "w7"]
        apart = attention(
            t["layers.0.attn.q"][0], t["layers.0.attn.k"][0], t["layers.0.attn.v"][0],
            torch.tensor([0, 2]), window=None, backend="reference",
        )  # fmt: skip
        torch.testing.assert_close(t["layers.0.attn.heads"][0], apart)
