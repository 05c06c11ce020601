"""The command `xformer bench training`. Torch is imported only when it runs."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from xformer.errors import InputError
from xformer.threads import set_wait_policy

from . import TrainerName

if TYPE_CHECKING:
    from xformer.runs.config import RunConfig

    from .bench import Options
    from .result import Outcome


@dataclass(frozen=True)
class TrainingBench:
    """Time to quality: Hugging Face's BERT (padded, and over blocks), sentence-transformers and xformer learn
    from the same text for the same time, one after another. Exit status 1: an installed trainer failed.

    xformer bench training --quick

    xformer bench training --corpus ../shared/data/debian --budget 20m --json
    """

    quick: bool = False
    """A rough answer in five minutes, after the text is prepared."""
    corpus: str | None = None
    """`gettext`; a corpus made by `xformer data import`; or a folder of documents, SPLIT.LANG.jsonl.gz."""
    run: Path | None = None
    """Instead of --corpus: a run directory, whose tokenizer and shards are used. It is not changed."""
    config: Path | None = None
    """TOML file with the settings of xformer's run. All trainers use its size of model and seed."""
    set: tuple[str, ...] = ()
    """Single settings, as for `xformer pretrain`."""
    budget: str | None = None
    """Training time of each trainer, such as 90s or 10m; by default 10m, or 30s with --quick."""
    trainer: tuple[TrainerName, ...] = ()
    """Only these trainers."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Device of all trainers; `auto` is a GPU if there is one."""
    threads: int | None = None
    """CPU threads; by default PyTorch's own choice, from which xformer chooses while it trains."""
    company: int = 0
    """Number of busy processes beside each trainer: a loop in Python each, niced to 19."""
    out: Path = Path("runs/bench/training")
    """Folder for training.json and training.png."""
    json: bool = False
    """Print one JSON object instead of tables."""

    def run_command(self) -> int:
        """Measure; the exit status."""
        from rich.console import Console

        from xformer.progress import Progress
        from xformer.storage.outputs import check_output_folder

        from ..kept import begin_record, write_record
        from .bench import run_all
        from .prepared import prepared
        from .report import draw, headline_table, notes, trainers_table

        if self.corpus is not None and self.run is not None:
            raise InputError(f"--run: expected either this or --corpus, got both: {self.corpus}")
        options, settings = self._options(), self._settings()
        record = self.out / "training.json"
        check_output_folder(self.out)
        machine = begin_record(record, options.device)

        def keep(outcome: Outcome) -> None:
            """Write the record after each trainer, so that an interrupted run keeps it."""
            write_record(record, outcome.to_json())

        progress = Progress()
        with progress:
            run, settings = prepared(settings, self.corpus, self.run, progress)
        outcome = run_all(run, settings, options, machine, progress, keep)
        keep(outcome)
        picture = draw(outcome, self.out / "training.png")
        if self.json:
            sys.stdout.write(json.dumps(outcome.to_json()) + "\n")
        else:
            console = Console()
            console.print(trainers_table(outcome))
            console.print(headline_table(outcome))
            for line in notes(outcome):
                console.print(line, highlight=False, markup=False)
            made = [str(path) for path in (record, picture) if path is not None]
            console.print("\n".join(made), highlight=False, markup=False, soft_wrap=True)
        return int(any(one.status == "failed" for one in outcome.trained.values()))

    def _options(self) -> Options:
        import torch

        from xformer.runs.duration import seconds

        from .bench import Options

        here: Literal["cpu", "cuda"] = "cuda" if torch.cuda.is_available() else "cpu"
        if self.device == "cuda" and here == "cpu":
            raise InputError("--device: expected cpu or auto, since torch sees no GPU here; got cuda")
        changes: dict[str, Any] = {
            "device": here if self.device == "auto" else self.device,
            "budget": None if self.budget is None else seconds(self.budget, "--budget"),
            "trainers": self.trainer or None,
            "threads": self.threads,
            "company": self.company,
        }
        given = {name: value for name, value in changes.items() if value is not None}
        try:
            return replace(Options.quick() if self.quick else Options(), **given)
        except ValueError as error:
            raise InputError(f"--{error}") from error

    def _settings(self) -> RunConfig:
        from xformer.runs.config import RunConfig
        from xformer.runs.effects import require_effect
        from xformer.runs.find import find_run
        from xformer.runs.renamed_settings import read_settings, renamed
        from xformer.storage.toml import names_in, overridden

        table = read_settings(self.config) if self.config else {}
        changes = renamed(self.set)
        given = dict.fromkeys(names_in(table), str(self.config))
        given |= dict.fromkeys((change.partition("=")[0] for change in changes), "--set")
        of_run = None
        if self.run is not None:
            from .prepared import tables_of

            of_run = find_run(self.run).load_config()
            theirs = tables_of(self.run)
            model = theirs.pop("model") | table.get("model", {})
            table = table | theirs | {"model": model}
        config = overridden(table, changes, RunConfig, source=str(self.config or "--set"))
        corpus = config.data.corpus if self.corpus is None else self.corpus
        require_effect(replace(config, data=replace(config.data, corpus=corpus)), given, of_run)
        return config


def main() -> None:
    """`python -m benchmarks.training`: parse, run, and exit with the status."""
    command = tyro.cli(
        TrainingBench,
        prog="python -m benchmarks.training",
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff),
    )
    set_wait_policy()
    try:
        sys.exit(command.run_command())
    except InputError as error:
        sys.stderr.write(f"xformer: {error}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.stderr.write("xformer: interrupted\n")
        sys.exit(130)
