"""Runs written as SavedModels, opened with TensorFlow and Keras, where these are: `make test-tensorflow`.

Covers `tensorflow_card` and xformer.cli.export.tensorflow.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import xformer
from xformer.cli.export.tensorflow import ExportTensorFlow
from xformer.errors import InputError
from xformer.interop.export import tensorflow_folder
from xformer.interop.export.tensorflow_folder import ExportedTensorFlow, export_tensorflow
from xformer.interop.tensorflow.saved_model import write_saved_model
from xformer.progress import Progress
from xformer.runs.directory import RunDirectory
from xformer.runs.sentence_layer import SentenceLayer, record_layer

TEXTS = ["dog sees house", "Katze malt Fenster", "a  b\u2581 🫠", ""]


def test_without_tensorflow_it_is_named(
    trained: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorflow_folder, "_PACKAGES", ("tokenizers", "no-such-package"))
    with pytest.raises(
        InputError, match=r"no-such-package: not installed; pip install 'xformer\[tensorflow\]'"
    ):
        export_tensorflow(trained.path, tmp_path / "out", Progress())
    with pytest.raises(InputError, match="--lines"):
        ExportTensorFlow(trained.path, tmp_path / "out", lines=0).run_command()
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def exported(trained: RunDirectory, tmp_path_factory: pytest.TempPathFactory) -> ExportedTensorFlow:
    pytest.importorskip("tensorflow_text", reason="needs tensorflow-text: make test-tensorflow")
    record_layer(trained, SentenceLayer(8, 1, [0.1, 0.3, 0.2]))
    place = tmp_path_factory.mktemp("exported") / "animals"
    return export_tensorflow(trained.path, place, Progress(), text=True, n_lines=100)


@pytest.fixture(scope="module")
def labelled(finetuned: Path, tmp_path_factory: pytest.TempPathFactory) -> ExportedTensorFlow:
    pytest.importorskip("tensorflow", reason="needs TensorFlow: make test-tensorflow")
    place = tmp_path_factory.mktemp("labelled") / "animals"
    return export_tensorflow(finetuned, place, Progress(), n_lines=50)


def test_vectors_of_texts_are_those_of_the_run(trained: RunDirectory, exported: ExportedTensorFlow) -> None:
    import tensorflow as tf

    network = tf.saved_model.load(str(exported.folder))
    theirs = network.signatures["sentence_embedding"](texts=tf.constant(TEXTS))["sentence_embedding"].numpy()
    assert np.abs(xformer.load(trained.path).encode(TEXTS) - theirs).max() < 1e-5
    assert exported.signatures == ("tokens", "serving_default", "sentence_embedding", "last_hidden_state")
    assert exported.ids_compared.corpus_lines == 100


def test_probabilities_are_those_of_classify(finetuned: Path, labelled: ExportedTensorFlow) -> None:
    import tensorflow as tf
    import tokenizers

    tokenizer = tokenizers.Tokenizer.from_file(str(labelled.folder / "tokenizer.json"))
    batch = tokenizer.encode_batch(TEXTS)
    network, model = tf.saved_model.load(str(labelled.folder)), xformer.load(finetuned)
    found = network.signatures["probabilities"](
        input_ids=tf.constant([one.ids for one in batch], tf.int64),
        attention_mask=tf.constant([one.attention_mask for one in batch], tf.int64),
    )["probabilities"].numpy()
    for text, row in zip(TEXTS, found, strict=True):
        ours = model.classify(text).probabilities
        assert dict(zip(model.labels, row.tolist(), strict=True)) == pytest.approx(ours, abs=1e-5)
    settings = json.loads((labelled.folder / "config.json").read_text(encoding="utf-8"))
    assert settings["signatures"][:2] == ["tokens", "serving_default"]


@pytest.mark.parametrize("which", ["exported", "labelled"])
def test_the_lines_of_the_card_run(
    which: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    done = request.getfixturevalue(which)
    card = (done.folder / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```$", card, re.DOTALL | re.MULTILINE)
    monkeypatch.chdir(done.folder.parent)
    exec(code, {})
    assert ("(2, 192)" if which == "exported" else "(2, 5)") in capsys.readouterr().out


def test_the_lines_for_keras_of_the_docs_run(
    exported: ExportedTensorFlow, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (repository / "docs" / "tensorflow.md").read_text(encoding="utf-8")
    (code,) = (
        one for one in re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE) if "keras" in one
    )
    (tmp_path / "exported").mkdir()
    (tmp_path / "exported" / "demo").symlink_to(exported.folder)
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    exec(code, found)
    assert found["model"].predict(found["texts"], verbose=0).shape == (4, 1)


def test_other_outputs_are_refused(
    trained: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorflow", reason="needs TensorFlow: make test-tensorflow")

    def other_norm(spec: Any, folder: Path, cut: Any) -> None:
        write_saved_model(replace(spec, config=replace(spec.config, norm_eps=0.1)), folder, cut)

    monkeypatch.setattr(tensorflow_folder, "write_saved_model", other_norm)
    with pytest.raises(InputError, match=r"tensorflow: \w+ differs by .* Nothing was written"):
        export_tensorflow(trained.path, tmp_path / "out", Progress(), n_lines=5)
    assert not list(tmp_path.iterdir())
