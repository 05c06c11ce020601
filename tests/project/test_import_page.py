"""What docs/import.md says can be done is done here, with a small model for the one that it downloads."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.project.pages import run_page


@pytest.mark.slow
def test_its_commands_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tokenizers", reason="needs the extra `hf`: tokenizers")
    run_page("docs/import.md", tmp_path, monkeypatch)
