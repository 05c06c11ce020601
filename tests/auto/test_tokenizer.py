"""Texts as padded tensors, with the ids of the run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import xformer
from xformer.auto import AutoTokenizer, Encoding
from xformer.errors import InputError
from xformer.runs.directory import RunDirectory
from xformer.tokenizer import Tokenizer

TEXTS = ["dog sees house", "<mask> sees", "γάτα </s>", ""]


@pytest.fixture(scope="module")
def tokenizer(trained: RunDirectory) -> AutoTokenizer:
    return AutoTokenizer.from_pretrained(trained.path)


def test_ids_are_those_of_the_run(tokenizer: AutoTokenizer, trained: RunDirectory) -> None:
    ours = Tokenizer.load(trained.tokenizer)
    assert tokenizer(TEXTS).input_ids == [ours.encode_masked(text).tolist() for text in TEXTS]
    assert tokenizer(TEXTS[0])["input_ids"] == ours.encode(TEXTS[0]).tolist()
    assert tokenizer(TEXTS[1]).input_ids[0] == tokenizer.mask_token_id
    assert len(tokenizer) == ours.vocab_size
    assert tokenizer.batch_decode(tokenizer(TEXTS, padding=True, return_tensors="pt").input_ids) == [
        "dog sees house",
        "sees",
        "γάτα </s>",
        "",
    ]


def test_padding_and_cutting(tokenizer: AutoTokenizer) -> None:
    lengths = [len(row) for row in tokenizer(TEXTS).input_ids]
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
    assert batch.input_ids.shape == batch.attention_mask.shape == (4, max(lengths))
    assert batch.attention_mask.sum(1).tolist() == lengths
    assert (batch.input_ids[batch.attention_mask == 0] == tokenizer.pad_token_id).all()
    assert tokenizer(TEXTS, truncation=True, max_length=2).attention_mask[:2] == [[1, 1], [1, 1]]
    long = "dog " * 100
    assert len(tokenizer(long, truncation=True).input_ids) == tokenizer.model_max_length == 40
    assert len(tokenizer(long).input_ids) >= 100
    assert tokenizer(["a"], padding="max_length", max_length=7, return_tensors="pt").input_ids.shape == (1, 7)
    assert tokenizer([], padding=True, return_tensors="pt").input_ids.shape[0] == 0
    assert tokenizer(TEXTS[0], return_tensors="pt").to("cpu").input_ids.shape == (1, lengths[0])


def test_a_run_that_was_fine_tuned_reads_as_many_tokens(finetuned: Path) -> None:
    assert AutoTokenizer.from_pretrained(finetuned).model_max_length == xformer.load(finetuned).max_length


def test_wrong_arguments_are_named(tokenizer: AutoTokenizer) -> None:
    with pytest.raises(InputError, match="of different lengths are no tensor; expected padding=True"):
        tokenizer(TEXTS, return_tensors="pt")
    with pytest.raises(InputError, match="return_tensors: expected 'pt' or None, got 'tf'"):
        tokenizer(TEXTS, return_tensors="tf")  # type: ignore[arg-type]
    with pytest.raises(
        InputError, match="padding: expected True, False, 'longest' or 'max_length', got 'left'"
    ):
        tokenizer(TEXTS, padding="left")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="max_length: expected a whole number from 1, got 0"):
        tokenizer(TEXTS, truncation=True, max_length=0)
    with pytest.raises(InputError, match=r"texts\[1\]: expected a string, got None"):
        tokenizer(["a", None])  # type: ignore[list-item]
    with pytest.raises(AttributeError, match="no 'labels'; it has input_ids"):
        _ = Encoding(input_ids=torch.zeros(1, 1)).labels
