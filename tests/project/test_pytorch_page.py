"""What docs/pytorch.md shows is run here."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from xformer.interop.huggingface import attention
from xformer.model.config import ModelConfig, Positions
from xformer.model.multilingual import MultilingualModel

PAGE = Path(__file__).resolve().parents[2] / "docs" / "pytorch.md"


@pytest.mark.slow
def test_its_blocks_work() -> None:
    """Every Python block, in order, as one program."""
    transformers = pytest.importorskip("transformers", minversion="5.3")
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 7
    try:
        exec(compile("\n".join(blocks), "docs/pytorch.md", "exec"), {})
    finally:
        for interface in (transformers.AttentionInterface, transformers.AttentionMaskInterface):
            interface._global_mapping.pop(attention.NAME, None)


def test_it_names_what_is_there() -> None:
    """The model types that attention is tested in, and each kind of parameter."""
    page = PAGE.read_text(encoding="utf-8")
    (named,) = re.findall(r"\*\*Model types\*\*: (.*?)\.", page, re.DOTALL)
    assert set(re.split(r",\s+", named)) == attention.MODEL_TYPES
    config = ModelConfig(
        vocab_size=9, d_model=8, n_heads=2, d_ff=4, n_layers=2, n_segments=2, bigrams=1, tie_embeddings=False
    )
    kinds: tuple[Positions, ...] = ("learned", "t5")
    for positions in kinds:
        for name in MultilingualModel(replace(config, positions=positions)).state_dict():
            shown = re.sub(r"layers\.\d+\.", "layers.N.", name.removeprefix("encoder."))
            assert f"`{shown}`" in page, shown
