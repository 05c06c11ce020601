"""A task that is not pretraining: a tiny classifier of points, is their product positive or not?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from xformer.progress import Progress
from xformer.runs.checkpoint import TrainingState
from xformer.runs.config import TrainingConfig
from xformer.training.losses import Loss
from xformer.training.optimizer import AdamWithTables
from xformer.training.run import Recipe, train_run
from xformer.training.schedule import Span, learning_rate_factor
from xformer.training.tally import Tally
from xformer.training.task import Stage, Task

N_POINTS = 24


@dataclass(frozen=True)
class Settings:
    """Of a run."""

    training: TrainingConfig
    width: int = 8
    dropout: float = 0.1


@dataclass(frozen=True)
class Points:
    """A process's points of a step."""

    step: int
    points: Tensor
    label: Tensor
    n_tokens: int = N_POINTS

    def to(self, device: torch.device) -> Points:
        return replace(self, points=self.points.to(device), label=self.label.to(device))

    def digest(self, before: str) -> str:
        return f"{before[-20:]} {self.step}"

    def tensors(self) -> dict[str, Tensor]:
        return {"points": self.points, "label": self.label}


class ClassificationLoss(nn.Module):
    """Cross-entropy; each process's part of the mean over all points."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Points, stage: str) -> tuple[Tensor, dict[str, Loss]]:
        items = cross_entropy(self.model(batch.points), batch.label, reduction="none")
        loss = Loss(items.sum() / N_POINTS, items.detach(), batch.label.cpu().numpy())
        return loss.value, {"classification": loss}


class TinyClassifier(Task[Points]):
    """Two layers with dropout."""

    categories, max_grad_norm = ("negative", "positive"), 1.0

    def __init__(self, settings: Settings, rank: int, world: int) -> None:
        torch.manual_seed(settings.training.seed)
        width, self.rank, self.world = settings.width, rank, world
        layers = nn.Linear(2, width), nn.GELU(), nn.Dropout(settings.dropout), nn.Linear(width, 2)
        self.model = nn.Sequential(*layers)
        self.losses = ClassificationLoss(self.model)
        self.held_out = self._points(10**6, 0, 1)
        self.label = f"quadrants of seed {settings.training.seed}"

    def _points(self, step: int, rank: int, world: int) -> Points:
        points = torch.randn(N_POINTS, 2, generator=torch.Generator().manual_seed(step))[rank::world]
        return Points(step, points, (points.prod(dim=1) > 0).long())

    def batch(self, step: int, stage: str) -> Points:
        return self._points(step, self.rank, self.world)

    def stage(self, state: TrainingState, span: Span) -> Stage:
        progress = span.progress(state.step, state.elapsed)
        return Stage("all", {"all": learning_rate_factor(progress, warmup=0.05, decay=0.5, final=0.02)})

    def optimizer(self) -> AdamWithTables:
        return AdamWithTables([{"name": "all", "params": list(self.model.parameters()), "lr": 0.03}])

    def fingerprints(self) -> dict[str, str]:
        return {"labels": self.label}

    def tally(self, state: Mapping[str, tuple[float, ...]]) -> Tally[Points]:
        return Tally(state)


def train_classifier(path: Path, settings: Settings, progress: Progress) -> bool:
    """Train a run; a function of a module, so that `verify_resume` can call it in another process."""
    recipe = Recipe[Settings](
        "classification",
        task=lambda run, settings, processes, progress: TinyClassifier(
            settings, processes.rank, processes.world
        ),
    )
    return train_run(path, settings, recipe, progress)
