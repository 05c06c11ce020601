"""Runs, models in memory and folders of Hugging Face are opened as subjects."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import xformer
import xformer.inspect as lab
from xformer.errors import InputError
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory


def test_a_run_and_its_model_are_the_same_subject(trained: RunDirectory) -> None:
    run, model = lab.open(trained.path), xformer.load(trained.path)
    text = ["dog sees house", "Hund sieht <mask>"]
    with run.trace(text, keep="*") as one, model.trace(text, keep="*") as two:
        for name in ("final", "layers.1.attn.q", "logits"):
            assert torch.equal(one[name].packed, two[name].packed)
    assert run.languages == model.languages
    assert run.has_masked_lm
    assert lab.open(model).name == run.name == trained.path.name
    assert lab.open(run) is run


def test_the_sentence_is_what_encode_gives(trained: RunDirectory) -> None:
    model = xformer.load(trained.path)
    vector = model.encode("dog sees house", normalise=False)
    with model.trace("dog sees house", keep="sentence") as t:
        np.testing.assert_allclose(t["sentence"][0].numpy(), vector, rtol=1e-5, atol=1e-6)


def test_a_model_under_interventions_encodes_and_fills_masks_otherwise(trained: RunDirectory) -> None:
    model = xformer.load(trained.path)
    texts = ["dog sees house", "Hund sieht Haus"]
    before, filled = model.encode(texts), model.fill_mask("dog <mask> house", k=3)
    with model.intervene(lab.scale("embeddings", -1.0)) as changed:
        assert not np.allclose(changed.encode(texts), before)
        assert changed.fill_mask("dog <mask> house", k=3) != filled
        np.testing.assert_array_equal(model.encode(texts), before)
    assert model.fill_mask("dog <mask> house", k=3) == filled
    with pytest.raises(InputError, match="has ended"):
        changed.encode(texts)


def test_int8_is_traced_and_has_no_gradients(trained: RunDirectory) -> None:
    try:
        subject = lab.open(trained.path, dtype="int8")
    except InputError as error:
        pytest.skip(str(error))
    with subject.trace("dog sees house") as t:
        assert t["layers.0.attn.weights"].compare() < 1e-4
    with pytest.raises(InputError, match="int8"):
        subject.trace("dog sees house", gradients=True)


@pytest.fixture(scope="module", params=["bert", "xlm-roberta", "modernbert"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of each architecture, of random weights, with a WordPiece tokenizer."""
    transformers = pytest.importorskip("transformers", reason="the package transformers is not installed")
    tokenizers = pytest.importorskip("tokenizers", reason="the package tokenizers is not installed")
    path = tmp_path_factory.mktemp(request.param)
    names = {
        name: i
        for i, name in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "sleep", "##s"])
    }
    fast = tokenizers.Tokenizer(tokenizers.models.WordPiece(names, unk_token="[UNK]"))
    fast.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    fast.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    fast.save(str(path / "tokenizer.json"))
    config = transformers.AutoConfig.for_model(
        request.param, vocab_size=9, hidden_size=16, num_hidden_layers=3, num_attention_heads=2,
        intermediate_size=24, max_position_embeddings=14, local_attention=4, pad_token_id=0, bos_token_id=2,
        eos_token_id=3, cls_token_id=2, sep_token_id=3,
    )  # fmt: skip
    torch.manual_seed(0)
    transformers.AutoModel.from_config(config).save_pretrained(path)
    return path


def test_a_folder_of_hugging_face_gives_what_transformers_gives(folder: Path) -> None:
    from transformers import AutoModel

    theirs = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    subject = lab.open(folder)
    assert subject.masked_lm is None
    with subject.trace("the cat sleeps the cat", keep=["*attn.weights", "*resid_post", "sentence"]) as t:
        with torch.no_grad():
            ids = torch.from_numpy(t.texts[0].ids)[None]
            out = theirs(ids, output_attentions=True, output_hidden_states=True)
        for layer in range(3):
            torch.testing.assert_close(t[f"layers.{layer}.attn.weights"][0], out.attentions[layer][0])
        for layer in range(2):  # after the last one, ModernBERT's is normalised
            torch.testing.assert_close(t[f"layers.{layer}.resid_post"][0], out.hidden_states[layer + 1][0])
        torch.testing.assert_close(t["sentence"][0], out.last_hidden_state[0].mean(0))
        with pytest.raises(InputError, match="has no masked LM"):
            t.logits(0)
    with pytest.raises(InputError, match="no activation 'logits'"):
        subject.trace("the cat", keep="logits")


def test_pooling_is_that_of_the_folder(folder: Path, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    pooling = tmp_path / "1_Pooling" / "config.json"
    pooling.parent.mkdir()
    pooling.write_text(json.dumps({"pooling_mode_cls_token": True}))
    with lab.open(tmp_path).trace("the cat", keep=["sentence", "final"]) as t:
        torch.testing.assert_close(t["sentence"][0], t["final"][0][0])
    pooling.write_text("{}")
    with pytest.raises(InputError, match="by the first token or by the mean"):
        lab.open(tmp_path)
    pooling.write_text("[]")
    with pytest.raises(InputError, match="expected a JSON object"):
        lab.open(tmp_path)


def test_what_cannot_be_opened_is_named(
    folder: Path, tmp_path: Path, begin: Callable[[RunConfig], RunDirectory], config: RunConfig
) -> None:
    with pytest.raises(InputError, match="expected a run"):
        lab.open(tmp_path)
    with pytest.raises(InputError, match=r"checkpoint: .*Hugging Face, which has no checkpoints; got 5"):
        lab.open(folder, checkpoint=5)
    with pytest.raises(InputError, match="expected a folder or a model"):
        lab.open(3)  # type: ignore[arg-type]
    untrained = begin(replace(config))
    with pytest.raises(InputError, match=f"xformer pretrain {untrained.path}"):
        lab.open(untrained.path)
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(InputError, match=r"expected a tokenizer, as tokenizer\.json"):
        lab.open(tmp_path)
