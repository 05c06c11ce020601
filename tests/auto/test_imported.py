"""The familiar program on an imported model: the same ids and logits as transformers, and a run again."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import xformer
from tests.huggingface_folders import write_bert, write_classifier
from xformer.auto import AutoModelForSequenceClassification, AutoTokenizer
from xformer.errors import InputError
from xformer.interop.export.folder import export_huggingface
from xformer.interop.importing.folder import import_huggingface
from xformer.progress import Progress

pytest.importorskip("tokenizers", reason="needs the extra `hf`: tokenizers")
transformers = pytest.importorskip("transformers", reason="needs the extra `hf`: transformers")

TEXTS = ["The dog sees the house.", "katze", "a [MASK] z " * 20]


def test_ids_and_logits_are_those_of_transformers(tmp_path: Path) -> None:
    folder = write_classifier(tmp_path / "bert", "Bert", "ForSequenceClassification")
    import_huggingface(folder, tmp_path / "run", Progress())
    ours, theirs = (
        one.from_pretrained(place)
        for one, place in ((AutoTokenizer, tmp_path / "run"), (transformers.AutoTokenizer, folder))
    )
    found = ours(TEXTS, padding=True, truncation=True, return_tensors="pt")
    expected = theirs(TEXTS, padding=True, truncation=True, return_tensors="pt")
    for name in ("input_ids", "attention_mask"):
        assert torch.equal(found[name], expected[name])
    assert (ours.pad_token_id, ours.mask_token_id) == (theirs.pad_token_id, theirs.mask_token_id)
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "run")
    peer = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        torch.testing.assert_close(model(**found).logits, peer(**expected).logits, rtol=0, atol=1e-5)
    assert model.id2label == peer.config.id2label
    with pytest.raises(InputError, match="input_ids: expected at most 32 tokens, got 62"):
        model(**ours(TEXTS, padding=True, return_tensors="pt"))


def test_what_it_trains_is_a_run_that_can_be_exported(tmp_path: Path) -> None:
    import_huggingface(write_bert(tmp_path / "bert"), tmp_path / "run", Progress())
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "run")
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "run", id2label={0: "a", 1: "b"})
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    batch = tokenizer(TEXTS[:2], padding=True, return_tensors="pt")
    for _ in range(2):
        model(**batch, labels=torch.tensor([0, 1])).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    tokenizer.save_pretrained(tmp_path / "saved")
    model.save_pretrained(tmp_path / "saved")
    with torch.no_grad():
        expected = model(**batch).logits.softmax(1)
    found = xformer.load(tmp_path / "saved").class_probabilities(TEXTS[:2])
    torch.testing.assert_close(torch.from_numpy(found), expected)
    export_huggingface(tmp_path / "saved", tmp_path / "out", Progress())
    peer = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "out").eval()
    with torch.no_grad():
        torch.testing.assert_close(peer(**batch).logits.softmax(1), expected)
