"""`xformer export hf`, up to what it writes; what a folder holds is tested with its libraries."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from xformer.cli.export.huggingface import _said
from xformer.interop.export.compare import Comparison
from xformer.interop.export.folder import Exported
from xformer.interop.export.ids import Difference

Run = Callable[..., tuple[int, str, str]]


def test_what_is_missing_or_in_the_way_is_said(xformer: Run, tmp_path: Path) -> None:
    status, out, err = xformer("export", "hf", tmp_path / "none", tmp_path / "out")
    assert (status, out) == (2, "")
    assert str(tmp_path / "none") in err
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    status, _, err = xformer("export", "hf", tmp_path / "none", tmp_path / "full")
    assert status == 2
    assert "expected a new or an empty folder" in err
    status, _, err = xformer("export", "hf", tmp_path / "none", tmp_path / "out", "--lines", 0)
    assert status == 2
    assert "--lines" in err
    status, _, err = xformer("export", "hf", tmp_path / "none", tmp_path / "out", "--public")
    assert status == 2
    assert "expected --push as well" in err
    status, _, err = xformer("export", "hf", tmp_path / "none", tmp_path / "out", "--push", "demo")
    assert status == 2
    assert "expected ORG/NAME" in err


@pytest.mark.slow
def test_a_run_that_is_not_held_is_refused(xformer: Run, trained: object, tmp_path: Path) -> None:
    path = getattr(trained, "path")  # noqa: B009 - a run
    status, out, err = xformer("export", "hf", path, tmp_path / "out", "--json", "--no-compare")
    assert (status, out) == (2, "")
    assert "model.bigrams" in err
    assert not (tmp_path / "out").exists()


def test_what_is_said_has_ties_and_figures() -> None:
    ties = tuple(Difference("a" * n, (1,), (2,)) for n in range(5))
    found = Comparison({"tokenizers": "1.0"}, 10, 10, 65, ties, 8, 1e-6, 2e-6, 0.999999)
    said = _said(Exported(Path("out"), ("ModernBertForMaskedLM",), 192, 2, 128, found))
    assert "15 of 20 lines equal" in said
    assert "and 2 ties more" in said
    assert "largest error 1.0e-06 of the largest hidden state, logits 2.0e-06" in said
    assert "not compared" in _said(Exported(Path("out"), ("BertModel",), 192, 2, 128, None))
    json.dumps(said)
