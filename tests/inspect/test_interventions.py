"""Interventions do what they say where they are asked to, and leave nothing behind.

Covers `changing` and `dense`.
"""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.inspect.subjects import ROWS, subject, texts, tokens
from tests.inspect.test_trace import KINDS
from xformer.errors import InputError
from xformer.inspect import ablate, freeze_attention, patch, replace, scale, steer
from xformer.inspect.subject import Subject
from xformer.model.packed import pack

CHANGEABLE = [
    "embeddings", "layers.0.resid_pre", "layers.1.attn.in", "layers.1.attn.q", "layers.1.attn.k",
    "layers.1.attn.v", "layers.1.attn.heads", "layers.1.attn.out", "layers.1.resid_mid", "layers.1.mlp.in",
    "layers.1.mlp.act", "layers.1.mlp.out", "layers.1.resid_post", "final",
]  # fmt: skip


def final(of: Subject, interventions: Any = (), what: Any = None) -> Tensor:
    """The final state of all texts under interventions."""
    with of.trace(what or texts(), keep="final", interventions=interventions) as t:
        found: Tensor = t["final"].packed
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CHANGEABLE)
def test_each_activation_is_changed_where_it_is_chosen_and_nowhere_else(kind: str, name: str) -> None:
    of = subject(**KINDS[kind])
    with of.trace(texts(), keep="*") as clean:
        pass
    with of.trace(texts(), keep="*", interventions=[replace(name, 0.25, texts=1, tokens=[2, -1])]) as t:
        for number in range(4):
            expected = clean[name][number].clone()
            if number == 1:
                expected[[2, -1]] = 0.25
            torch.testing.assert_close(t[name][number], expected)
        assert not torch.equal(t["final"][1], clean["final"][1])
        for other in (0, 2, 3):
            torch.testing.assert_close(t["final"][other], clean["final"][other])
    torch.testing.assert_close(final(of, [scale(name, 1.0)]), clean["final"].packed)


def test_an_ablated_head_is_a_head_whose_columns_of_the_output_matrix_are_zero() -> None:
    of, other = subject(), subject()
    with torch.no_grad():
        other.network.encoder.get_parameter("layers.1.attn.Wo.weight")[:, 8:16] = 0
    torch.testing.assert_close(final(of, [ablate("layers.1.attn.heads", heads=1)]), final(other))


def test_a_mean_and_a_draw_come_from_the_pass_or_from_a_reference() -> None:
    of = subject()
    with of.trace([tokens([20, 21, 22]), tokens([23])], keep="layers.*") as reference:
        mean = reference["layers.0.mlp.out"].packed.mean(0)
    with of.trace(
        texts(), interventions=[ablate("layers.0.mlp.out", "mean", reference=reference, dims=[0, 5])]
    ) as t:
        torch.testing.assert_close(t["layers.0.mlp.out"].packed[:, [0, 5]], mean[[0, 5]].expand(14, 2))
    with of.trace(texts(), interventions=[ablate("layers.0.attn.heads", "mean", heads=2)]) as t:
        clean = final(of)
        its = t["layers.0.attn.heads"].packed
        torch.testing.assert_close(its[:, 2], its[:1, 2].expand(14, 8))
        assert not torch.equal(t["final"].packed, clean)
    drawn = [ablate("layers.0.mlp.out", "resample", reference=reference, seed=seed) for seed in (0, 0, 1)]
    first, second, third = (final(of, [one]) for one in drawn)
    assert torch.equal(first, second)
    assert not torch.equal(first, third)
    with of.trace(texts(), keep="layers.0.mlp.out", interventions=[drawn[0]]) as t:
        rows = reference["layers.0.mlp.out"].packed
        assert all(any(torch.equal(row, one) for one in rows) for row in t["layers.0.mlp.out"].packed)


def test_all_states_of_another_text_make_it_the_other_text() -> None:
    of, mine, other = subject(), tokens(ROWS[2]), tokens([30, 31, 32, 33])
    with of.trace([other, tokens([9])], keep="layers.*") as source:
        theirs = source["layers.2.resid_post"][0]
    with of.trace(mine, interventions=[patch("layers.0.resid_post", source)]) as t:
        torch.testing.assert_close(t["layers.2.resid_post"][0], theirs)
    swapped = patch("layers.0.resid_post", source, tokens=[0, 3], source_text=0, source_tokens=[3, 0])
    with of.trace(mine, interventions=[swapped]) as t:
        found, there = t["layers.0.resid_post"][0], source["layers.0.resid_post"][0]
        assert torch.equal(found[[0, 3]], there[[3, 0]])


