"""The operations as nodes of an ONNX graph, written one by one.

The graph is written and not traced: every length is a name, and a runtime finds the nodes that it has fast
kernels for (LayerNormalization, Gelu, Softmax) as they stand. Attention is products and a Softmax: the
node of that name (opset 23) needs a mask of its full size in onnxruntime, and is not in older runtimes.

Shapes: B sequences, N positions, H heads, D head size, C inputs, F outputs, V rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from xformer.interop.network.forward import forward
from xformer.interop.network.operations import Kind, Operations, Plain, Weight
from xformer.interop.network.spec import NetworkSpec
from xformer.version import __version__

OPSET = 20
"""Of onnxruntime 1.17 (2024) and later: the first with Gelu."""
_NODES: dict[Plain, str] = {
    "matmul": "MatMul",
    "add": "Add",
    "subtract": "Sub",
    "multiply": "Mul",
    "divide": "Div",
    "modulo": "Mod",
    "exclusive_or": "BitwiseXor",
    "maximum": "Max",
    "greater": "Greater",
    "both": "And",
    "where": "Where",
    "absolute": "Abs",
    "square_root": "Sqrt",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "relu": "Relu",
    "softmax": "Softmax",
    "mean": "ReduceMean",
    "total": "ReduceSum",
    "rows": "Gather",
}
_IR_VERSION = 9
_LARGEST_FILE = 2**31 - 2**20
"""Bytes of a protocol buffer, with room for the nodes."""


class OnnxOperations(Operations[str]):
    """Writes a node for each operation; values are their names.

    Attributes:
        nodes: in order.
        arrays: trained and small ones, by name.
    """

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.arrays: dict[str, NDArray[Any]] = {}
        self._constants: dict[tuple[str, str, bytes], str] = {}

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """The output of a new node."""
        from onnx import helper

        number = len(self.nodes)
        name = f"{kind.lower()}_{number}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=f"{kind}_{number}", **attributes))
        return name

    def array(self, value: NDArray[Any]) -> str:
        """A small array; equal ones are one."""
        key = (str(value.dtype), str(value.shape), value.tobytes())
        if key not in self._constants:
            name = self._constants[key] = f"constant_{len(self._constants)}"
            self.arrays[name] = value
        return self._constants[key]

    def stored(self, name: str, value: NDArray[Any]) -> str:
        """An array by its name."""
        self.arrays.setdefault(name, np.ascontiguousarray(value))
        return name

    def weight(self, name: str, value: Weight) -> str:
        """An initializer in float32."""
        return self.stored(name, value.astype(np.float32))

    def constant(self, value: object, kind: Kind = "float") -> str:
        """An initializer; equal ones are one."""
        return self.array(np.array(value, dtype=np.float32 if kind == "float" else np.int64))

    def embed(self, name: str, table: Weight, ids: str) -> str:
        """Gather."""
        return self.rows(self.weight(name, table), ids)

    def linear(self, name: str, x: str, weight: Weight, bias: Weight | None) -> str:
        """MatMul and Add."""
        product = self.matmul(x, self.weight(f"{name}.weight", weight.T))
        return product if bias is None else self.add(product, self.weight(f"{name}.bias", bias))

    def plain(self, name: Plain, *values: str) -> str:
        """The node of this operation."""
        if name in ("mean", "total"):
            return self.node(_NODES[name], *values, self.constant([-1], "integer"))
        return self.node(_NODES[name], *values)

    def cast(self, x: str, kind: Kind) -> str:
        """Cast."""
        from onnx import TensorProto

        return self.node("Cast", x, to=TensorProto.FLOAT if kind == "float" else TensorProto.INT64)

    def gelu(self, x: str, approximate: Literal["none", "tanh"]) -> str:
        """Gelu."""
        return self.node("Gelu", x, approximate=approximate)

    def layer_norm(self, x: str, weight: str, bias: str | None, epsilon: float) -> str:
        """LayerNormalization."""
        inputs = (x, weight) if bias is None else (x, weight, bias)
        return self.node("LayerNormalization", *inputs, axis=-1, epsilon=epsilon)

    def running_total(self, x: str) -> str:
        """CumSum."""
        return self.node("CumSum", x, self.constant(1, "integer"))

    def cut(self, x: str, begin: int, end: int) -> str:
        """Slice."""
        places = (self.constant([place], "integer") for place in (begin, end, -1))
        return self.node("Slice", x, *places)

    def shift(self, x: str, by: Literal[1, -1]) -> str:
        """Pad, by one at one side and by minus one at the other."""
        pads, axis = self.constant([by, -by], "integer"), self.constant([1], "integer")
        return self.node("Pad", x, pads, "", axis, mode="constant")

    def join(self, parts: list[str]) -> str:
        """Concat."""
        return self.node("Concat", *parts, axis=-1)

    def positions(self, ids: str) -> str:
        """Range over the second axis."""
        length = self.node("Squeeze", self.node("Shape", ids, start=1, end=2))
        return self.node("Range", self.constant(0, "integer"), length, self.constant(1, "integer"))

    def unsqueeze(self, x: str, *axes: int) -> str:
        """Unsqueeze."""
        return self.node("Unsqueeze", x, self.constant(axes, "integer"))

    def squeeze(self, x: str, axis: int) -> str:
        """Squeeze."""
        return self.node("Squeeze", x, self.constant([axis], "integer"))

    def split_last(self, x: str, parts: int, width: int) -> str:
        """Reshape."""
        return self.node("Reshape", x, self.constant([0, 0, parts, width], "integer"))

    def merge_last(self, x: str, width: int) -> str:
        """Reshape."""
        return self.node("Reshape", x, self.constant([0, 0, width], "integer"))

    def transpose(self, x: str, *axes: int) -> str:
        """Transpose."""
        return self.node("Transpose", x, perm=axes)


def onnx_model(spec: NetworkSpec, notes: Mapping[str, str], operations: OnnxOperations | None = None) -> Any:
    """The network as a model of the package `onnx`, checked by it.

    Args:
        spec: the network.
        notes: to be read in the file (`metadata_props`).
        operations: what writes the nodes; None for float32.

    Raises:
        ValueError: it is larger than a file can be.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    op = OnnxOperations() if operations is None else operations
    found = forward(spec, op, {name: name for name in spec.inputs})
    for name, value in found.items():
        op.nodes.append(helper.make_node("Identity", [value], [name], name=name))
    ends = {name: name[len(name.rstrip("_2")) :] for name in spec.inputs}
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", f"length{ends[name]}"])
        for name in spec.inputs
    ]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, spec.shape(name)) for name in found]
    n_bytes = sum(array.nbytes for array in op.arrays.values())
    if n_bytes > _LARGEST_FILE:
        raise ValueError(f"an ONNX file holds 2 GB, and these weights take {n_bytes / 1e9:.1f}")
    arrays = [numpy_helper.from_array(array, name) for name, array in op.arrays.items()]
    graph = helper.make_graph(op.nodes, "xformer", inputs, outputs, arrays)
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=_IR_VERSION,
        producer_name="xformer",
        producer_version=__version__,
    )
    helper.set_model_props(model, dict(notes))
    onnx.checker.check_model(model, full_check=True)
    return model
