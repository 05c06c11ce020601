"""Suggestions for misspelt names."""

from __future__ import annotations

import pytest

from xformer.storage.suggest import closest_settings, did_you_mean, did_you_mean_setting

KNOWN = {
    "model": "the encoder.",
    "model.vocab_size": "rows of the embedding.",
    "model.n_layers": "number of blocks.",
    "tokenizer.model": "kind of the tokenizer.",
    "tokenizer.seed": "start of the random numbers.",
    "objectives.masking.rate": "share of the tokens of each text to hide.",
    "optimizer.lr": "learning rate of the matrices of the blocks.",
    "optimizer.weight_decay": "decoupled weight decay; not of the learning rate: other.",
    "training.seed": "start of all random numbers.",
}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("modle", ["model", "tokenizer.model"]),
        ("n_layers", ["model.n_layers"]),
        ("model.n_layres", ["model.n_layers"]),
        ("model.num_layers", ["model.n_layers"]),
        ("training.n_layers", ["model.n_layers"]),
        ("masking.rate", ["objectives.masking.rate"]),
        ("vocab", ["model.vocab_size"]),
        ("weight-decay", ["optimizer.weight_decay"]),
        ("seed", ["tokenizer.seed", "training.seed"]),
        ("training.sede", ["training.seed", "tokenizer.seed"]),
        ("trainin.sede", ["training.seed", "tokenizer.seed"]),
        ("model.colour", []),
        # Words of the meaning, misspelt too, but only of its first sentence.
        ("lerning_rate", ["optimizer.lr"]),
        ("colour", []),
        ("", []),
    ],
)
def test_settings_with_a_name_or_a_meaning_like_it_are_suggested(given: str, expected: list[str]) -> None:
    assert closest_settings(given, KNOWN) == expected


def test_at_most_three_are_named_in_a_question() -> None:
    assert did_you_mean("bf6", ["auto", "fp32", "bf16"]) == ", did you mean bf16?"
    assert did_you_mean("", ["auto"]) == did_you_mean("soon", ["auto"]) == ""
    assert did_you_mean("item", ["item1", "item2", "item3", "item4"]).count("item") == 3
    assert did_you_mean_setting("seed", KNOWN) == ", did you mean tokenizer.seed or training.seed?"
