"""`xformer import`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.huggingface_folders import write_sentence_model
from xformer.cli import main

pytest.importorskip("tokenizers", reason="needs the extra `hf`: tokenizers")


def status(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as exit:
        main([str(one) for one in arguments])
    return exit.value.code  # type: ignore[return-value]


def test_a_model_comes_in_and_goes_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_sentence_model(tmp_path / "model")
    (folder / "pytorch_model.bin").write_bytes(b"x")
    assert status("import", "hf", folder, tmp_path / "run") == 0
    out = capsys.readouterr().out
    assert "bert, 2 blocks, width 16, 65 pieces" in out
    assert "16 coordinates, mean of the tokens, length 1; texts are cut after 12 tokens" in out
    assert "masked-LM head: none" in out
    assert "not read and left out: pytorch_model.bin" in out
    (tmp_path / "lines.txt").write_text("the dog\nkatze sees\n", encoding="utf-8")
    assert status("encode", tmp_path / "run", tmp_path / "lines.txt", "--out", tmp_path / "vectors.npy") == 0
    assert status("export", "hf", tmp_path / "run", tmp_path / "again") == 0
    assert "the weights were read back, and are the run's" in capsys.readouterr().out


def test_json_is_one_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_sentence_model(tmp_path / "model", pooling="cls_token", normalise=False)
    assert status("import", "hf", folder, tmp_path / "run", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["config"]["vectors"] == {
        "pooling": "first",
        "normalise": False,
        "max_length": 12,
        "dense": [],
        "prompts": {},
        "default_prompt": None,
    }
    assert found["config"]["source"]["family"] == "bert"


def test_what_cannot_be_imported_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status("import", "hf", tmp_path, tmp_path / "run") == 2
    assert "expected a folder with config.json and model.safetensors" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    folder = write_sentence_model(tmp_path / "model")
    assert status("import", "hf", folder, folder) == 2
