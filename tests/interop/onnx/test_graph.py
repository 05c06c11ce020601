"""ONNX graphs of every kind of network in onnxruntime, on lengths that no trace has seen.

Covers `int8`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.interop.network_cases import CASES, LENGTHS, case, label_head
from xformer.interop.network.spec import NetworkSpec
from xformer.interop.onnx import graph
from xformer.interop.onnx.graph import onnx_model
from xformer.interop.onnx.int8 import Int8Operations

onnx = pytest.importorskip("onnx", reason="needs the extra `onnx`: onnx")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra `onnx`: onnxruntime")


def session(model: Any) -> Any:
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("in_front", [False, True], ids=["behind", "in front"])
@pytest.mark.parametrize("name", CASES)
def test_every_kind_of_network_is_the_reference(name: str, in_front: bool) -> None:
    one = case(CASES[name], in_front=in_front)
    opened = session(onnx_model(one.spec, {}))
    found = opened.run(None, {"input_ids": one.ids, "attention_mask": one.mask})
    for value, (output, expected) in zip(found, one.outputs.items(), strict=True):
        error = np.abs(value - expected.numpy()).max()
        assert error < 2e-5, output
    none = np.zeros((2, 0), dtype=np.int64)
    vectors, states = opened.run(None, {"input_ids": none, "attention_mask": none})
    assert not vectors.any()
    assert states.shape == (2, 0, one.spec.config.d_model)
    for row, length in enumerate(LENGTHS if not in_front else ()):
        if length:  # alone, without padding
            fed = {
                "input_ids": one.ids[row : row + 1, :length],
                "attention_mask": one.mask[:1, :length] * 0 + 1,
            }
            alone = opened.run(["sentence_embedding"], fed)[0]
            assert np.abs(alone[0] - one.outputs["sentence_embedding"][row].numpy()).max() < 2e-5


@pytest.mark.parametrize("name", ["modernbert", "bert", "bigrams"])
def test_eight_bits_are_near_and_do_not_depend_on_the_batch(name: str) -> None:
    one = case(CASES[name])
    model = onnx_model(one.spec, {}, Int8Operations())
    opened = session(model)
    fed = {"input_ids": one.ids, "attention_mask": one.mask}
    found = opened.run(["sentence_embedding"], fed)[0]
    expected = one.outputs["sentence_embedding"].numpy()
    assert (found * expected).sum(1)[[0, 2, 3, 4]].min() > 0.99
    assert np.abs(found - expected).max() > 1e-6
    alone = opened.run(["sentence_embedding"], {key: value[:1, :5] for key, value in fed.items()})[0]
    assert np.abs(alone - found[:1]).max() < 1e-5
    tables = {array.name: array.data_type for array in model.graph.initializer if array.dims[:1] == [50]}
    assert tables["embeddings.tok_embeddings.weight.int8"] == onnx.TensorProto.INT8


def test_axes_inputs_and_notes_are_named() -> None:
    one = case({})
    head = label_head("pair", 9, 4)
    values = {**vars(one.spec), "head": head, "outputs": ("probabilities", "logits")}
    opened = session(onnx_model(NetworkSpec(**values), {"said": "é"}))
    assert {one.name: one.shape for one in opened.get_inputs()} == {
        "input_ids": ["batch", "length"],
        "attention_mask": ["batch", "length"],
        "input_ids_2": ["batch", "length_2"],
        "attention_mask_2": ["batch", "length_2"],
    }
    assert [(one.name, one.shape) for one in opened.get_outputs()] == [
        ("probabilities", ["batch", 3]),
        ("logits", ["batch", 3]),
    ]
    assert opened.get_modelmeta().custom_metadata_map == {"said": "é"}
    fed = {"input_ids": one.ids, "attention_mask": one.mask}
    fed |= {"input_ids_2": one.ids[:, :2], "attention_mask_2": one.mask[:, :2]}
    probabilities, logits = opened.run(None, fed)
    np.testing.assert_allclose(probabilities, torch.tensor(logits).softmax(1), atol=1e-6)


def test_a_text_that_is_longer_than_its_tables_is_an_error() -> None:
    opened = session(onnx_model(case({}).spec, {}))
    longer = np.ones((1, 21), dtype=np.int64)
    with pytest.raises(Exception, match="out of data bounds"):
        opened.run(None, {"input_ids": longer, "attention_mask": longer})


def test_no_node_is_for_one_runtime_alone_and_weights_are_there_once() -> None:
    model = onnx_model(case(CASES["modernbert"]).spec, {})
    assert {node.domain for node in model.graph.node} == {""}
    names = [array.name for array in model.graph.initializer]
    assert len(names) == len(set(names))
    table = "embeddings.tok_embeddings.weight"
    assert sum(array.dims == [50, 12] for array in model.graph.initializer) == names.count(table) == 1
    # What runtimes have fast kernels for stands as one node.
    kinds = [node.op_type for node in model.graph.node]
    assert (
        kinds.count("LayerNormalization") == 1 + 2 * 3 - 1 + 2
    )  # embedding, blocks but for the first, two ends
    assert kinds.count("Gelu") == kinds.count("Softmax") == 3


def test_what_no_file_holds_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "_LARGEST_FILE", 1_000)
    with pytest.raises(ValueError, match="holds 2 GB"):
        onnx_model(case({}).spec, {})
