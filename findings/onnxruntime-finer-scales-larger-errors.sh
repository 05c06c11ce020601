#!/usr/bin/env bash
# A scale for each output row makes onnxruntime's 8-bit result worse than one scale for the matrix.
#
# Most expect: quantize_dynamic(per_channel=True) is at least as exact as per_channel=False; that is what it costs its bytes for.
# Seen: on a CPU with AVX2 and no VNNI, products of a full-range 8-bit activation and weight are added in pairs in 16 bits and
# cut at 32767. One scale for the matrix leaves most weights small, so few pairs are cut; a scale for each row stretches every
# row to the full range, so many are. The largest error is several times larger; reduce_range=True (7-bit weights) cures it.
# Version: onnxruntime 1.32.0, onnx 1.23.2, CPU with AVX2. With VNNI the pairs are summed in 32 bits: the script then only prints.
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
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

folder = pathlib.Path(sys.argv[1])
random = np.random.default_rng(0)
weight = random.standard_normal((64, 1000)).astype(np.float32)
x = random.standard_normal((200, 64)).astype(np.float32)
graph = helper.make_graph(
    [helper.make_node("MatMul", ["x", "weight"], ["y"])], "one",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 64])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 1000])],
    [numpy_helper.from_array(weight, "weight")],
)
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "m.onnx")
error = {}
for per_channel in (False, True):
    for reduce_range in (False, True):
        path = folder / f"{per_channel}{reduce_range}.onnx"
        quantize_dynamic(
            folder / "m.onnx", path, weight_type=QuantType.QInt8, per_channel=per_channel, reduce_range=reduce_range
        )
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        y = np.concatenate([session.run(None, {"x": row[None]})[0] for row in x])
        error[per_channel, reduce_range] = float(abs(y - x @ weight).max())
        print(f"per_channel={per_channel} reduce_range={reduce_range}: largest error {error[per_channel, reduce_range]:.2f}")
flags = pathlib.Path("/proc/cpuinfo").read_text()
if "avx2" in flags and "vnni" not in flags:
    assert error[True, False] > 2 * error[False, False], "the behaviour has changed"
    assert error[True, False] > 2 * error[True, True], "the behaviour has changed"
PYTHON