def test_patches_from_another_run_and_of_some_heads() -> None:
    of, other = subject(), subject(seed=1)
    with other.trace(texts(), keep="layers.*") as source:
        pass
    with of.trace(texts(), interventions=[patch("layers.1.attn.q", source, heads=[0, 2], texts=[1, 3])]) as t:
        for text in (1, 3):
            assert torch.equal(
                t["layers.1.attn.q"][text][:, [0, 2]], source["layers.1.attn.q"][text][:, [0, 2]]
            )
        assert not torch.equal(t["layers.1.attn.q"][0], source["layers.1.attn.q"][0])
    small = subject(d_model=12, n_heads=3)
    with small.trace(texts(), keep="layers.*") as narrow:
        pass
    with pytest.raises(InputError, match="patch: expected values of shape"):
        final(of, [patch("layers.1.mlp.out", narrow)])


@pytest.mark.parametrize("kind", KINDS)
def test_frozen_attention_attends_as_the_source_did(kind: str) -> None:
    of = subject(**KINDS[kind])
    with of.trace(texts()) as clean:
        pass
    torch.testing.assert_close(final(of, [freeze_attention(None, clean)]), clean["final"].packed)
    with of.trace(
        texts(), interventions=[steer("embeddings", torch.ones(24)), freeze_attention([0, 1], clean)]
    ) as t:
        for layer in (0, 1):
            name = f"layers.{layer}.attn.weights"
            torch.testing.assert_close(t[name][1], clean[name][1])
            mixed = torch.einsum("hmn,nhd->mhd", clean[name][1], t[f"layers.{layer}.attn.v"][1])
            torch.testing.assert_close(t[f"layers.{layer}.attn.heads"][1], mixed)
        assert (t["layers.2.attn.weights"][1] - clean["layers.2.attn.weights"][1]).abs().max() > 1e-3


def test_weights_are_changed_for_chosen_heads_and_the_other_heads_keep_their_bits() -> None:
    of, name = subject(), "layers.1.attn.weights"
    with of.trace(texts(), keep="*") as clean:
        pass
    changes = [ablate(name, heads=1, texts=1, dims=0), scale(name, 2.0, heads=1, texts=1, tokens=3)]
    with of.trace(texts(), keep="*", interventions=changes) as t:
        expected = clean[name][1].clone()
        expected[1, :, 0] = 0
        expected[1, 3] *= 2
        torch.testing.assert_close(t[name][1], expected)
        assert torch.equal(t["layers.1.attn.heads"][1][:, [0, 2]], clean["layers.1.attn.heads"][1][:, [0, 2]])
        mixed = torch.einsum("mn,nd->md", expected[1], clean["layers.1.attn.v"][1][:, 1])
        torch.testing.assert_close(t["layers.1.attn.heads"][1][:, 1], mixed)
    with pytest.raises(InputError, match="can be made zero only"):
        final(of, [ablate(name, "mean")])


def test_they_compose_in_the_order_given() -> None:
    of, name = subject(), "layers.0.resid_post"
    one, two = scale(name, 2.0), replace(name, 3.0)
    with of.trace(texts(), interventions=[one, two]) as t:
        assert torch.all(t[name].packed == 3.0)
    with of.trace(texts(), interventions=[two, one]) as t:
        assert torch.all(t[name].packed == 6.0)


def test_gradients_flow_through_interventions() -> None:
    of = subject()
    factor = torch.ones(3, 1, dtype=torch.float64, requires_grad=True)
    change = scale("layers.1.attn.heads", factor)
    with of.trace(texts(), interventions=[change], gradients=True) as t:
        loss = t.logits(1, 0)[0, 9]
        (found,) = torch.autograd.grad(loss, factor, retain_graph=True)
        t.backward(loss)
        heads = t["layers.1.attn.heads"].packed * t.gradient("layers.1.attn.heads").packed
    torch.testing.assert_close(found[:, 0], heads.sum((0, 2)))


