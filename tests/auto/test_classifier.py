"""A run in a training loop of one's own: the same logits as the run, losses, gradients, and a run again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import xformer
from xformer.auto import AutoModelForSequenceClassification, AutoTokenizer
from xformer.errors import InputError
from xformer.finetuning.load import open_finetuned
from xformer.runs.directory import RunDirectory

TEXTS = ["dog sees house", "", "Katze malt Fenster " * 12, "γάτα"]


def test_logits_are_those_of_the_run(finetuned: Path) -> None:
    """Of texts that are longer than the encoder reads at once, and of an empty one, too."""
    tokenizer = AutoTokenizer.from_pretrained(finetuned)
    model = AutoModelForSequenceClassification.from_pretrained(finetuned)
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
    assert batch.input_ids.shape[1] > tokenizer.model_max_length
    with torch.no_grad():
        found = model(**batch).logits.softmax(dim=1)
        without_mask = model(batch.input_ids).logits.softmax(dim=1)
    ours = xformer.load(finetuned).class_probabilities(TEXTS, calibrated=False)
    np.testing.assert_allclose(found, ours, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found, without_mask)
    assert model.id2label == dict(enumerate(xformer.load(finetuned).labels))


def test_padding_changes_nothing(finetuned: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(finetuned)
    model = AutoModelForSequenceClassification.from_pretrained(finetuned)
    alone = tokenizer(TEXTS[0], return_tensors="pt")
    wide = tokenizer(TEXTS[0], padding="max_length", max_length=30, return_tensors="pt")
    left = {name: tensor.flip(1) for name, tensor in wide.items()}
    left["input_ids"][:, -alone.input_ids.shape[1] :] = alone.input_ids
    with torch.no_grad():
        expected = model(**alone).logits
        torch.testing.assert_close(model(**wide).logits, expected)
        torch.testing.assert_close(model(**left).logits, expected)


def test_losses_are_torch_s(trained: RunDirectory) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(trained.path, num_labels=3)
    assert not model.training
    batch = AutoTokenizer.from_pretrained(trained.path)(TEXTS, padding=True, return_tensors="pt")
    one, several = torch.tensor([0, 2, 1, 1]), torch.eye(3)[[0, 2, 1, 1]]
    found = model(**batch, labels=one)
    torch.testing.assert_close(found.loss, F.cross_entropy(found.logits, one))
    loss = model(**batch, labels=several).loss
    torch.testing.assert_close(loss, F.binary_cross_entropy_with_logits(found.logits, several))
    found.loss.backward()
    with_gradient = {name for name, weight in model.named_parameters() if weight.grad is not None}
    assert {
        "classifier.head.out.weight",
        "classifier.encoder.embeddings.tok_embeddings.weight",
    } <= with_gradient


def test_the_head_is_drawn_from_torch_s_generator(trained: RunDirectory) -> None:
    def head(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        model = AutoModelForSequenceClassification.from_pretrained(trained.path)
        return model.classifier.head.out.weight.detach()

    assert torch.equal(head(3), head(3))
    assert not torch.equal(head(3), head(4))
    assert head(3).shape == (2, 192)
    torch.manual_seed(0)
    expected = torch.randint(2**31, ()), torch.rand(3)
    torch.manual_seed(0)
    AutoModelForSequenceClassification.from_pretrained(trained.path)
    assert torch.equal(torch.rand(3), expected[1])


def test_what_is_saved_is_a_run(trained: RunDirectory, tmp_path: Path) -> None:
    names = {0: "one", 1: "two", 2: "three"}
    model = AutoModelForSequenceClassification.from_pretrained(trained.path, id2label=names)
    tokenizer = AutoTokenizer.from_pretrained(trained.path)
    tokenizer.save_pretrained(tmp_path / "saved")
    model.save_pretrained(tmp_path / "saved")
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved")
    assert again.labels == ("one", "two", "three")
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
    with torch.no_grad():
        assert torch.equal(again(**batch).logits, model(**batch).logits)
    assert set(xformer.load(tmp_path / "saved").classify("dog sees house").probabilities) == set(
        names.values()
    )
    assert open_finetuned(tmp_path / "saved").config.base.run == str(trained.path)
    with pytest.raises(InputError, match="already exists"):
        model.save_pretrained(tmp_path / "saved")


def test_wrong_arguments_are_named(trained: RunDirectory, finetuned: Path) -> None:
    load = AutoModelForSequenceClassification.from_pretrained
    with pytest.raises(InputError, match=r"expected its labels, bird, cat, .*, got LABEL_0, LABEL_1"):
        load(finetuned, num_labels=2)
    with pytest.raises(InputError, match=r"classifier\.labels: expected at least two different labels"):
        load(trained.path, num_labels=1)
    with pytest.raises(InputError, match="id2label: expected a name for each of 0 to 2"):
        load(trained.path, num_labels=3, id2label={0: "a", 1: "b"})
    model = load(trained.path, num_labels=3)
    ids = torch.full((2, 4), 300)
    with pytest.raises(InputError, match=r"input_ids: expected shape \(texts, tokens\), got \(4,\)"):
        model(ids[0])
    with pytest.raises(InputError, match=r"attention_mask: expected shape \(2, 4\), got \(2, 3\)"):
        model(ids, torch.ones(2, 3))
    with pytest.raises(InputError, match=r"labels: expected shape \(2,\), got \(3,\)"):
        model(ids, labels=torch.zeros(3, dtype=torch.int64))
    with pytest.raises(InputError, match=r"labels: expected shape \(2, 3\), got \(2,\)"):
        model(ids, labels=torch.zeros(2))
