"""Runs written as ONNX folders, opened with onnxruntime and tokenizers alone.

Covers `agreement`, `int8_loss`, `packages`, `portable`, `portable_card`, `onnx_card`, `settings_file`
and `tokenizer_file`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

import xformer
from tests.huggingface_folders import write_sentence_model
from xformer.errors import InputError
from xformer.interop.export import agreement, onnx_folder, tokenizer_file
from xformer.interop.export.onnx_folder import ExportedOnnx, export_onnx
from xformer.interop.export.portable import open_portable
from xformer.interop.importing.folder import import_huggingface
from xformer.interop.onnx.graph import onnx_model
from xformer.progress import Progress
from xformer.runs.directory import RunDirectory
from xformer.runs.sentence_layer import SentenceLayer, record_layer
from xformer.tokenizer.interface import TextTokenizer

pytest.importorskip("onnx", reason="needs the extra `onnx`: onnx")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra `onnx`: onnxruntime")
tokenizers = pytest.importorskip("tokenizers", reason="needs the extra `onnx`: tokenizers")

pytestmark = pytest.mark.slow

TEXTS = ["dog sees house", "Katze malt Fenster", "a  b\u2581 🫠", ""]


@pytest.fixture(scope="module")
def exported(trained: RunDirectory, tmp_path_factory: pytest.TempPathFactory) -> ExportedOnnx:
    record_layer(trained, SentenceLayer(8, 1, [0.1, 0.3, 0.2]))
    place = tmp_path_factory.mktemp("exported") / "animals"
    return export_onnx(trained.path, place, Progress(), n_lines=50)


@pytest.fixture(scope="module")
def labelled(finetuned: Path, tmp_path_factory: pytest.TempPathFactory) -> ExportedOnnx:
    place = tmp_path_factory.mktemp("labelled") / "animals"
    return export_onnx(finetuned, place, Progress(), int8=True, n_lines=50)


def computed(folder: Path, texts: list[str]) -> dict[str, np.ndarray]:
    """As the README says."""
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    batch = tokenizer.encode_batch(texts)
    fed = {
        "input_ids": np.array([one.ids for one in batch], dtype=np.int64),
        "attention_mask": np.array([one.attention_mask for one in batch], dtype=np.int64),
    }
    names = [one.name for one in session.get_outputs()]
    return dict(zip(names, session.run(names, fed), strict=True))


def test_vectors_are_those_of_the_run(trained: RunDirectory, exported: ExportedOnnx) -> None:
    ours = xformer.load(trained.path).encode(TEXTS)
    theirs = computed(exported.folder, TEXTS)["sentence_embedding"]
    assert np.abs(ours - theirs).max() < 1e-5
    assert not theirs[3].any()
    assert computed(exported.folder, ["dog sees house " * 50])["last_hidden_state"].shape[1] == 40


def test_probabilities_are_those_of_classify(finetuned: Path, labelled: ExportedOnnx) -> None:
    model = xformer.load(finetuned)
    assert model.temperature != 1
    found = computed(labelled.folder, TEXTS)["probabilities"]
    settings = json.loads((labelled.folder / "config.json").read_text(encoding="utf-8"))
    assert list(settings["id2label"].values()) == list(model.labels)
    for text, row in zip(TEXTS, found, strict=True):
        ours = model.classify(text).probabilities
        assert dict(zip(model.labels, row.tolist(), strict=True)) == pytest.approx(ours, abs=1e-5)


def test_the_comparison_says_what_it_saw(exported: ExportedOnnx, labelled: ExportedOnnx) -> None:
    assert exported.outputs_compared.errors.keys() == {"sentence_embedding", "last_hidden_state"}
    assert exported.outputs_compared.longest == 64
    assert exported.outputs_compared.sequences > 30
    assert exported.ids_compared.corpus_lines == exported.ids_compared.fuzzed_lines == 50
    assert 0 < max(labelled.outputs_compared.errors.values()) < 1e-5
    assert labelled.ids_compared.corpus_lines == 0
    assert exported.int8 is None
    assert labelled.int8 is not None
    assert labelled.int8.least_cosine is not None
    assert 0.98 < labelled.int8.least_cosine < 0.9999999
    assert "the same label in" in (labelled.folder / "README.md").read_text(encoding="utf-8")
    assert labelled.bytes["model.int8.onnx"] < 0.4 * labelled.bytes["model.onnx"]
    assert exported.bytes == {"model.onnx": (exported.folder / "model.onnx").stat().st_size}


@pytest.mark.parametrize("which", ["exported", "labelled"])
def test_the_lines_of_the_card_run(
    which: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    done = request.getfixturevalue(which)
    card = (done.folder / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```$", card, re.DOTALL | re.MULTILINE)
    monkeypatch.chdir(done.folder.parent)
    exec(code, {})
    assert ("(2, 192)" if which == "exported" else "dog") in capsys.readouterr().out or which == "labelled"
    for part in ("Text after 40 tokens is cut off", "## Data and licences", "all equal"):
        assert part in card
    if which == "exported":
        assert "| synthetic | CC0-1.0 |" in card
        assert "Vectors are taken after 1 of 2 blocks" in card


def test_chosen_outputs_alone_are_computed(trained: RunDirectory, tmp_path: Path) -> None:
    source = open_portable(trained.path, Progress(), ("sentence_embedding",))
    assert source.spec.depth == 1
    assert "layers.1.mlp.Wo.weight" not in [one.name for one in onnx_model(source.spec, {}).graph.initializer]
    with pytest.raises(
        InputError, match=r"--outputs: .* has sentence_embedding, last_hidden_state; got logits"
    ):
        export_onnx(trained.path, tmp_path / "out", Progress(), outputs=("logits",))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("pooling", ["mean_tokens", "cls_token"])
def test_an_imported_run_leaves_again(pooling: str, tmp_path: Path) -> None:
    folder = write_sentence_model(tmp_path / "theirs", pooling=pooling, normalise=False)
    import_huggingface(folder, tmp_path / "run", Progress())
    done = export_onnx(tmp_path / "run", tmp_path / "out", Progress(), n_lines=50)
    texts = ["the dog sees the cat", "katze", "", "dog " * 30]
    ours = xformer.load(tmp_path / "run").encode(texts)
    theirs = computed(done.folder, texts)["sentence_embedding"]
    assert np.abs(ours - theirs).max() < 1e-5 * np.abs(ours).max()
    assert theirs[2].any()  # special tokens stand around an empty text
    assert done.max_length == 12


def test_a_missing_package_is_named(
    trained: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_folder, "_PACKAGES", ("onnx", "no-such-package"))
    with pytest.raises(InputError, match=r"no-such-package: not installed; pip install 'xformer\[onnx\]'"):
        export_onnx(trained.path, tmp_path / "out", Progress())
    assert not list(tmp_path.iterdir())


def test_other_outputs_are_refused(
    trained: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other_norm(spec: Any, notes: dict[str, str]) -> Any:
        return onnx_model(replace(spec, config=replace(spec.config, norm_eps=0.1)), notes)

    monkeypatch.setattr(onnx_folder, "onnx_model", other_norm)
    with pytest.raises(InputError, match=r"onnxruntime: \w+ differs by .* Nothing was written"):
        export_onnx(trained.path, tmp_path / "out", Progress(), n_lines=5)
    assert not list(tmp_path.iterdir())


def test_states_at_padding_are_refused(trained: RunDirectory) -> None:
    source = open_portable(trained.path, Progress(), ("last_hidden_state",))

    def ones(fed: agreement.Feed) -> dict[str, np.ndarray]:
        return {"last_hidden_state": np.ones((*fed["input_ids"].shape, 256), dtype=np.float32)}

    with pytest.raises(InputError, match="last_hidden_state differs by"):
        agreement.compare_outputs(source, ones, "nothing", Progress())
    whole = source.compute

    def at_padding(fed: agreement.Feed) -> dict[str, np.ndarray]:
        rows = [row[kept > 0] for row, kept in zip(fed["input_ids"], fed["attention_mask"], strict=True)]
        found = np.ones((*fed["input_ids"].shape, 256))
        found[fed["attention_mask"] > 0] = whole(rows, [])["last_hidden_state"]
        return {"last_hidden_state": found}

    with pytest.raises(InputError, match="expected zeros at padding"):
        agreement.compare_outputs(source, at_padding, "nothing", Progress())


def test_other_ids_are_refused(
    trained: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = tokenizer_file.tokenizer_json

    def without_the_space_in_front(tokenizer: Any) -> dict[str, Any]:
        return written(tokenizer) | {"normalizer": None}

    monkeypatch.setattr(tokenizer_file, "tokenizer_json", without_the_space_in_front)
    with pytest.raises(InputError, match="token ids of the exported tokenizer differ"):
        export_onnx(trained.path, tmp_path / "out", Progress(), n_lines=20)
    assert not list(tmp_path.iterdir())


def test_a_tokenizer_without_its_file_is_refused() -> None:
    with pytest.raises(InputError, match=r"no tokenizer\.json"):
        tokenizer_file.require_portable(cast(TextTokenizer, object()))


@pytest.mark.parametrize(
    ("example", "n_inputs"), [("pair", 4), ("words", 2)], ids=["pairs of texts", "words"]
)
def test_other_kinds_of_labels(
    example: str, n_inputs: int, with_classifier: Callable[..., Any], trained: RunDirectory, tmp_path: Path
) -> None:
    """A run that has learned nothing yet: what it says is compared by the export itself."""
    from xformer.finetuning.base import new_model
    from xformer.runs.checkpoint import TrainingState, save_weights
    from xformer.runs.copied_tokenizer import copy_tokenizer
    from xformer.runs.kind import CLASSIFICATION, settle_task
    from xformer.storage.toml import save_toml

    config = with_classifier(example=example, hidden=4)
    run = RunDirectory(tmp_path / "run")
    run.path.mkdir()
    settle_task(run, CLASSIFICATION)
    save_toml(run.config, config)
    copy_tokenizer(run, config.base.run)
    torch.manual_seed(0)
    save_weights(run.checkpoints, new_model(config), TrainingState(step=1))
    done = export_onnx(run.path, tmp_path / "out", Progress(), n_lines=5)
    assert len(done.inputs) == n_inputs
    code = re.findall(
        r"^```python\n(.*?)^```$", (done.folder / "README.md").read_text(), re.DOTALL | re.MULTILINE
    )
    exec(code[0].replace('"out/', f'"{tmp_path}/out/'), {})
