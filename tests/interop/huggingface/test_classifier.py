"""Our classification head as ModernBERT's.

Covers `sentence_modules`, too, which the tests of exported folders open.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from xformer.errors import InputError
from xformer.interop.huggingface.classifier import check_classifier, classifier_fields, classifier_weights
from xformer.model.config import ModelConfig

CONFIG = ModelConfig(vocab_size=300, d_model=16, n_heads=2, d_ff=16)


@pytest.mark.parametrize("bias", [False, True])
def test_their_head_gives_our_logits(bias: bool) -> None:
    config = replace(CONFIG, bias=bias)
    weight, offset = torch.randn(3, 12), torch.randn(3)
    means = torch.randn(5, 16) * torch.logspace(-2, 2, 5)[:, None]
    theirs = classifier_weights(config, weight, offset)
    x = F.linear(means, theirs["head.dense.weight"], theirs.get("head.dense.bias"))
    x = F.layer_norm(x, (16,), theirs["head.norm.weight"], theirs.get("head.norm.bias"), config.norm_eps)
    logits = F.linear(x, theirs["classifier.weight"], theirs["classifier.bias"])
    ours = F.linear(F.rms_norm(means[:, :12], (12,), eps=1e-12), weight, offset)
    torch.testing.assert_close(logits, ours, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("config", "width", "hidden", "name"),
    [
        (CONFIG, 16, 0, "classifier.coordinates"),
        (CONFIG, 12, 8, "classifier.hidden"),
        (ModelConfig.bert(vocab_size=300, d_model=16, n_heads=2), 12, 0, "model.norm_position"),
    ],
)
def test_heads_that_it_does_not_hold_are_named(
    config: ModelConfig, width: int, hidden: int, name: str
) -> None:
    with pytest.raises(InputError, match=f"^{name}: "):
        check_classifier(config, width, hidden)


def test_fields() -> None:
    fields: dict[str, Any] = classifier_fields(("a", "b"), multi_label=True)
    assert fields["id2label"] == {"0": "a", "1": "b"}
    assert fields["problem_type"] == "multi_label_classification"
