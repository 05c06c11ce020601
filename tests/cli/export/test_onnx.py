"""`xformer export onnx`, up to what it writes.

Covers xformer.cli.export.command.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from xformer.cli.export.onnx import _said
from xformer.interop.export.agreement import Agreement
from xformer.interop.export.onnx_folder import ExportedOnnx
from xformer.interop.export.tokenizer_file import IdAgreement

Run = Callable[..., tuple[int, str, str]]


def test_what_is_missing_or_in_the_way_is_said(xformer: Run, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    status, _, err = xformer("export", "onnx", tmp_path / "none", tmp_path / "full")
    assert status == 2
    assert "expected a new or an empty folder" in err
    status, _, err = xformer("export", "onnx", tmp_path / "none", tmp_path / "out", "--lines", 0)
    assert status == 2
    assert "--lines" in err
    status, _, err = xformer("export", "onx", tmp_path / "none", tmp_path / "out")
    assert status == 2
    assert "did you mean onnx" in err


@pytest.mark.slow
def test_it_prints_one_object_of_json(xformer: Run, trained: object, tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="needs the extra `onnx`: onnx")
    pytest.importorskip("onnxruntime", reason="needs the extra `onnx`: onnxruntime")
    path = getattr(trained, "path")  # noqa: B009 - a run
    asked = ("--outputs", "sentence_embedding", "--lines", 5, "--json")
    status, out, _ = xformer("export", "onnx", path, tmp_path / "out", *asked)
    assert status == 0
    found = json.loads(out)
    assert found["outputs"] == {"sentence_embedding": ["batch", 192]}
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == [
        "README.md",
        "config.json",
        "model.onnx",
        "tokenizer.json",
    ]
    status, out, err = xformer("export", "onnx", path, tmp_path / "no", "--outputs", "logits", "--json")
    assert (status, out) == (2, "")
    assert "got logits" in err


def test_what_is_said_has_the_figures() -> None:
    done = ExportedOnnx(
        Path("out"),
        ("input_ids", "attention_mask"),
        {"logits": ["batch", 3]},
        128,
        {"onnxruntime": "1.0"},
        Agreement({"logits": 2.3e-7}, 7, 22, 512),
        IdAgreement(10, 10, 65, 2),
        {"model.onnx": 1_500_000},
    )
    said = _said(done)
    assert "model.onnx 1.5 MB" in said
    assert "logits 2e-07" in said
    assert "2 differ, all of them ties of two cuts" in said
