"""Two processes compute what one computes.

Covers xformer.pretraining.step_losses.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file
from torch import Tensor

from xformer.data.shards import TokenShards
from xformer.model.multilingual import MultilingualModel
from xformer.pretraining.batches import StepBatches
from xformer.pretraining.stages import EMBEDDING_WARMUP, FULL
from xformer.pretraining.step_losses import StepLosses
from xformer.runs.config import MaskingConfig, RunConfig
from xformer.runs.directory import RunDirectory
from xformer.storage.toml import save_toml
from xformer.tokenizer import Tokenizer
from xformer.training.losses import StepSums

pytestmark = pytest.mark.skipif(not dist.is_gloo_available(), reason="this torch has no gloo")

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def run(prepared: Path, config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A run with fp64 weights in start.safetensors that let every part of the model matter."""
    folder = tmp_path_factory.mktemp("distributed") / "run"
    shutil.copytree(prepared, folder)
    objectives = replace(config.objectives, pooling="weighted", translation_lm_tokens=300)
    config = replace(config, objectives=objectives)
    save_toml(folder / "config.toml", config)
    torch.manual_seed(0)
    model = MultilingualModel(config.model, config.objectives.pooling).double()
    weights = {name: x + 0.1 * torch.randn_like(x) for name, x in model.state_dict().items()}
    weights["encoder.embeddings.bigram_embeddings.weight"][0] = 0.0  # that of no neighbour
    save_file(weights, folder / "start.safetensors")
    return RunDirectory(folder)


@pytest.fixture(scope="module")
def by_two(run: RunDirectory) -> RunDirectory:
    """The run after two processes have saved what they computed."""
    environment = os.environ | {"PYTHONPATH": str(HERE.parents[1]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(HERE / "one_of_many.py"), str(run.path)],
        env=environment | {"PYTHONWARNINGS": "error::FutureWarning"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return run


def _by_one(run: RunDirectory, stage: str, rate: float) -> dict[str, Tensor]:
    config = run.load_config()
    objectives = replace(config.objectives, masking=MaskingConfig(rate=rate))
    config = replace(config, objectives=objectives)
    model = MultilingualModel(config.model, config.objectives.pooling).double().eval()
    model.load_state_dict(load_file(run.path / "start.safetensors"))
    starts_word = Tokenizer.load(run.tokenizer).starts_word()
    batch = StepBatches(TokenShards.open(run.shards("train")), config, starts_word).make(5, stage)
    total, losses = StepLosses(model, config.objectives)(batch, stage)
    total.backward()
    found: dict[str, Any] = {"total": total.detach()}
    for name, loss in losses.items():
        found[f"value.{name}"] = loss.value.detach()
        sums, counts = StepSums.of(total, {name: loss}, 3).by_category[name]
        found[f"sums.{name}"], found[f"counts.{name}"] = (
            torch.from_numpy(sums),
            torch.from_numpy(counts).double(),
        )
    gradients = {f"grad.{name}": x.grad for name, x in model.named_parameters() if x.grad is not None}
    return found | gradients


@pytest.mark.slow
@pytest.mark.parametrize(("stage", "rate"), [(FULL, 0.3), (FULL, 0.01), (EMBEDDING_WARMUP, 0.3)])
@pytest.mark.parametrize("sharding", ["none", "full"])
def test_two_processes_compute_the_loss_and_every_gradient_of_one(
    by_two: RunDirectory, sharding: str, stage: str, rate: float
) -> None:
    found = load_file(by_two.path / f"{sharding}-{stage}-{rate}.safetensors")
    expected = _by_one(by_two, stage, rate)
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert tensor.dtype == torch.float64
        assert torch.isfinite(tensor).all()
        difference = float((found[name] - tensor).abs().max())
        assert difference <= 1e-10 * max(1.0, float(tensor.abs().max())), name
    # The comparison would mean little if gradients were zero.
    assert all(tensor.abs().max() > 1e-6 for name, tensor in expected.items() if name.startswith("grad."))
