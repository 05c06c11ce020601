#!/usr/bin/env bash
# onnxruntime stores a matrix shared by embedding and output layer twice, or leaves the output layer in floats.
#
# Most expect: quantize_dynamic turns a matrix used by Gather (embedding) and by the output layer into one 8-bit matrix, and the
# output layer's product becomes an 8-bit product. Language models share this matrix; it is often most of the file.
# Seen: it depends on how the product is spelled. As Gemm with transB=1, two 8-bit matrices are stored, one the transpose of the
# other: half of the float file instead of a quarter. As Transpose and MatMul, one is stored, but the product stays a float
# MatMul on a matrix that DequantizeLinear makes anew at each run. No message says either.
# Version: onnxruntime 1.32.0, onnx 1.23.2.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
"$folder/venv/bin/python" - "$folder" 2> /dev/null <<'PYTHON'
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

folder = pathlib.Path(sys.argv[1])
matrix = np.random.default_rng(0).standard_normal((1000, 64)).astype(np.float32)
SPELLINGS = {
    "Gemm": [helper.make_node("Gemm", ["x", "matrix"], ["y"], transB=1)],
    "Transpose, MatMul": [
        helper.make_node("Transpose", ["matrix"], ["turned"], perm=[1, 0]), helper.make_node("MatMul", ["x", "turned"], ["y"])
    ],
}
seen = {}
for name, product in SPELLINGS.items():
    graph = helper.make_graph(
        [helper.make_node("Gather", ["matrix", "ids"], ["x"]), *product], "tied",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["n"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 1000])],
        [numpy_helper.from_array(matrix, "matrix")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, folder / "m.onnx")
    quantize_dynamic(folder / "m.onnx", folder / "q.onnx", weight_type=QuantType.QInt8)
    quantised = onnx.load(folder / "q.onnx").graph
    bytewise = (TensorProto.INT8, TensorProto.UINT8)
    stored = [list(tensor.dims) for tensor in quantised.initializer if tensor.data_type in bytewise and tensor.dims]
    products = [node.op_type for node in quantised.node if "MatMul" in node.op_type or node.op_type == "Gemm"]
    share = (folder / "q.onnx").stat().st_size / (folder / "m.onnx").stat().st_size
    seen[name] = stored, products
    print(f"{name}: {share:.0%} of the float file; 8-bit matrices {stored}; product {products}")
assert seen["Gemm"] == ([[1000, 64], [64, 1000]], ["MatMulInteger"]), "the behaviour has changed"
assert seen["Transpose, MatMul"] == ([[1000, 64]], ["MatMul"]), "the behaviour has changed"
PYTHON
