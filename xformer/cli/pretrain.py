"""`xformer pretrain`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

if TYPE_CHECKING:
    from xformer.run_config import RunConfig


@dataclass(frozen=True)
class Pretrain:
    """Train a multilingual encoder; the same command again resumes it.

    xformer pretrain runs/first --budget 10m

    xformer pretrain runs/mine --config mine.toml --set model.n_layers=6 data.corpus=corpora/mine
    """

    run: tyro.conf.Positional[Path]
    """Run directory: new, or one to go on with."""
    config: Path | None = None
    """TOML file of settings. What it leaves out keeps its default, or, in a run that exists, its value."""
    budget: str | None = None
    """Time to train for: 90s, 10m, 1.5h."""
    steps: int | None = None
    """Number of steps to train for, instead of a time."""
    set: tuple[str, ...] = ()
    """Single settings, as TABLE.KEY=VALUE with a TOML value: model.d_model=128 training.precision=bf16."""

    def run_config(self) -> RunConfig:
        """The settings: defaults, under the run's own or the file's, under the single ones."""
        from xformer.run_config import RunConfig
        from xformer.toml_config import overridden, read_toml

        run_file = self.run / "config.toml"
        source = self.config or (run_file if run_file.is_file() else None)
        table = read_toml(source) if source else {}
        changes = list(self.set)
        if self.budget is not None or self.steps is not None:
            # Quoted, since plain seconds would be read as a number.
            changes.append(f"training.budget={json.dumps(self.budget or 'none')}")
            changes.append(f"training.steps={'none' if self.steps is None else self.steps}")
        return overridden(table, changes, RunConfig, source=str(source or "--set"))

    def run_command(self) -> int:
        """Train; the exit status."""
        from xformer.progress import Progress
        from xformer.training.pretrain import pretrain

        config = self.run_config()
        with Progress() as progress:
            complete = pretrain(self.run, config, progress)
        return 0 if complete else 130
