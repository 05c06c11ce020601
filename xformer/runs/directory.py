"""Where everything of a run lies."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar, overload

from xformer.errors import InputError
from xformer.runs.config import RunConfig
from xformer.runs.renamed_settings import read_settings
from xformer.storage.toml import from_table

Settings = TypeVar("Settings")


@dataclass(frozen=True)
class RunDirectory:
    """The folder of one run.

    Attributes:
        path: the folder.
    """

    path: Path

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> RunDirectory:
        """The run that lies at `path`.

        Raises:
            InputError: there is none.
        """
        run = cls(Path(path))
        if not run.config.is_file():
            raise InputError(
                f"{path}: expected a run made by `xformer pretrain`, but it has no {run.config.name}"
            )
        return run

    @property
    def lock(self) -> Path:
        """Held by the process that trains the run."""
        return self.path / "lock"

    @property
    def config(self) -> Path:
        """The resolved settings."""
        return self.path / "config.toml"

    @property
    def corpus(self) -> Path:
        """The corpus, if the run made its own."""
        return self.path / "corpus"

    @property
    def manifest(self) -> Path:
        """What the corpus is made of."""
        return self.path / "manifest.json"

    @property
    def tokenizer(self) -> Path:
        """The SentencePiece model."""
        return self.path / "tokenizer.model"

    def shards(self, split: str) -> Path:
        """Token shards of `train`, `dev` or `test`."""
        return self.path / "shards" / split

    @property
    def checkpoints(self) -> Path:
        """One folder a checkpoint."""
        return self.path / "checkpoints"

    @property
    def metrics(self) -> Path:
        """One JSON object a line."""
        return self.path / "metrics.jsonl"

    @property
    def panel(self) -> Path:
        """What the live panel saw, one JSON object a line."""
        return self.path / "panel.jsonl"

    @property
    def events(self) -> Path:
        """TensorBoard's files."""
        return self.path / "tensorboard"

    @property
    def loss_plot(self) -> Path:
        """The loss curves."""
        return self.path / "loss.png"

    @property
    def bad_batch(self) -> Path:
        """The batch whose loss was not finite."""
        return self.path / "bad-batch.safetensors"

    def bad_part(self, rank: int, world: int) -> Path:
        """One process's part of it, of many."""
        return self.path / f"bad-batch-{rank + 1:05d}-of-{world:05d}.safetensors"

    @property
    def bag(self) -> Path:
        """The bag-of-subwords baseline."""
        return self.path / "baselines" / "bag.safetensors"

    @property
    def evaluation(self) -> Path:
        """The last evaluation."""
        return self.path / "evaluation.json"

    @property
    def evaluation_table(self) -> Path:
        """The same as a Markdown table."""
        return self.path / "evaluation.md"

    @property
    def retrieval_plot(self) -> Path:
        """Retrieval per language."""
        return self.path / "retrieval.png"

    @property
    def model_card(self) -> Path:
        """What this model is, for whoever gets it."""
        return self.path / "README.md"

    def is_new(self) -> bool:
        """Whether nothing is there: no folder, an empty one, or one where a first call was killed at once."""
        names = {path.name for path in self.path.iterdir()} if self.path.is_dir() else set()
        return all(name == self.lock.name or name.startswith(f".{self.config.name}.") for name in names)

    def clear_leftovers(self) -> None:
        """Remove what a process that was killed had begun to make. Nobody else may be at work on the run.

        Whole things appear by being renamed, so what has a temporary name is half a thing.
        """
        begun = (self.config, self.corpus, self.manifest, self.tokenizer, self.metrics, self.panel)
        splits = [self.shards(split) for split in ("train", "dev", "test")]
        made = (*begun, self.bad_batch, self.loss_plot, *splits)
        names = [(path.parent, re.escape(path.name)) for path in made]
        parts = (self.path, r"bad-batch-\d{5}-of-\d{5}\.safetensors")
        for folder, name in (*names, parts, (self.checkpoints, r"step-\d{8,}")):
            # With the letters that `tempfile` puts after it, and nothing else: editors hide files, too.
            temporary = re.compile(rf"\.{name}\.([a-z0-9_]{{8}}(\.partial)?|removed)")
            for leftover in folder.iterdir() if folder.is_dir() else ():
                if not temporary.fullmatch(leftover.name):
                    continue
                if leftover.is_dir():
                    shutil.rmtree(leftover, ignore_errors=True)
                else:
                    leftover.unlink(missing_ok=True)

    def require_new_or_run(self) -> None:
        """Refuse a folder of something else.

        Raises:
            InputError: it is a file, or has files and no settings.
        """
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"{self.path}: expected the folder of a run, or a new name, found a file")
        if not self.config.is_file() and not self.is_new():
            raise InputError(f"{self.path}: expected a run or an empty folder, found other files")

    def read_config(self, kind: type[Any] = RunConfig) -> dict[str, Any]:
        """The tables of its settings, as they stand there.

        Args:
            kind: the dataclass of its settings.

        Raises:
            InputError: they cannot be read, or tables are missing in a run that has made something by them:
                defaults are not what it was made with.
        """
        tables = read_settings(self.config)
        missing = [f"[{table.name}]" for table in fields(kind) if table.name not in tables]
        if missing and (self.manifest.is_file() or self.corpus.is_dir()):
            raise InputError(
                f"{self.config}: expected the settings that this run began with, all of them; it has no"
                f" {', '.join(missing)}. Put the file back, or begin another run"
            )
        return tables

    @overload
    def load_config(self) -> RunConfig: ...
    @overload
    def load_config(self, kind: type[Settings]) -> Settings: ...

    def load_config(self, kind: type[Any] = RunConfig) -> Any:
        """Read the settings back.

        Args:
            kind: the dataclass of its settings.

        Raises:
            InputError: as `read_config`.
        """
        return from_table(self.read_config(kind), kind, source=str(self.config))