def test_a_block_of_interventions_changes_every_pass_and_leaves_nothing_behind() -> None:
    of = subject()
    batch, keys = pack([ROWS[0], ROWS[1]]), list(of.network.state_dict())
    with torch.no_grad():
        before = of.network.sentence_vectors(batch)
        with of.intervene(ablate("layers.*.attn.out"), scale("final", 2.0)) as changed:
            inside = changed.network.sentence_vectors(batch)
            assert torch.equal(of.network.sentence_vectors(batch), before)
        with pytest.raises(RuntimeError, match="on purpose"), of.intervene(ablate("final")) as changed:
            raise RuntimeError("on purpose")
        assert not torch.equal(inside, before)
        assert torch.equal(of.network.sentence_vectors(batch), before)
        assert of.network.encoder.probe is None
        assert list(of.network.state_dict()) == keys
        for use in (lambda: changed.network.sentence_vectors(batch), lambda: final(changed)):
            with pytest.raises(InputError, match="has ended"):
                use()


def test_blocks_nest_and_traces_inside_them_see_the_changed_model() -> None:
    of = subject()
    one, two = scale("layers.0.attn.out", 0.5), steer("layers.1.resid_post", torch.ones(24))
    expected = final(of, [one, two])
    with of.intervene(one) as changed, changed.intervene(two) as twice:
        assert torch.equal(final(twice), expected)
        assert torch.equal(final(changed, [two]), expected)
        assert torch.equal(final(of, [one, two]), expected)


def test_threads_do_not_see_each_other() -> None:
    of = subject()
    alone, together, errors = {}, {}, []
    for factor in (0.0, 0.5, 1.0, 2.0):
        alone[factor] = final(of, [scale("layers.*.attn.out", factor)])

    def work(factor: float) -> None:
        try:
            for _ in range(10):
                with of.intervene(scale("layers.*.attn.out", factor)) as changed:
                    together[factor] = final(changed)
                    assert torch.equal(together[factor], alone[factor])
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(factor,)) for factor in alone]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(together) == 4


@pytest.mark.parametrize(
    ("interventions", "answer"),
    [
        ([ablate("layers.0.attn.heads", heads=3)], "heads: expected 0 to 2, as there are 3 heads; got 3"),
        ([ablate("layers.3.attn.heads")], "there are 0 to 2"),
        ([ablate("layers.0.mlp.out", heads=0)], "has no heads; it has token, dim"),
        ([ablate("layers.0.mlp.out", dims=24)], "dims: expected 0 to 23"),
        ([ablate("layers.0.mlp.out", texts=4)], "texts: expected 0 to 3"),
        ([ablate("layers.0.mlp.out", texts=0, tokens=2)], "tokens of text 0: expected 0 to 1"),
        ([scale("layers.0.attn.lse", 2.0)], "change these, or attn.weights"),
        ([scale("sentence", 2.0)], "cannot be changed"),
        (["layers.0.mlp.out"], "expected what ablate, patch, scale"),
    ],
)
def test_what_cannot_be_is_said_before_the_pass(
    interventions: Any, answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = subject()
    monkeypatch.setattr(of.network.encoder, "forward", None)  # the model never runs
    with pytest.raises(InputError, match=answer):
        of.trace(texts(), interventions=interventions)


def test_wrong_values_are_named() -> None:
    of = subject()
    with pytest.raises(
        InputError, match=r"replace: expected what fits the chosen part of layers.0.mlp.out, \(14, 24\)"
    ):
        final(of, [replace("layers.0.mlp.out", torch.zeros(5, 24))])
    with pytest.raises(InputError, match="how: expected zero, mean, resample; got 'none'"):
        ablate("final", "none")  # type: ignore[arg-type]
    with of.trace(texts(), keep="final") as source, pytest.raises(InputError, match="it was not kept"):
        of.trace(texts(), interventions=[patch("layers.0.mlp.out", source)])
    for one in (ablate("final", texts=0), patch("final", source), ablate("final", "mean")):
        with pytest.raises(InputError, match="only a trace can use it"), of.intervene(one):
            pass
