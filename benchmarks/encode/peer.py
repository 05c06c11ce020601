"""The peer's side: sentence-transformers, through its own API. Imports nothing of ours that needs a package.

Its ONNX backend may need another environment (see the package's docstring).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from .turns import serve

_CALIBRATED = 64
"""Texts on which OpenVINO is quantised."""


class Peer:
    """A `SentenceTransformer`, and the commands of the bench."""

    def __init__(self, folder: Path, backend: str, threads: int) -> None:
        import torch
        from sentence_transformers import SentenceTransformer

        torch.set_num_threads(threads)
        kwargs: dict[str, Any] = {}
        if backend == "openvino-int8":
            file = _openvino_file(folder)
            options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": str(threads)}
            kwargs = {"backend": "openvino", "model_kwargs": {"file_name": file, "ov_config": options}}
        elif backend != "torch":
            import onnxruntime

            session = onnxruntime.SessionOptions()
            session.intra_op_num_threads = threads
            file = _onnx_file(folder, backend)
            kwargs = {
                "backend": "onnx",
                "model_kwargs": {
                    "file_name": file,
                    "provider": "CPUExecutionProvider",
                    "session_options": session,
                },
            }
        self._model: Any = SentenceTransformer(str(folder), device="cpu", local_files_only=True, **kwargs)
        self._torch = torch
        self._texts: list[str] = []
        self._batches: dict[int, list[Any]] = {}

    def read(self, texts: str) -> None:
        """Take the texts of a JSON file."""
        self._texts = json.loads(Path(texts).read_text(encoding="utf-8"))
        self._batches.clear()

    def encode(self, batch: int = 32) -> None:
        """Encode the texts in batches of so many."""
        self._model.encode(self._texts, batch_size=batch, show_progress_bar=False)

    def tokenise(self, batch: int = 32) -> None:
        """Make the padded batches that `model` computes, in the order in which `encode` would."""
        preprocess = getattr(self._model, "preprocess", None) or self._model.tokenize
        ordered = sorted(self._texts, key=len, reverse=True)
        self._batches[batch] = [
            preprocess(ordered[start : start + batch]) for start in range(0, len(ordered), batch)
        ]

    def model(self, batch: int = 32) -> None:
        """Compute vectors of the batches that `tokenise` made."""
        with self._torch.inference_mode():
            for features in self._batches[batch]:
                self._model.forward(dict(features))["sentence_embedding"].numpy()

    def save(self, out: str) -> None:
        """Write the vectors of the texts to a `.npy` file."""
        import numpy as np

        np.save(out, self._model.encode(self._texts, show_progress_bar=False))


def _onnx_file(folder: Path, backend: str) -> str:
    """The ONNX file in the folder, in fp32 or quantised, which is exported if it is missing."""
    from sentence_transformers import SentenceTransformer, export_dynamic_quantized_onnx_model

    whole = folder / "onnx" / "model.onnx"
    if not whole.is_file():
        model = SentenceTransformer(
            str(folder), device="cpu", backend="onnx", model_kwargs={"export": True}, local_files_only=True
        )
        model.save_pretrained(str(folder))
    if backend == "onnx":
        return "onnx/model.onnx"
    kind = "avx512_vnni" if "avx512_vnni" in _flags() else "avx2"
    if not (found := list(whole.parent.glob(f"*{kind}*.onnx"))):
        model = SentenceTransformer(
            str(folder), device="cpu", backend="onnx", model_kwargs={"file_name": "onnx/model.onnx"},
            local_files_only=True,
        )  # fmt: skip
        export_dynamic_quantized_onnx_model(model, kind, str(folder))
        found = list(whole.parent.glob(f"*{kind}*.onnx"))
    return f"onnx/{found[0].name}"


def _openvino_file(folder: Path) -> str:
    """The OpenVINO file in the folder, which is made if it is missing: quantised on texts of the bench."""
    from optimum.intel import OVQuantizationConfig
    from sentence_transformers import SentenceTransformer, export_static_quantized_openvino_model

    whole = folder / "openvino" / "openvino_model.xml"
    name = "openvino_model_qint8_quantized.xml"
    if not (whole.parent / name).is_file():
        model = SentenceTransformer(
            str(folder),
            device="cpu",
            backend="openvino",
            model_kwargs={"export": True},
            local_files_only=True,
        )
        model.save_pretrained(str(folder))
        texts = json.loads((folder / "texts.json").read_text(encoding="utf-8"))[:_CALIBRATED]
        place = folder / "calibration"
        place.mkdir(exist_ok=True)
        lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
        (place / "train.jsonl").write_text(lines, encoding="utf-8")
        export_static_quantized_openvino_model(
            model, OVQuantizationConfig(num_samples=len(texts)), str(folder), dataset_name=str(place),
            dataset_config_name="default", dataset_split="train", column_name="text",
        )  # fmt: skip
    return f"openvino/{name}"


def _flags() -> str:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8") if path.exists() else ""


if __name__ == "__main__":
    job = json.loads(sys.argv[1])
    peer = Peer(Path(job["folder"]), job["backend"], job["threads"])
    serve(
        {
            "read": peer.read,
            "encode": peer.encode,
            "tokenise": peer.tokenise,
            "model": peer.model,
            "save": peer.save,
        }
    )
