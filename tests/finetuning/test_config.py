from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.finetuning.test_model import CONFIG
from xformer.finetuning.config import ClassifierConfig, FinetuningConfig, FinetuningOptimizer
from xformer.storage.toml import load_toml, save_toml


def test_settings_come_back_from_their_file(tmp_path: Path) -> None:
    config = replace(CONFIG, classifier=replace(CONFIG.classifier, labels=("a, b", "ü"), hidden=3))
    save_toml(tmp_path / "config.toml", config)
    assert load_toml(tmp_path / "config.toml", FinetuningConfig) == config


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: ClassifierConfig(("a",)), "classifier.labels: expected at least two different labels"),
        (lambda: ClassifierConfig(("a", "a")), "classifier.labels"),
        (lambda: ClassifierConfig(("a", "b"), dropout=1.0), "classifier.dropout"),
        (lambda: ClassifierConfig(("a", "b"), multi_label=True, label_smoothing=0.1), "label_smoothing"),
        (lambda: FinetuningOptimizer(layer_decay=1.5), "optimizer.layer_decay"),
        (lambda: FinetuningOptimizer(warmup=0.5, decay=0.6), "warmup \\+ decay of at most 1"),
        (
            lambda: replace(CONFIG, classifier=replace(CONFIG.classifier, layers=3)),
            "classifier.layers: expected at most model.n_layers=2",
        ),
    ],
)
def test_what_cannot_be_is_refused(make: Any, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        make()
