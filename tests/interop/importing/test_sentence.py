"""Vectors are those of sentence-transformers, of folders that it wrote. Covers xformer.model.projection."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import xformer
from tests.huggingface_folders import write_bert
from xformer.errors import InputError
from xformer.interop.export.folder import export_huggingface
from xformer.interop.importing.folder import import_huggingface
from xformer.progress import Progress

pytest.importorskip("tokenizers", reason="needs the extra `hf`: tokenizers")
peer = pytest.importorskip("sentence_transformers", reason="needs the extra `hf`: sentence-transformers")

TEXTS = ["The dog sees the house.", "katze", "", "cats see dogs " * 9, "x"]
PROMPTS = {"query": "the dog ", "passage": "a . "}
parts = pytest.importorskip("sentence_transformers.models", reason="needs sentence-transformers")

MODES = ("cls", "mean", "max", "lasttoken", "weightedmean", "mean_sqrt_len_tokens")
Dense = Callable[[], Any]
LAYERS: dict[str, list[Dense]] = {
    "tanh": [lambda: parts.Dense(16, 16)],
    "narrow": [lambda: parts.Dense(16, 6, bias=False, activation_function=torch.nn.Identity())],
    "two": [
        lambda: parts.Dense(16, 20, activation_function=torch.nn.GELU()),
        lambda: parts.Dense(20, 5, activation_function=torch.nn.ReLU()),
    ],
}


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bert(tmp_path_factory.mktemp("bert"))


def saved(
    bert: Path, folder: Path, *, pooling: str = "mean", dense: str = "", normal: bool = False, **more: Any
) -> Any:
    """A model of sentence-transformers, which it has saved."""
    torch.manual_seed(0)
    encoder = parts.Transformer(str(bert), max_seq_length=14)
    modules = [encoder, parts.Pooling(16, pooling_mode=pooling)]
    modules += [make() for make in LAYERS.get(dense, [])]
    modules += [parts.Normalize()] if normal else []
    model = peer.SentenceTransformer(modules=modules, device="cpu", **more)
    model.save(str(folder))
    return model


def both(model: xformer.Model, theirs: Any, prompt: str | None = None) -> None:
    expected, found = theirs.encode(TEXTS, prompt_name=prompt), model.encode(TEXTS, prompt=prompt)
    np.testing.assert_allclose(found, expected, atol=3e-6, rtol=1e-5)
    cosines = (found * expected).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(expected, axis=1)
    assert cosines.min() >= 0.99999


@pytest.mark.parametrize("pooling", MODES)
def test_pooling(bert: Path, tmp_path: Path, pooling: str) -> None:
    theirs = saved(bert, tmp_path / "theirs", pooling=pooling)
    import_huggingface(tmp_path / "theirs", tmp_path / "run", Progress())
    both(xformer.load(tmp_path / "run"), theirs)


@pytest.mark.parametrize("dense", LAYERS)
def test_layers_behind_it(bert: Path, tmp_path: Path, dense: str) -> None:
    theirs = saved(bert, tmp_path / "theirs", pooling="cls", dense=dense, normal=dense == "tanh")
    import_huggingface(tmp_path / "theirs", tmp_path / "run", Progress())
    model = xformer.load(tmp_path / "run")
    assert model.dim == theirs.encode("x").shape[0]
    both(model, theirs)
    export_huggingface(tmp_path / "run", tmp_path / "again", Progress())
    both(model, peer.SentenceTransformer(str(tmp_path / "again"), device="cpu"))


def test_prompts(bert: Path, tmp_path: Path) -> None:
    theirs = saved(bert, tmp_path / "theirs", prompts=PROMPTS, default_prompt_name="query")
    import_huggingface(tmp_path / "theirs", tmp_path / "run", Progress())
    model = xformer.load(tmp_path / "run")
    assert {name: model.prompts[name] for name in PROMPTS} == PROMPTS
    both(model, theirs)
    both(model, theirs, prompt="passage")
    assert not np.allclose(model.encode("cats"), model.encode("cats", prompt="passage"))
    with pytest.raises(InputError, match=r"prompt: expected one of .*query.*; got 'questions'"):
        model.encode("cats", prompt="questions")


def change(folder: Path, name: str, **fields: Any) -> object:
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | fields), encoding="utf-8")
    return folder


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "activation": (
        lambda f: change(f, "2_Dense/config.json", activation_function="os.system"),
        "activation_function: expected torch's Identity, Tanh",
    ),
    "another width": (
        lambda f: save_file(
            {"linear.weight": torch.zeros(16, 9), "linear.bias": torch.zeros(16)},
            f / "2_Dense/model.safetensors",
        ),
        "Dense: expected weights",
    ),
    "before it": (
        lambda f: (
            change(f, "2_Dense/config.json", in_features=9, bias=False),
            save_file({"linear.weight": torch.zeros(16, 9)}, f / "2_Dense/model.safetensors"),
        ),
        "in_features: expected 16, the width before it, got 9",
    ),
    "sizes": (
        lambda f: change(f, "2_Dense/config.json", out_features="many"),
        "whole numbers in_features, out_features",
    ),
    "pickled": (
        lambda f: (f / "2_Dense/model.safetensors").rename(f / "2_Dense/pytorch_model.bin"),
        r"pickled ones \(pytorch_model\.bin\) are not read",
    ),
    "prompts": (
        lambda f: change(f, "config_sentence_transformers.json", default_prompt_name="none"),
        "default_prompt_name: expected one of prompts",
    ),
    "texts of prompts": (
        lambda f: change(f, "config_sentence_transformers.json", prompts=["a"]),
        "prompts: expected texts by name",
    ),
    "prompts left out": (
        lambda f: (
            change(f, "config_sentence_transformers.json", prompts=PROMPTS),
            change(f, "1_Pooling/config.json", include_prompt=False),
        ),
        "include_prompt: expected true",
    ),
}


@pytest.mark.parametrize(("breaking", "message"), BROKEN.values(), ids=BROKEN)
def test_what_is_broken_is_named(
    bert: Path, tmp_path: Path, breaking: Callable[[Path], object], message: str
) -> None:
    saved(bert, tmp_path / "theirs", dense="tanh")
    breaking(tmp_path / "theirs")
    with pytest.raises(InputError, match=message):
        import_huggingface(tmp_path / "theirs", tmp_path / "run", Progress())
    assert not (tmp_path / "run").exists()
