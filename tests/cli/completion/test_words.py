from __future__ import annotations

import pytest

from xformer.cli.completion.words import settings_of
from xformer.runs.reference import all_settings


def test_all_settings_of_pretraining_are_there() -> None:
    words = {one.name: one for one in settings_of("pretrain")}
    known = {one.name: one.about for one in all_settings()}
    assert words.keys() == known.keys()
    for name, about in known.items():
        assert set(words[name].choices) >= set(about.choices) - {"tensorboard", "trackio"}
        assert not words[name].meaning or about.meaning.startswith(words[name].meaning)
    assert words["model.bias"].choices == ("true", "false")
    assert words["training.threads"].choices == ("auto",)


def test_names_have_tables() -> None:
    names = {one.name for one in settings_of("names")}
    assert {"model", "objectives.masking", "model.d_model"} <= names


def test_fine_tuning_has_settings_of_its_own() -> None:
    names = {one.name for one in settings_of("finetune")}
    assert {"classifier.labels", "optimizer.head_lr", "training.precision"} <= names
    with pytest.raises(ValueError, match="expected one of pretrain, finetune, names"):
        settings_of("others")
