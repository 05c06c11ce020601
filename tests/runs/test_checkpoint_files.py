"""The file of a checkpoint's weights; what else lies in a checkpoint is tested in `test_checkpoint.py`."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors import safe_open
from safetensors.torch import save_file

from tests.runs.test_checkpoint import Run, _assert_same_bits
from xformer.errors import InputError
from xformer.model.config import ModelConfig
from xformer.model.multilingual import MultilingualModel
from xformer.runs.checkpoint import Checkpoint, TrainingState

OLD = Path(__file__).parent / "run_of_0_1" / "run"


def test_names_of_parameters_have_a_version(tmp_path: Path) -> None:
    """Files of 0.1, which have none, have today's names; of a later version nothing is read."""
    run = Run()
    checkpoint = run.save(tmp_path, 1)
    file = checkpoint.path / "model.safetensors"
    with safe_open(file, "pt") as opened:
        assert opened.metadata() == {"names": "1"}
    old = OLD / "checkpoints" / "step-00000022"
    config = ModelConfig(
        vocab_size=400, d_model=16, n_heads=2, n_layers=3, d_ff=16, bigrams=1, bias=False, window=8
    )
    with safe_open(old / "model.safetensors", "pt") as opened:
        assert opened.metadata() is None
    model = MultilingualModel(config)
    Checkpoint(old, TrainingState()).load_model(model)
    whole = Checkpoint(old, TrainingState()).whole("model")
    _assert_same_bits(dict(model.state_dict()), {name: whole[name] for name in model.state_dict()})
    weights = {name: x.contiguous() for name, x in run.model.state_dict().items()}
    save_file(weights, file, {"names": "2"})
    for read in (lambda: checkpoint.load_model(run.model), lambda: checkpoint.whole("model")):
        with pytest.raises(InputError, match=r"named by version 2; expected version 1\. A newer xformer"):
            read()
