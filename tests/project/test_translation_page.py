"""What docs/translation.md says can be done is done here."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.project.pages import run_page


@pytest.mark.slow
def test_its_commands_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sacrebleu")
    pytest.importorskip("transformers")
    run_page("docs/translation.md", tmp_path, monkeypatch, at_least=6)
