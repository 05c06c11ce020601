"""The folder of a run: its paths, its settings, and the removal of temporary files."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar, overload

from xformer.errors import InputError
from xformer.runs.config import RunConfig
from xformer.runs.renamed_settings import read_settings, with_added
from xformer.storage.toml import from_table

Settings = TypeVar("Settings")


class _Inside:
    """A path of fixed name inside a run's folder."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, run: RunDirectory, kind: type[RunDirectory]) -> Path:
        return run.path / self._name


@dataclass(frozen=True)
class RunDirectory:
    """The folder of one run, and the paths in it.

    Attributes:
        path: the folder.
        lock: locked by the process that trains the run.
        task: the name of the task that made the run.
        origin: the run that this one was made out of, and what was changed; not every run has it.
        config: the settings of the run, resolved.
        corpus: the corpus, if the run imported it.
        manifest: the manifest of the corpus.
        checks: what was found about the corpus before training (`xformer.pretraining.checks`).
        tokenizer: the SentencePiece model.
        checkpoints: one folder for each checkpoint.
        metrics: the training log, one JSON object a line.
        tokenizer_folder: files of a tokenizer that is not ours, as they came with its model.
        original: other files of an imported model, as they came.
        left_weights: weights of an imported model that nothing is computed with, such as BERT's pooler.
        panel: the log of the panel's evaluations, one JSON object a line.
        events: TensorBoard's files.
        loss_plot: the loss curves.
        bad_batch: a batch whose loss or gradient was not finite.
        bag: the bag-of-subwords baseline.
        sentence_layer: the layer after which sentence vectors are taken, by checkpoint.
        evaluation: the last evaluation.
        evaluation_table: the same as a Markdown table.
        retrieval_plot: retrieval by language.
        space_plot: the map of the space.
        outside: evaluations on text from outside the run, three files each.
        alignment: how language-neutral the space is, layer by layer.
        alignment_plot: the same as charts, and a map of languages.
        labelled_data: what a fine-tuned run learned from and is tested on.
        calibration: the temperature of a fine-tuned run's best checkpoint.
        classification: scores of a run that was fine-tuned to classify, by language.
        classification_table: the same as Markdown tables.
        classification_plot: accuracy by language, and reliability.
        confusion_plot: confusion matrices.
        translated_data: what a translation run learned from and is tested on.
        dev_scores: chrF of the dev sample at each evaluation of a translation run.
        translation: scores of a translation run, by direction.
        translation_table: the same as a Markdown table.
        translations: test texts with their translations, one file of JSON lines a direction.
        summarization: scores of a summarizing run, by direction.
        summaries: test texts with their summaries, one file of JSON lines a direction.
        model_card: a description of the model for its users.
    """

    path: Path
    lock = _Inside("lock")
    task = _Inside("task.txt")
    origin = _Inside("origin.json")
    config = _Inside("config.toml")
    corpus = _Inside("corpus")
    manifest = _Inside("manifest.json")
    checks = _Inside("checks.json")
    tokenizer = _Inside("tokenizer.model")
    tokenizer_folder = _Inside("tokenizer")
    original = _Inside("huggingface")
    left_weights = _Inside("left.safetensors")
    checkpoints = _Inside("checkpoints")
    metrics = _Inside("metrics.jsonl")
    panel = _Inside("panel.jsonl")
    events = _Inside("tensorboard")
    loss_plot = _Inside("loss.png")
    bad_batch = _Inside("bad-batch.safetensors")
    bag = _Inside("baselines/bag.safetensors")
    sentence_layer = _Inside("sentence-layer.json")
    evaluation = _Inside("evaluation.json")
    evaluation_table = _Inside("evaluation.md")
    retrieval_plot = _Inside("retrieval.png")
    space_plot = _Inside("space.png")
    outside = _Inside("outside")
    alignment = _Inside("alignment.json")
    alignment_plot = _Inside("alignment.png")
    labelled_data = _Inside("data.json")
    calibration = _Inside("calibration.json")
    classification = _Inside("classification.json")
    classification_table = _Inside("classification.md")
    classification_plot = _Inside("classification.png")
    confusion_plot = _Inside("confusion.png")
    translated_data = _Inside("data.json")
    dev_scores = _Inside("dev-scores.json")
    translation = _Inside("translation.json")
    translation_table = _Inside("translation.md")
    translations = _Inside("translations")
    summarization = _Inside("summarization.json")
    summaries = _Inside("summaries")
    model_card = _Inside("README.md")

    def shards(self, split: str) -> Path:
        """Token shards of `train`, `dev` or `test`."""
        return self.path / "shards" / split

    def bad_part(self, rank: int, world: int) -> Path:
        """One process's part of `bad_batch`, where `world` processes share a step."""
        return self.path / f"bad-batch-{rank + 1:05d}-of-{world:05d}.safetensors"

    def is_new(self) -> bool:
        """Whether the folder is missing, empty, or has only files of a first call that was killed at once."""
        names = {path.name for path in self.path.iterdir()} if self.path.is_dir() else set()
        temporary = tuple(f".{path.name}." for path in (self.task, self.config))
        return all(name in (self.lock.name, self.task.name) or name.startswith(temporary) for name in names)

    def clear_leftovers(self) -> None:
        """Remove temporary files of a process that was killed. No other process may be using the run.

        Complete files get their names by renaming, so files with temporary names are incomplete.
        """
        paths = [
            self.task,
            self.config,
            self.corpus,
            self.manifest,
            self.checks,
            self.tokenizer,
            self.metrics,
            self.panel,
        ]
        paths += [self.bad_batch, self.loss_plot, *map(self.shards, ("train", "dev", "test"))]
        names = [(path.parent, re.escape(path.name)) for path in paths]
        parts = (self.path, r"bad-batch-\d{5}-of-\d{5}\.safetensors")
        for folder, name in (*names, parts, (self.checkpoints, r"step-\d{8,}")):
            # Only names with `tempfile`'s suffix: editors make hidden files, too.
            temporary = re.compile(rf"\.{name}\.([a-z0-9_]{{8}}(\.partial)?|removed)")
            for leftover in folder.iterdir() if folder.is_dir() else ():
                if not temporary.fullmatch(leftover.name):
                    continue
                if leftover.is_dir():
                    shutil.rmtree(leftover, ignore_errors=True)
                else:
                    leftover.unlink(missing_ok=True)

    def require_new_or_run(self) -> None:
        """Check that the folder is a run, is new or is empty.

        Raises:
            InputError: it is a file, or has files and no settings.
        """
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"{self.path}: expected the folder of a run, or a new name, found a file")
        if not self.config.is_file() and not self.is_new():
            raise InputError(f"{self.path}: expected a run or an empty folder, found other files")

    def read_config(self, kind: type[Any] = RunConfig) -> dict[str, Any]:
        """The tables of the settings file, unchecked.

        Args:
            kind: the dataclass of the settings.

        Raises:
            InputError: the file cannot be read, or it lacks tables and the run has data already, which may
                have been made with other settings than the defaults.
        """
        tables = read_settings(self.config)
        if kind is RunConfig and "source" in tables and "classifier" not in tables:
            raise InputError(
                f"{self.path}: expected a run of xformer pretrain, with a corpus, languages and settings of"
                " training; this one was imported, and has none"
            )
        missing = [f"[{table.name}]" for table in fields(kind) if table.name not in tables]
        if missing and (self.manifest.is_file() or self.corpus.is_dir()):
            raise InputError(
                f"{self.config}: expected the settings that this run began with, all of them; it has no"
                f" {', '.join(missing)}. Put the file back, or begin another run"
            )
        return with_added(tables)

    @overload
    def load_config(self) -> RunConfig: ...
    @overload
    def load_config(self, kind: type[Settings]) -> Settings: ...

    def load_config(self, kind: type[Any] = RunConfig) -> Any:
        """Read the settings.

        Args:
            kind: the dataclass of the settings.

        Raises:
            InputError: as `read_config`, or settings of pretraining are asked for and the run was fine-tuned.
        """
        tables = self.read_config(kind)
        if kind is RunConfig and "translation" in tables:
            does = "summarize" if tables["translation"].get("task") == "summarization" else "translate"
            raise InputError(
                f"{self.path}: expected a run of xformer pretrain; this run was trained to"
                f" {does}. `xformer {does} {self.path} --to LANGUAGE` uses it"
            )
        if kind is RunConfig and "classifier" in tables:
            use = "tag" if tables["classifier"].get("example") == "words" else "classify"
            raise InputError(
                f"{self.path}: expected a run of xformer pretrain; this run was fine-tuned from one. `xformer"
                f" {use} {self.path}` uses it, and its scores are in {self.classification_table.name}"
            )
        return from_table(tables, kind, source=str(self.config))
