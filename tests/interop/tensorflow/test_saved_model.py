"""SavedModels of every kind of network, loaded again, on lengths that no trace has seen.

They run where TensorFlow is: `make test-tensorflow`. Covers `operations` and `texts`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from tests.interop.network_cases import CASES, case, label_head
from xformer.errors import InputError
from xformer.interop.export.fuzz import fuzzed_lines
from xformer.interop.network.spec import NetworkSpec
from xformer.interop.tensorflow.saved_model import write_saved_model
from xformer.interop.tensorflow.texts import require_cuttable, text_cutter
from xformer.runs.directory import RunDirectory
from xformer.tokenizer import Tokenizer
from xformer.tokenizer.interface import TextTokenizer


@pytest.fixture(scope="module")
def tf() -> Any:
    """TensorFlow, imported after Triton: each has an LLVM, and the other order ends the process."""
    return pytest.importorskip("tensorflow", reason="needs TensorFlow: make test-tensorflow")


def loaded(tf: Any, spec: NetworkSpec, folder: Path) -> Any:
    write_saved_model(spec, folder, None)
    return tf.saved_model.load(str(folder))


@pytest.mark.parametrize("in_front", [False, True], ids=["behind", "in front"])
@pytest.mark.parametrize("name", CASES)
def test_every_kind_of_network_is_the_reference(tf: Any, name: str, in_front: bool, tmp_path: Path) -> None:
    one = case(CASES[name], in_front=in_front)
    network = loaded(tf, one.spec, tmp_path / "saved")
    fed = {"input_ids": tf.constant(one.ids), "attention_mask": tf.constant(one.mask)}
    found = network.signatures["tokens"](**fed)
    for output, expected in one.outputs.items():
        assert np.abs(found[output].numpy() - expected.numpy()).max() < 2e-5
        alone = network.signatures[output](**fed)
        assert list(alone) == [output]
        np.testing.assert_allclose(alone[output].numpy(), found[output].numpy(), atol=1e-6)
    none = tf.zeros((2, 0), tf.int64)
    assert not network.tokens(none, none)["sentence_embedding"].numpy().any()


def test_pairs_have_lengths_of_their_own_and_weights_can_be_trained(tf: Any, tmp_path: Path) -> None:
    one = case({})
    values = {**vars(one.spec), "head": label_head("pair", 9, 4), "outputs": ("probabilities",)}
    network = loaded(tf, NetworkSpec(**values), tmp_path / "saved")
    fed = [tf.constant(part) for part in (one.ids, one.mask, one.ids[:, :2], one.mask[:, :2])]
    with tf.GradientTape() as tape:
        found = network.tokens(*fed)["probabilities"]
        first = found[:, 0]
    np.testing.assert_allclose(tf.reduce_sum(found, 1).numpy(), 1, atol=1e-6)
    gradients = tape.gradient(first, network.weights)
    assert sum(one is not None for one in gradients) > 10


@pytest.mark.parametrize("normalization", ["identity", "nfkc"])
def test_texts_are_cut_into_the_ids_of_the_run(
    tf: Any, normalization: Any, trained: RunDirectory, tmp_path: Path
) -> None:
    pytest.importorskip("tensorflow_text", reason="needs tensorflow-text: make test-tensorflow")
    tokenizer = Tokenizer.from_bytes(trained.tokenizer.read_bytes(), normalization=normalization)
    module = tf.Module()
    module.cut = text_cutter(tokenizer, 30)
    tf.saved_model.save(module, str(tmp_path / "saved"))
    again = tf.saved_model.load(str(tmp_path / "saved"))
    texts = ["", "\u2581", " \u2581 ", "\u2581\u2581a", "dog sees house", "ﬁ e\u0301", "dog " * 50]
    made = fuzzed_lines(0, 200, ["dog sees house"])
    # Unicode's rules for a new letter are those of the library's version.
    texts += made if normalization == "identity" else []
    ids, mask = (one.numpy() for one in again.cut(tf.constant(texts)))
    ours = tokenizer.sequences(texts, 30, 1)[0]
    for text, row, kept, expected in zip(texts, ids, mask, ours, strict=True):
        assert row[: kept.sum()].tolist() == expected.tolist(), text
        assert (row[kept.sum() :] == 1).all()


def test_another_tokenizer_is_refused() -> None:
    with pytest.raises(InputError, match="--text: expected a run of xformer pretrain"):
        require_cuttable(cast(TextTokenizer, object()))
