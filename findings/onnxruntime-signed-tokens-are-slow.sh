#!/usr/bin/env bash
# MatMulInteger in onnxruntime is several times slower for int8 activations than for the same numbers in uint8.
#
# Most expect: int8 times int8, which the operator allows and which needs no zero point, costs what uint8 times int8 does.
# Seen: on a CPU with AVX-512 and VNNI, signed activations take several times the processor's time of the same ones plus 128
# in uint8 with 128 as the zero point, more than float32, and give the same integers. So a graph whose activations are
# symmetric in int8 is slower in 8 bits than in 32, and nothing says so.
# Version: onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6, one thread. Without VNNI the script only prints.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/measure.py" <<'PYTHON'
import statistics
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

rows, inner, outer = 512, 256, 768
random = np.random.default_rng(0)
weight = random.integers(-127, 128, (inner, outer), dtype=np.int8)
signed = random.integers(-127, 128, (rows, inner), dtype=np.int8)
unsigned = (signed.astype(np.int16) + 128).astype(np.uint8)


def session(kind, node, initializers, out):
    graph = helper.make_graph(
        [node],
        "product",
        [helper.make_tensor_value_info("x", kind, [None, inner])],
        [helper.make_tensor_value_info("y", out, [None, outer])],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


w = numpy_helper.from_array(weight, "w")
zero = numpy_helper.from_array(np.array(128, dtype=np.uint8), "zero")
plain = numpy_helper.from_array(weight.astype(np.float32), "w")
ways = {
    "int8": (session(TensorProto.INT8, helper.make_node("MatMulInteger", ["x", "w"], ["y"]), [w], TensorProto.INT32), signed),
    "uint8": (
        session(
            TensorProto.UINT8, helper.make_node("MatMulInteger", ["x", "w", "zero"], ["y"]), [w, zero], TensorProto.INT32
        ),
        unsigned,
    ),
    "float32": (
        session(TensorProto.FLOAT, helper.make_node("MatMul", ["x", "w"], ["y"]), [plain], TensorProto.FLOAT),
        signed.astype(np.float32),
    ),
}
print("onnxruntime", ort.__version__)
seconds = {way: [] for way in ways}
found = {}
for _ in range(9):
    for way, (run, x) in ways.items():
        run.run(None, {"x": x})
        begin = time.process_time()
        for _ in range(5):
            found[way] = run.run(None, {"x": x})[0]
        seconds[way].append((time.process_time() - begin) / 5)
assert np.array_equal(found["int8"], found["uint8"]), "the integers differ"
medians = {way: statistics.median(times) for way, times in seconds.items()}
for way, median in medians.items():
    print(f"{way}: {1000 * median:.2f} ms, {median / medians['uint8']:.1f} times uint8")
flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
if "avx512_vnni" not in flags:
    print("no AVX-512 with VNNI here: printed only")
else:
    assert medians["int8"] > 2 * medians["uint8"], "changed: signed ones are no longer slow"
    print("as stated")
PYTHON
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install -q --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
"$folder/env/bin/python" -W ignore "$folder/measure.py"
