"""Small folders of transformers and sentence-transformers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.huggingface_folders import write_bert, write_sentence_model

pytest.importorskip("tokenizers", reason="needs the extra `hf`: tokenizers")

Make = Callable[..., Path]


@pytest.fixture
def bert_folder(tmp_path: Path) -> Make:
    """Makes a folder with a small BERT."""

    def make(**settings: Any) -> Path:
        return write_bert(tmp_path / "bert", **settings)

    return make


@pytest.fixture
def sentence_folder(tmp_path: Path) -> Make:
    """Makes a folder of sentence-transformers with a small BERT."""

    def make(**settings: Any) -> Path:
        return write_sentence_model(tmp_path / "sentences", **settings)

    return make
