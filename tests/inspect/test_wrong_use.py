"""What people ask wrongly is answered with what was expected, and never with another result.

Covers `subject`, `trace`, `interventions`, `tokenised` and `weights` where they meet values of any kind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from tests.inspect.subjects import subject, texts
from tests.inspect.subjects import tokens as text_of
from xformer.errors import InputError
from xformer.inspect import ablate, freeze_attention, patch, replace, scale, steer
from xformer.inspect.subject import Subject

HEADS = "layers.1.attn.heads"
WEIGHTS = "layers.1.attn.weights"


def final(of: Subject, interventions: Any = ()) -> torch.Tensor:
    """The final state of all texts."""
    with of.trace(texts(), keep="final", interventions=interventions) as t:
        found: torch.Tensor = t["final"].packed
    return found


@pytest.mark.parametrize("axis", ["texts", "tokens", "heads", "dims"])
@pytest.mark.parametrize("name", [HEADS, WEIGHTS])
def test_a_generator_chooses_what_its_list_does(axis: str, name: str) -> None:
    of = subject()
    first: dict[str, Any] = {axis: [0]}
    listed = final(of, ablate(name, **first))
    assert not torch.equal(listed, final(of))
    once: dict[str, Any] = {axis: (i for i in [0])}
    torch.testing.assert_close(final(of, ablate(name, **once)), listed)


def test_a_generator_chooses_tokens_of_each_source() -> None:
    of = subject()
    with of.trace(texts()) as t:
        pass
    expected = final(of, patch(HEADS, t, tokens=[0], source_tokens=[-1]))
    torch.testing.assert_close(
        final(of, patch(HEADS, t, tokens=iter([0]), source_tokens=iter([-1]))), expected
    )


def test_one_intervention_may_stand_by_itself_and_a_layer_be_of_numpy() -> None:
    of = subject()
    one = ablate(HEADS, heads=1)
    torch.testing.assert_close(final(of, one), final(of, [one]))
    with of.trace(texts()) as t:
        pass
    (frozen,) = freeze_attention(np.int64(1), t)
    assert frozen.pattern == WEIGHTS


def test_traces_and_activations_are_walked_through() -> None:
    with subject().trace(texts(), keep=["final", WEIGHTS, "sentence"], gradients=True) as t:
        t.backward(t["final"][0].sum())
        assert list(t) == [WEIGHTS, "final", "sentence"]
        assert [name in t for name in ("final", "embeddings", None)] == [True, False, False]
        assert [len(one) for one in t["final"]] == [2, 7, 1, 4]
        assert [one.shape for one in t[WEIGHTS]] == [(3, n, n) for n in (2, 7, 1, 4)]
        assert [one.shape for one in t.gradient(WEIGHTS)] == [(3, n, n) for n in (2, 7, 1, 4)]
        assert len(list(t["sentence"])) == 4
        assert t[WEIGHTS].text(1, heads=[]).shape == (0, 7, 7)
        assert t[WEIGHTS].text(1, rows=[]).shape == (3, 0, 7)


WRONG: list[tuple[Callable[[Subject], Any], str]] = [
    (lambda of: final(of, None), "interventions: expected what ablate"),
    (lambda of: final(of, 5), "interventions: expected what ablate"),
    (lambda of: ablate(None), "ablate: expected the name of an activation, got None"),  # type: ignore[arg-type]
    (lambda of: scale([HEADS], 2.0), "scale: expected the name of an activation, got "),  # type: ignore[arg-type]
    (lambda of: final(of, ablate(HEADS, heads=b"\x00")), "heads: expected a whole number"),
    (lambda of: final(of, ablate(HEADS, heads=[torch.tensor(True)])), "whole number, got True"),
    (lambda of: ablate(HEADS, "resample", seed=2**70), "seed: expected a whole number of 64 bits"),
    (lambda of: ablate(HEADS, "resample", seed=1.5), "seed: expected a whole number"),  # type: ignore[arg-type]
    (lambda of: patch(HEADS, None), "patch: expected a trace to take values from, got None"),  # type: ignore[arg-type]
    (lambda of: ablate(HEADS, "mean", reference={}), "ablate: expected a trace"),  # type: ignore[arg-type]
    (lambda of: final(of, scale(HEADS, "a")), "scale: expected a number or a tensor, got 'a'"),  # type: ignore[arg-type]
    (lambda of: final(of, replace(HEADS, 1j)), "replace: expected real numbers"),  # type: ignore[arg-type]
    (lambda of: steer("final", torch.ones(24), [1.0]), "strength: expected one number"),  # type: ignore[arg-type]
    (lambda of: steer("final", torch.ones(24), torch.ones(2)), "strength: expected one number"),
    (lambda of: of.trace(texts(), keep=None), "keep: expected the name of an activation"),  # type: ignore[arg-type]
    (lambda of: of.trace(texts(), limit_bytes=None), "limit_bytes: expected a whole number"),  # type: ignore[arg-type]
    (lambda of: of.trace(texts(), limit_bytes=float("nan")), "limit_bytes: expected"),  # type: ignore[arg-type]
    (lambda of: of.trace(text_of([5, 41])), r"texts\[0\]: expected token ids from 0 to 40, got 5 to 41"),
    (lambda of: of.trace(text_of([-1, 5])), r"texts\[0\]: expected token ids from 0 to 40"),
    (lambda of: text_of([5, 6]).with_ids([0.5, 1.0]), "ids: expected whole numbers, got float64"),
    (lambda of: text_of([5, 6]).with_ids(["a", "b"]), "ids: expected whole numbers"),
    (lambda of: text_of([5, 6]).with_ids([5, 7], ("a",)), "pieces: expected 2, got 1"),
    (lambda of: of.piece(41), "id: expected 0 to 40, got 41"),
]  # fmt: skip


@pytest.mark.parametrize(("ask", "answer"), WRONG)
def test_wrong_values_are_answered_with_what_was_expected(ask: Callable[[Subject], Any], answer: str) -> None:
    with pytest.raises(InputError, match=answer):
        ask(subject())


def test_a_reference_of_another_width_or_of_no_tokens_is_said() -> None:
    of = subject()
    with subject(d_model=12, n_heads=3).trace(texts()) as narrow, of.trace([text_of([])]) as nothing:
        pass
    with pytest.raises(InputError, match=r"ablate: expected what fits .* \(14, 24\); got .*\(1, 12\)"):
        final(of, ablate("layers.1.resid_post", "mean", reference=narrow))
    for how in ("mean", "resample"):
        with pytest.raises(InputError, match="the reference has no tokens"):
            final(of, ablate("layers.1.resid_post", how, reference=nothing))
        with of.trace([text_of([])], interventions=ablate("layers.1.resid_post", how)) as t:
            assert t["final"][0].shape == (0, 24)


def test_a_name_that_was_kept_is_not_called_missing_when_a_pattern_asks() -> None:
    with subject().trace(texts()) as t:
        pass
    for name, answer in (("layers.*", "a pattern; ask for one activation"), (5, "name of one activation")):
        with pytest.raises(InputError, match=answer):
            t[name]  # type: ignore[index]


def test_backward_takes_what_follows_from_the_trace_alone() -> None:
    elsewhere = torch.ones((), requires_grad=True) * 2
    with subject().trace(texts(), gradients=True) as t:
        for number in (None, 3.0, torch.tensor(1.0), elsewhere):
            with pytest.raises(InputError, match="backward: expected one number that follows"):
                t.backward(number)  # type: ignore[arg-type]
    nothing = subject().trace(texts(), keep=[], gradients=True)
    with nothing, pytest.raises(InputError, match="nothing that has a gradient was kept"):
        nothing.backward(elsewhere)


def test_a_trace_made_inside_a_block_does_not_run_after_it() -> None:
    with subject().intervene(ablate(HEADS)) as changed:
        late = changed.trace(texts())
    with pytest.raises(InputError, match="has ended"):
        late.__enter__()
