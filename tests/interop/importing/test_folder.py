"""Folders of Hugging Face become runs: what a run does with them is what their own libraries do.

Covers xformer.interop.export.imported, xformer.pretraining.pretrained, xformer.runs.imported.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import xformer
from xformer.errors import InputError
from xformer.finetuning.base import base_of
from xformer.interop.export.folder import export_huggingface
from xformer.interop.importing.folder import import_huggingface
from xformer.prediction.fill_mask import Filling
from xformer.pretraining.load import load_run
from xformer.progress import Progress
from xformer.runs.copied_tokenizer import copy_tokenizer
from xformer.runs.directory import RunDirectory
from xformer.runs.imported import ImportedConfig

Make = Callable[..., Path]
TEXTS = ["The dog sees the house.", "katze", "", "cats see dogs " * 9, "a [MASK] z", "x"]


def imported(source: Path, run: Path) -> xformer.Model:
    import_huggingface(source, run, Progress())
    return xformer.load(run)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"normalise": False},
        {"pooling": "cls_token", "max_length": None},
        {"inside": "0_Transformer", "max_length": 9},
        {"n_segments": 0},
        {"activation": "relu", "normalise": False},
    ],
    ids=str,
)
def test_vectors_are_those_of_sentence_transformers(
    sentence_folder: Make, tmp_path: Path, settings: dict[str, Any]
) -> None:
    peer = pytest.importorskip("sentence_transformers", reason="needs the extra `hf`")
    folder = sentence_folder(**settings)
    model = imported(folder, tmp_path / "run")
    theirs = peer.SentenceTransformer(str(folder), device="cpu").encode(TEXTS)
    np.testing.assert_allclose(model.encode(TEXTS), theirs, atol=2e-6, rtol=1e-5)
    assert model.max_length == (settings.get("max_length", 12) or 32)
    stream = model.encode_stream(TEXTS)
    assert sum(map(len, stream)) == len(TEXTS)
    assert stream.cut == 1
    np.testing.assert_allclose(np.linalg.norm(model.encode(TEXTS, normalise=True), axis=1), 1, rtol=1e-5)


def test_a_folder_comes_back_as_it_was(sentence_folder: Make, tmp_path: Path) -> None:
    folder = sentence_folder()
    (folder / "README.md").write_text("# A model\n", encoding="utf-8")
    weights = load_file(folder / "model.safetensors")
    left = {"pooler.dense.weight": torch.randn(16, 16), "embeddings.position_ids": torch.arange(32)[None]}
    save_file(weights | left, folder / "model.safetensors", metadata={"format": "pt"})
    before = contents(folder)
    imported(folder, tmp_path / "run")
    done = export_huggingface(tmp_path / "run", tmp_path / "again", Progress())
    assert done.given_back
    assert done.architectures == ("BertModel",)
    assert contents(tmp_path / "again") == before


def test_a_whole_model_beside_the_encoder_of_vectors_comes_back(
    sentence_folder: Make, bert_folder: Make, tmp_path: Path
) -> None:
    """As `export hf` writes a run whose vectors are not taken after the last block."""
    folder = sentence_folder(inside="0_Transformer", n_layers=1)
    for path in bert_folder(head=True).iterdir():
        path.rename(folder / path.name)
    before = contents(folder)
    imported(folder, tmp_path / "run")
    export_huggingface(tmp_path / "run", tmp_path / "again", Progress())
    assert contents(tmp_path / "again") == before


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_of_half_precision_come_back_in_it(
    bert_folder: Make, tmp_path: Path, dtype: torch.dtype
) -> None:
    folder = bert_folder(head=True, dtype=dtype)
    model = imported(folder, tmp_path / "run")
    assert cast(ImportedConfig, model.config).source.dtype == str(dtype).removeprefix("torch.")
    export_huggingface(tmp_path / "run", tmp_path / "again", Progress())
    before, after = (load_file(one / "model.safetensors") for one in (folder, tmp_path / "again"))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert {value.dtype for value in after.values()} == {dtype}


def test_our_own_export_comes_in_with_its_coordinates(bert_folder: Make, tmp_path: Path) -> None:
    from dataclasses import replace

    from xformer.interop.huggingface.folder import from_huggingface
    from xformer.interop.huggingface.sentence_modules import write_sentence_modules

    folder = bert_folder()
    config = replace(from_huggingface(folder).config, pooled_dim_fraction=0.75)
    write_sentence_modules(folder, config, "", 20)
    model = imported(folder, tmp_path / "run")
    assert model.dim == 12
    assert model.max_length == 20
    assert model.encode(["the dog"]).shape == (1, 12)


def test_masks_are_filled(bert_folder: Make, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="needs the extra `hf`")
    folder = bert_folder(head=True)
    model = imported(folder, tmp_path / "run")
    found = cast(list[Filling], model.fill_mask("the <mask> sees", k=100))
    assert found == model.fill_mask("the [MASK] sees", k=100)
    theirs = transformers.AutoModelForMaskedLM.from_pretrained(folder).eval()
    ids = torch.tensor([model.tokenizer.encode_masked("the <mask> sees").tolist()])
    assert ids.tolist() == [[2, 8, 4, 7, 3]]
    with torch.no_grad():
        logits = theirs(input_ids=ids).logits[0, 2]
    allowed = torch.from_numpy(model.tokenizer.fillable()[0])
    share = logits.masked_fill(~allowed, -torch.inf).softmax(0)
    assert len(found) == int(allowed.sum())
    for one in found:
        place = model.tokenizer.id(one.piece)
        assert one.probability == pytest.approx(share[place].item(), rel=1e-4)
    texts = {one.piece: one.text for one in found}
    assert texts["dog"] == "the dog sees"
    assert texts["##s"] == "thes sees"
    long = "dog " * 40 + "<mask>" + " cat" * 40
    assert len(cast(list[Filling], model.fill_mask(long, k=2))) == 2


def test_it_is_looked_into(bert_folder: Make, tmp_path: Path) -> None:
    model = imported(bert_folder(), tmp_path / "run")
    with model.trace(["the dogs <mask> sees"]) as trace:
        weights = trace["layers.0.attn.weights"][0]
    assert weights.shape == (2, 7, 7)
    read = model.subject.tokenise("the dogs <mask>")
    assert read.pieces == ("[CLS]", "the", "dog", "##s", "[MASK]", "[SEP]")
    assert [read.text[a:b] for a, b in read.spans] == ["", "the", "dog", "s", "<mask>", ""]
    assert read.words == (-1, 0, 1, 1, -1, -1)
    assert xformer.inspect.open(tmp_path / "run").max_length == model.max_length


def test_what_it_has_not_is_said(bert_folder: Make, tmp_path: Path) -> None:
    model = imported(bert_folder(), tmp_path / "run")
    assert model.languages == ()
    with pytest.raises(InputError, match="has no masked-LM head"):
        model.fill_mask("a <mask>")
    with pytest.raises(InputError, match="this one was imported, and has none"):
        load_run(tmp_path / "run")


def test_fine_tuning_begins_from_it(bert_folder: Make, tmp_path: Path) -> None:
    model = imported(bert_folder(), tmp_path / "run")
    base, config = base_of(tmp_path / "run", tmp_path / "new")
    assert (base.step, base.pooling, base.max_length) == (0, "mean", 32)
    assert config == cast(ImportedConfig, model.config).model
    new = RunDirectory(tmp_path / "new")
    copy_tokenizer(new, base.run)
    assert contents(new.tokenizer_folder) == contents(RunDirectory(tmp_path / "run").tokenizer_folder)


def test_an_index_is_made_and_searched(sentence_folder: Make, tmp_path: Path) -> None:
    model = imported(sentence_folder(normalise=False), tmp_path / "run")
    index = xformer.Index.build(tmp_path / "index", model, ["the dog", "a house", "cats see"])
    found = index.search("the dog", k=1)[0]
    assert found.text == "the dog"
    assert found.score == pytest.approx(1, abs=1e-5)
    assert xformer.Index(tmp_path / "index").search("cats see", k=1)[0].row == 2


def break_config(folder: Path, **fields: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | fields), encoding="utf-8")


def break_modules(folder: Path, change: Callable[[Any], object]) -> None:
    modules = json.loads((folder / "modules.json").read_text("utf-8"))
    change(modules)
    (folder / "modules.json").write_text(json.dumps(modules), encoding="utf-8")


def pickled_part(folder: Path) -> None:
    index(folder, "w.pt")
    torch.save({"x": torch.zeros(2)}, folder / "w.pt")


def half_of(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def index(folder: Path, name: str) -> None:
    content = json.dumps({"weight_map": {"embeddings.LayerNorm.weight": name}})
    (folder / "model.safetensors.index.json").write_text(content, encoding="utf-8")


def change_weight(folder: Path, value: Any) -> None:
    weights = load_file(folder / "model.safetensors")
    name = "embeddings.LayerNorm.weight"
    changed = torch.full_like(weights[name], value) if isinstance(value, float) else weights[name].to(value)
    save_file(weights | {name: changed}, folder / "model.safetensors")


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "config.json: broken": (lambda f: (f / "config.json").write_text("{"), r"config\.json: expected JSON"),
    "is_decoder": (lambda f: break_config(f, is_decoder=True), "is_decoder: expected False"),
    "weights: missing file": (
        lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"),
        r"pickled ones \(pytorch_model\.bin\) are not read, since they can run code\. transformers converts",
    ),
    "weights: half of the file": (
        lambda f: half_of(f / "model.safetensors"),
        r"model\.safetensors: expected safetensors: .*incomplete",
    ),
    "weights: a pickle of that name": (
        lambda f: torch.save({"x": torch.zeros(2)}, f / "model.safetensors"),
        r"model\.safetensors: expected safetensors",
    ),
    "weights: a pickle in the index": (
        pickled_part,
        r"w\.pt: expected safetensors",
    ),
    "index: elsewhere": (
        lambda f: index(f, "../bert/x.safetensors"),
        "expected the name of a file beside it",
    ),
    "index: a path": (lambda f: index(f, "/etc/passwd"), "expected the name of a file beside it"),
    "index: no such part": (
        lambda f: index(f, "model-2.safetensors"),
        r"model-2\.safetensors: expected weights",
    ),
    "weights: whole numbers": (
        lambda f: change_weight(f, torch.int8),
        "is torch.int8, expected floating-point",
    ),
    "weights: float64": (
        lambda f: change_weight(f, torch.float64),
        "expected float32, float16, bfloat16, got",
    ),
    "weights: NaN": (
        lambda f: change_weight(f, float("nan")),
        "LayerNorm.weight has values that are not finite",
    ),
    "sizes: no memory has them": (
        lambda f: break_config(f, hidden_size=2**40, num_attention_heads=1),
        "expected sizes of a model",
    ),
    "sizes: layers without end": (
        lambda f: break_config(f, num_hidden_layers=10**9),
        "num_hidden_layers: expected at most",
    ),
    "sizes: vocabulary": (
        lambda f: break_config(f, vocab_size=99),
        r"word_embeddings\.weight is \(65, 16\), expected \(99, 16\)",
    ),
    "flags": (
        lambda f: break_config(f, tie_word_embeddings="no"),
        "tie_word_embeddings: expected true or false",
    ),
    "config.json: deep": (
        lambda f: (f / "config.json").write_text("[" * 10**5),
        r"config\.json: expected JSON",
    ),
    "auto_map": (
        lambda f: break_config(f, auto_map={"AutoModel": "m.M"}),
        "auto_map: expected None or no such",
    ),
    "auto_map of the tokenizer": (
        lambda f: (f / "tokenizer_config.json").write_text('{"auto_map": {"AutoTokenizer": ["t.T", null]}}'),
        "auto_map: expected no code of the folder's own",
    ),
    "architecture": (lambda f: break_config(f, model_type="llama"), "model_type: expected one of modernbert"),
    "weights: missing": (lambda f: break_config(f, num_hidden_layers=3), r"encoder\.layer\.2\..* is missing"),
    "weights: shapes": (
        lambda f: break_config(f, intermediate_size=21),
        r"is \(16, 20\), expected \(16, 21\)",
    ),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "expected a tokenizer"),
    "tokenizer: broken": (
        lambda f: (f / "tokenizer.json").write_text("{}"),
        r"tokenizer\.json: expected a token",
    ),
    "tokenizer: settings": (
        lambda f: (f / "tokenizer_config.json").write_text("[]"),
        r"tokenizer_config\.json: expected a JSON object",
    ),
    "modules: broken": (lambda f: (f / "modules.json").write_text("{}"), r"modules\.json: expected"),
    "modules: elsewhere": (
        lambda f: break_modules(f, lambda m: m[1].update(path="../1_Pooling")),
        "path: expected a folder inside",
    ),
    "modules: code": (
        lambda f: break_modules(f, lambda m: m[0].update(type="my.Model")),
        "type: expected one of",
    ),
    "modules: order": (lambda f: break_modules(f, lambda m: m.reverse()), "expected Transformer, Pooling"),
    "pooling": (
        lambda f: (f / "1_Pooling/config.json").write_text('{"pooling_mode": ["cls", "max"]}'),
        "pooling_mode: expected one of cls, mean, .*got cls, max",
    ),
    "prompt": (
        lambda f: (f / "config_sentence_transformers.json").write_text('{"default_prompt_name": "query"}'),
        r"default_prompt_name: expected one of prompts \(none\), or null, got 'query'",
    ),
    "max_seq_length": (
        lambda f: (f / "sentence_bert_config.json").write_text('{"max_seq_length": "long"}'),
        "max_seq_length: expected a whole number",
    ),
    "max_seq_length: short": (
        lambda f: (f / "sentence_bert_config.json").write_text('{"max_seq_length": 2}'),
        "max_seq_length: expected room for a text, got 2",
    ),
    "do_lower_case": (
        lambda f: (f / "sentence_bert_config.json").write_text('{"do_lower_case": true}'),
        "do_lower_case: expected false",
    ),
}


@pytest.mark.parametrize(("breaking", "message"), BROKEN.values(), ids=BROKEN)
def test_what_is_broken_is_named_and_nothing_is_written(
    sentence_folder: Make, tmp_path: Path, breaking: Callable[[Path], object], message: str
) -> None:
    folder = sentence_folder()
    breaking(folder)
    with pytest.raises(InputError, match=message):
        import_huggingface(folder, tmp_path / "run", Progress())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sentences"]


def test_a_folder_that_is_there_is_not_written_over(bert_folder: Make, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine").write_text("x")
    with pytest.raises(InputError, match="expected a new or an empty folder"):
        import_huggingface(bert_folder(), tmp_path / "run", Progress())


def test_files_that_do_not_travel_are_named(bert_folder: Make, tmp_path: Path) -> None:
    folder = bert_folder()
    (folder / "tf_model.h5").write_bytes(b"x")
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.onnx").write_bytes(b"x")
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("x")
    done = import_huggingface(folder, tmp_path / "run", Progress())
    assert done.left_out == ("onnx/model.onnx", "tf_model.h5")
