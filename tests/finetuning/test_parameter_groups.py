from __future__ import annotations

from dataclasses import replace

import pytest

from tests.finetuning.test_model import CONFIG
from xformer.finetuning.config import FinetuningConfig, FinetuningOptimizer
from xformer.finetuning.model import FinetunedModel
from xformer.finetuning.parameter_groups import freeze_unused, layer_rates, make_optimizer


def rates_of(config: FinetuningConfig) -> dict[str, float]:
    model = FinetunedModel(config)
    freeze_unused(model)
    optimizer = make_optimizer(model)
    names = {parameter: name for name, parameter in model.named_parameters()}
    learning = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    found = {names[one]: group["lr"] for group in optimizer.param_groups for one in group["params"]}
    assert set(found) == learning
    for group in optimizer.param_groups:
        matrix = all(one.ndim == 2 and "embeddings" not in names[one] for one in group["params"])
        assert (group["weight_decay"] > 0) == matrix
    return found


def test_rates_fall_from_the_head_to_the_embedding() -> None:
    optimizer = FinetuningOptimizer(lr=1.0, layer_decay=0.5, embedding_lr=0.1, head_lr=3.0)
    assert layer_rates(optimizer, 3) == {"embedding": 0.0125, "layer 0": 0.25, "layer 1": 0.5, "layer 2": 1.0}
    found = rates_of(replace(CONFIG, optimizer=optimizer))
    assert found["encoder.embeddings.tok_embeddings.weight"] == pytest.approx(0.025)
    assert found["encoder.layers.0.attn.Wqkv.weight"] == 0.5
    assert found["encoder.layers.1.mlp_norm.weight"] == 1.0
    assert found["encoder.final_norm.weight"] == found["head.out.bias"] == 3.0


def test_what_is_not_used_does_not_learn() -> None:
    def learning(**changes: object) -> set[str]:
        classifier = replace(CONFIG.classifier, **changes)  # type: ignore[arg-type]
        return {name.split(".")[1] for name in rates_of(replace(CONFIG, classifier=classifier))}

    assert learning(frozen=True) == {"out"}
    assert learning(layers=0) == {"embeddings", "final_norm", "out"}
    names = rates_of(replace(CONFIG, classifier=replace(CONFIG.classifier, layers=1)))
    assert not any(name.startswith("encoder.layers.1") for name in names)
    still = replace(CONFIG, optimizer=FinetuningOptimizer(embedding_lr=0.0))
    assert not any("embeddings" in name for name in rates_of(still))
