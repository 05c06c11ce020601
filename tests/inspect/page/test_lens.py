"""The logit lens in the page."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.inspect.page.small import PIECES, array, small_subject
from xformer.inspect.page import lens as module
from xformer.inspect.page.blobs import Blobs
from xformer.inspect.page.lens import NO_HEAD
from xformer.inspect.page.parts import KEEP, lens_part


def check(blobs: Blobs, part: Any, pieces: list[str], expected: torch.Tensor, ids: np.ndarray) -> None:
    """The last state's predictions beside the model's own probabilities (n, V)."""
    top = expected.topk(3)
    names = [[pieces[one] for one in row] for row in array(blobs, part["ids"])[-1]]
    assert names == [[PIECES[one] for one in row] for row in top.indices.tolist()]
    np.testing.assert_allclose(array(blobs, part["probabilities"])[-1], top.values, rtol=1e-5)
    own = expected.gather(1, torch.from_numpy(ids)[:, None])[:, 0]
    np.testing.assert_allclose(array(blobs, part["own"])[-1], own, rtol=1e-5)
    assert array(blobs, part["rank"])[-1].tolist() == (1 + (expected > own[:, None]).sum(-1)).tolist()


def test_the_last_state_predicts_what_the_model_does() -> None:
    subject = small_subject(decoder_bias=True)
    blobs = Blobs()
    with subject.trace(["abc", "dd efg"], keep=KEEP) as trace:
        parts = lens_part(k=3)(trace, blobs)["lens"]
        for text, part in enumerate(parts):
            ids = trace.texts[text].ids
            assert array(blobs, part["shown"]["ids"]).shape == (3, len(ids), 3)
            check(blobs, part["shown"], part["pieces"], trace.logits(text).softmax(-1), ids)


def test_a_hidden_token_is_predicted_from_the_others() -> None:
    subject = small_subject()
    blobs = Blobs()
    with subject.trace("abc", keep=KEEP) as trace:
        (part,) = lens_part(k=3)(trace, blobs)["lens"]
        rows = [trace.logits(0, 0)[0]]
        text = trace.texts[0]
        for place in (1, 2, 3):
            ids = text.ids.copy()
            ids[place] = 2  # the mask
            with subject.trace(text.with_ids(ids), keep=["final"]) as hidden:
                rows.append(hidden.logits(0, place)[0])
        rows.append(trace.logits(0, 4)[0])  # special tokens stand as they are
    check(blobs, part["hidden"], part["pieces"], torch.stack(rows).softmax(-1), text.ids)


def test_a_long_text_has_no_token_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_HIDDEN", 4)
    with small_subject().trace("abc", keep=KEEP) as trace:
        (part,) = lens_part()(trace, Blobs())["lens"]
    assert part["hidden"] is None


def test_without_a_masked_lm_it_says_why() -> None:
    subject = small_subject(masked_lm=False)
    with subject.trace("abc", keep=KEEP) as trace:
        assert lens_part()(trace, Blobs()) == {"lens": [{"why": NO_HEAD}]}
