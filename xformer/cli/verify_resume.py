"""`xformer verify-resume`."""

from __future__ import annotations

import json
import tempfile
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xformer.progress import Progress
    from xformer.runs.config import RunConfig
    from xformer.training.verify_resume.fault_plan import Fault
    from xformer.training.verify_resume.verify import Verdict

_UNPROVEN = 3
"""Exit status if nothing differs, but fewer stops happened than were asked for."""


@dataclass(frozen=True)
class VerifyResume:
    """Check on this machine that a run which was stopped and resumed gives the same bits as one that was not.

    A small run is trained twice: once without stopping, and once with stops at random instants, some of them
    while a checkpoint is written, and a resume after each. Weights, optimizer, data order, learning rates and
    metrics must agree in every bit. Exit status: 0 they agree; 1 they differ; 3 they agree, but the runs were
    too short: fewer stops happened than were asked for, or none while a checkpoint was written.

    xformer verify-resume

    xformer verify-resume --config mine.toml --steps 40 --kills 6

    A run of xformer finetune: xformer verify-resume --finetune --steps 40 --kills 6, or with --translate
    """

    config: Path | None = None
    """TOML file of settings. Left out: a tiny model on synthetic sentences; nothing is downloaded."""
    finetune: bool = False
    """Check a run that fine-tunes a tiny encoder on synthetic sentences in classes."""
    translate: bool = False
    """Check a run that trains a tiny translator on synthetic sentences."""
    steps: int | None = None
    """Length of the runs. Left out: the steps of the settings, or 60."""
    kills: int = 12
    """Number of times to stop the second run."""
    seed: int = 0
    """Seed of the random instants."""
    out: Path | None = None
    """A new folder for both runs. Left out: they are removed at the end."""
    json: bool = False
    """Print one JSON object instead of a table."""

    def run_command(self) -> int:
        """Train both runs, compare them, and return the exit status."""
        from xformer.errors import InputError
        from xformer.progress import Progress
        from xformer.storage.outputs import check_output_folder
        from xformer.training.verify_resume.fault_plan import plan_faults

        if self.kills < 1 or (self.steps is not None and self.steps < 1):
            raise InputError("--kills, --steps: expected whole numbers from 1")
        if (self.finetune or self.translate) and self.config is not None:
            others = "without --finetune and --translate"
            raise InputError(f"--config: expected {others}; its settings are those of pretraining")
        if self.finetune and self.translate:
            raise InputError("--finetune, --translate: expected one of them")
        mine = None if self.config is None else _settings(self.config)
        if self.out is not None:
            check_output_folder(self.out)
            if self.out.is_dir() and any(self.out.iterdir()):
                raise InputError(f"{self.out}: already has files; expected a new or an empty folder")
            self.out.mkdir(parents=True, exist_ok=True)
        folder = nullcontext(self.out) if self.out is not None else tempfile.TemporaryDirectory()
        with folder as place, Progress() as progress:
            verdict = self._verdict(Path(place), mine, plan_faults(self.kills, self.seed), progress)
        self._show(verdict)
        if verdict.proven:
            return 0
        return _UNPROVEN if verdict.same else 1

    def _verdict(
        self, folder: Path, mine: RunConfig | None, faults: Sequence[Fault], progress: Progress
    ) -> Verdict:
        from xformer.pretraining.pretrain import pretrain
        from xformer.pretraining.synthetic_data import synthetic_config, synthetic_corpus
        from xformer.training.verify_resume.verify import verify_resume

        # On matrices as small as the synthetic ones more threads are slower than one.
        if self.finetune:
            from xformer.finetuning.synthetic import finetune_synthetic, synthetic_finetuning

            settings = synthetic_finetuning(folder, self.steps or 60, progress)
            return verify_resume(folder, settings, finetune_synthetic, faults, progress, threads=1)
        if self.translate:
            from xformer.translation.synthetic import synthetic_translation, translate_synthetic

            found = synthetic_translation(folder / "none", self.steps or 60)
            return verify_resume(folder, found, translate_synthetic, faults, progress, threads=1)
        if mine is None:
            config = synthetic_config(synthetic_corpus(folder / "corpus"), self.steps or 60)
            return verify_resume(folder, config, pretrain, faults, progress, threads=1)
        steps = self.steps or mine.training.steps or 60
        config = replace(mine, training=replace(mine.training, budget=None, steps=steps))
        return verify_resume(folder, config, pretrain, faults, progress)

    def _show(self, verdict: Verdict) -> None:
        if self.json:
            found = {name: getattr(verdict, name) for name in ("same", "proven", "half_written")}
            found |= asdict(verdict)
            print(json.dumps(found | {"struck": found.pop("injected")}))
            return
        from rich.console import Console
        from rich.table import Table

        table = Table("compared", "how much", "differences")
        for row in verdict.rows:
            shown = ", ".join(row.differences[:3]) + (" …" if len(row.differences) > 3 else "")
            table.add_row(row.what, row.compared, shown or "none")
        console = Console()
        console.print(table)
        kinds = {"preparing": "while preparing", "training": "in the middle of steps"}
        kinds |= {"checkpoint": "while a checkpoint was due", "asked": "asked to stop (SIGTERM)"}
        counts = {kind: sum(fault.kind == kind for fault in verdict.injected) for kind in kinds}
        faults = ", ".join(f"{count} {kinds[kind]}" for kind, count in counts.items() if count)
        console.print(
            f"{verdict.steps:,} steps, stopped {len(verdict.injected)} times: {faults};"
            f" {verdict.half_written} left a half-written checkpoint. {verdict.seconds:.0f} s.",
            highlight=False,
            soft_wrap=True,
        )
        if verdict.same and not verdict.proven:
            came, planned = len(verdict.injected), len(verdict.injected) + verdict.missed
            said = f"not proven: {came} of {planned} stops happened, {verdict.half_written} in a checkpoint"
            console.print(f"{said}; --steps makes runs longer", style="bold", highlight=False, soft_wrap=True)
        else:
            console.print("the same in every bit" if verdict.same else "NOT the same", style="bold")


def _settings(path: Path) -> RunConfig:
    """The settings of a TOML file, all of which have an effect."""
    from xformer.runs.config import RunConfig
    from xformer.runs.effects import require_effect
    from xformer.runs.renamed_settings import read_settings
    from xformer.storage.toml import from_table, names_in

    table = read_settings(path)
    found = from_table(table, RunConfig, source=str(path))
    require_effect(found, dict.fromkeys(names_in(table), str(path)))
    return found
