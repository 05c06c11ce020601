"""The logit lens in the page."""

from __future__ import annotations

import numpy as np
import torch

from tests.inspect.page.small import PIECES, array, small_subject
from xformer.inspect.page.blobs import Blobs
from xformer.inspect.page.lens import NO_HEAD
from xformer.inspect.page.parts import KEEP, lens_part


def test_the_last_state_predicts_what_the_model_does() -> None:
    subject = small_subject(decoder_bias=True)
    blobs = Blobs()
    with subject.trace(["abc", "dd efg"], keep=KEEP) as trace:
        parts = lens_part(k=3)(trace, blobs)["lens"]
        for text, part in enumerate(parts):
            expected = trace.logits(text).softmax(-1)
            top = expected.topk(3)
            ids, probabilities = array(blobs, part["ids"]), array(blobs, part["probabilities"])
            n = len(trace.texts[text].ids)
            assert ids.shape == probabilities.shape == (3, n, 3)
            names = [[part["pieces"][one] for one in row] for row in ids[-1]]
            assert names == [[PIECES[one] for one in row] for row in top.indices.tolist()]
            np.testing.assert_allclose(probabilities[-1], top.values, rtol=1e-5)
            own = expected.gather(1, torch.from_numpy(trace.texts[text].ids)[:, None])[:, 0]
            np.testing.assert_allclose(array(blobs, part["own"])[-1], own, rtol=1e-5)
            rank = 1 + (expected > own[:, None]).sum(-1)
            assert array(blobs, part["rank"])[-1].tolist() == rank.tolist()


def test_without_a_masked_lm_it_says_why() -> None:
    subject = small_subject(masked_lm=False)
    with subject.trace("abc", keep=KEEP) as trace:
        assert lens_part()(trace, Blobs()) == {"lens": [{"why": NO_HEAD}]}
