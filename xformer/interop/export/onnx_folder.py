"""Write a run as a folder with an ONNX graph and its tokenizer, and compare it in onnxruntime first."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xformer.errors import InputError
from xformer.interop.export.agreement import Agreement, Feed, compare_outputs
from xformer.interop.export.int8_loss import Int8Loss, int8_loss
from xformer.interop.export.onnx_card import onnx_card
from xformer.interop.export.packages import require_packages
from xformer.interop.export.portable import PortableRun, open_portable
from xformer.interop.export.portable_card import compared
from xformer.interop.export.settings_file import settings_of, write_settings
from xformer.interop.export.tokenizer_file import IdAgreement, compare_ids, require_portable, write_tokenizer
from xformer.interop.network.outputs import Output
from xformer.interop.onnx.graph import onnx_model
from xformer.interop.onnx.int8 import Int8Operations
from xformer.progress import Progress
from xformer.storage.checksummed import atomic_folder
from xformer.storage.files import atomic_write

MODEL, INT8_MODEL = "model.onnx", "model.int8.onnx"
_PACKAGES = ("onnx", "onnxruntime", "tokenizers")


@dataclass(frozen=True)
class ExportedOnnx:
    """What was written.

    Attributes:
        folder: its path.
        inputs: names of the inputs.
        outputs: names of the outputs, each with its axes.
        max_length: tokens after which a text is cut.
        versions: of the packages that it was compared with.
        outputs_compared: with the run, in onnxruntime.
        ids_compared: with the run's.
        bytes: of each graph, by the name of its file.
        int8: what the graph in 8-bit integers loses; None where there is none.
    """

    folder: Path
    inputs: tuple[str, ...]
    outputs: dict[str, list[str | int]]
    max_length: int
    versions: dict[str, str]
    outputs_compared: Agreement
    ids_compared: IdAgreement
    bytes: dict[str, int]
    int8: Int8Loss | None = None


def export_onnx(
    run: Path,
    folder: Path,
    progress: Progress,
    *,
    outputs: Sequence[Output] | None = None,
    int8: bool = False,
    n_lines: int = 10_000,
) -> ExportedOnnx:
    """Write the network of a run as an ONNX graph; only if onnxruntime agrees with the run, put it in place.

    Args:
        run: of `xformer pretrain`, `finetune` or `import`.
        folder: to write; must be missing or empty.
        progress: says what is done.
        outputs: what is computed; None for all that the run has.
        int8: write a second graph, in 8-bit integers, and measure what it loses.
        n_lines: lines of the corpus, and as many random ones, on which token ids are compared.

    Raises:
        InputError: a package is missing, there is no such run or output, or onnxruntime gives something else
            than the run; nothing is written.
    """
    versions = require_packages(_PACKAGES, "onnx")
    source = open_portable(run, progress, outputs)
    require_portable(source.tokenizer)
    with atomic_folder(folder) as scratch:
        progress.say("write the graph")
        settings = settings_of(source)
        try:
            model = onnx_model(source.spec, {"xformer": json.dumps(settings, ensure_ascii=False)})
        except ValueError as error:
            raise InputError(f"{run}: {error}") from None
        content = model.SerializeToString()
        with atomic_write(scratch / MODEL, "wb") as file:
            file.write(content)
        write_tokenizer(source.tokenizer, source.max_length, scratch)
        found = compare_outputs(source, session_of(scratch / MODEL), "onnxruntime", progress)
        ids = compare_ids(source, scratch, n_lines, progress)
        lost = _write_int8(source, scratch, settings) if int8 else None
        write_settings(settings, scratch)
        done = ExportedOnnx(
            folder,
            source.spec.inputs,
            {name: source.spec.shape(name) for name in source.spec.outputs},
            source.max_length,
            versions,
            found,
            ids,
            {path.name: path.stat().st_size for path in sorted(scratch.glob("*.onnx"))},
            lost,
        )
        said = [*compared(versions, found, ids), *([] if lost is None else [lost.said()])]
        with atomic_write(scratch / "README.md") as file:
            file.write(onnx_card(source, folder.resolve().name, said))
    return done


def _write_int8(source: PortableRun, folder: Path, settings: dict[str, Any]) -> Int8Loss:
    notes = {"xformer": json.dumps(settings, ensure_ascii=False)}
    model = onnx_model(source.spec, notes, Int8Operations())
    with atomic_write(folder / INT8_MODEL, "wb") as file:
        file.write(model.SerializeToString())
    return int8_loss(source, session_of(folder / INT8_MODEL))


def session_of(path: Path) -> Any:
    """What computes the outputs of a graph in onnxruntime, on a CPU, of what it is fed with."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # More threads than one wait for each other in loops, which takes long where other processes run.
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_outputs()]

    def compute(fed: Feed) -> Mapping[str, NDArray[np.floating]]:
        return dict(zip(names, session.run(names, dict(fed)), strict=True))

    return compute
