"""Write a network as a SavedModel: signatures for token ids, and for texts where TensorFlow can cut them.

A SavedModel holds a graph for each signature, and the weights once. They stay variables, so that who loads it
can train it further.

Shapes: B texts, N positions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from xformer.interop.network.forward import forward
from xformer.interop.network.outputs import Output
from xformer.interop.network.spec import NetworkSpec
from xformer.interop.tensorflow.operations import TensorFlowOperations

DEFAULT = "serving_default"
"""The signature that TensorFlow Serving and Keras ask for."""
TOKENS = "tokens"
"""The signature of token ids, with all outputs."""


def write_saved_model(spec: NetworkSpec, folder: Path, cut: Callable[[Any], tuple[Any, Any]] | None) -> None:
    """Write the network.

    Signatures are `tokens`, all outputs of token ids; one for each output, which computes no more than that;
    and `serving_default`, all outputs. With `cut`, all but `tokens` are of texts.

    Args:
        spec: the network.
        folder: to write.
        cut: texts (B,) to ids and mask (B, N), a module of TensorFlow; None for token ids alone.
    """
    import tensorflow as tf

    operations, module = TensorFlowOperations(), tf.Module()
    ids = {name: tf.TensorSpec((None, None), tf.int64, name) for name in spec.inputs}
    texts = {
        f"texts{name.removeprefix('input_ids')}": tf.TensorSpec((None,), tf.string, f"texts{name[9:]}")
        for name in spec.inputs[::2]
    }

    def named(found: Mapping[Output, Any]) -> dict[str, Any]:
        return {str(name): value for name, value in found.items()}

    def of_tokens(wanted: NetworkSpec) -> Any:
        def compute(*inputs: Any) -> dict[str, Any]:
            return named(forward(wanted, operations, dict(zip(spec.inputs, inputs, strict=True))))

        return tf.function(compute, input_signature=list(ids.values()), autograph=False)

    def of_texts(wanted: NetworkSpec) -> Any:
        def compute(*given: Any) -> dict[str, Any]:
            assert cut is not None
            parts = [part for one in given for part in cut(one)]
            return named(forward(wanted, operations, dict(zip(spec.inputs, parts, strict=True))))

        return tf.function(compute, input_signature=list(texts.values()), autograph=False)

    read = of_tokens if cut is None else of_texts
    signatures = {TOKENS: of_tokens(spec), DEFAULT: read(spec)}
    signatures |= {name: read(replace(spec, outputs=(name,))) for name in spec.outputs}
    found = {name: function.get_concrete_function() for name, function in signatures.items()}
    module.weights = list(operations.variables.values())
    module.cut = cut
    # Keras finds what it may call by the names of attributes, too.
    for name, function in signatures.items():
        setattr(module, name, function)
    tf.saved_model.save(module, str(folder), signatures=found)
