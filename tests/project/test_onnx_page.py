"""What docs/onnx.md says can be done is done here, on a run that other tests use, too."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from tests.project.pages import ROOT, blocks_of
from xformer.cli import main
from xformer.runs.directory import RunDirectory


@pytest.mark.slow
def test_its_commands_work(trained: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnx", reason="needs the extra `onnx`: onnx")
    pytest.importorskip("onnxruntime", reason="needs the extra `onnx`: onnxruntime")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "demo").symlink_to(trained.path)
    monkeypatch.chdir(tmp_path)
    blocks = blocks_of((ROOT / "docs" / "onnx.md").read_text(encoding="utf-8"))
    assert [block.language for block in blocks] == ["sh", "python"]
    with pytest.raises(SystemExit) as exit:
        main(blocks[0].code.removeprefix("xformer ").split())
    assert exit.value.code == 0
    (tmp_path / "block.py").write_text(blocks[1].code, encoding="utf-8")
    found = runpy.run_path(str(tmp_path / "block.py"))
    assert found["vectors"].shape == (2, 192)
