"""`xformer pretrain`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from xformer.errors import InputError, ReportedError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from xformer.pretraining.forecast.dry_run import Forecast
    from xformer.runs.config import RunConfig


_REFUSED = 2
"""Exit status after input that cannot be used."""

_QUIET = 0.7
"""Least share of the processor that a process has on a machine without other work."""


@dataclass(frozen=True)
class Pretrain:
    """Pretrain a multilingual encoder. The same command resumes a run that was interrupted.

    xformer pretrain runs/first --budget 10m

    xformer pretrain runs/mine --config mine.toml --set model.n_layers=6 data.corpus=corpora/mine

    xformer pretrain runs/mine --config mine.toml --dry-run
    """

    run: tyro.conf.Positional[Path]
    """Run directory: a new one, or that of a run to resume."""
    config: Path | None = None
    """TOML file of settings. A setting that is not in the file has its default, or the run's value if the run
    exists."""
    budget: str | None = None
    """Training time in all, that of earlier calls included: 90s, 10m, 1.5h. A run of 10m that is resumed with
    30m trains for 20 minutes more."""
    steps: int | None = None
    """Number of training steps in all, instead of a time; those of earlier calls count."""
    set: tuple[str, ...] = ()
    """Settings as TABLE.KEY=VALUE, with a TOML value: model.d_model=128 training.precision=bf16. One --set
    for all, or one for each."""
    dry_run: bool = False
    """Do not train. Print the parameters, memory, operations, tokens and time that training in one process
    takes. A few steps of each stage are measured: on the run's shards; if it has none, on a sample of its
    corpus; if the default corpus is not downloaded yet, on synthetic texts. The run folder is only read."""
    json: bool = False
    """With --dry-run: print one JSON object and nothing else on standard output."""

    def run_config(self) -> RunConfig:
        """The settings: `--set` overrides the file or the run, which override the defaults.

        Raises:
            InputError: a setting is unknown, has a value that it cannot have, or would do nothing.
        """
        from xformer.runs.config import RunConfig
        from xformer.runs.directory import RunDirectory
        from xformer.runs.duration import seconds
        from xformer.runs.effects import require_effect
        from xformer.runs.renamed_settings import read_settings, renamed
        from xformer.storage.toml import names_in, overridden

        if self.budget is not None and self.steps is not None:
            raise InputError("--budget, --steps: expected one of the two, got both")
        if self.steps is not None and self.steps < 1:
            raise InputError(f"--steps: expected a whole number from 1, got {self.steps}")
        if self.budget is not None:
            try:
                seconds(self.budget, "--budget")
            except ValueError as error:
                raise InputError(str(error)) from error
        run = RunDirectory(self.run)
        source = self.config or (run.config if run.config.is_file() else None)
        table = read_settings(self.config) if self.config else run.read_config() if source else {}
        changes = renamed(self.set)
        given = dict.fromkeys(names_in(table), str(self.config)) if self.config else {}
        given |= dict.fromkeys((change.partition("=")[0] for change in changes), "--set")
        if self.budget is not None or self.steps is not None:
            # Quoted, because TOML reads plain seconds as a number.
            changes.append(f"training.budget={json.dumps(self.budget or 'none')}")
            changes.append(f"training.steps={'none' if self.steps is None else self.steps}")
        config = overridden(table, changes, RunConfig, source=str(source or "--set"))
        require_effect(config, given, run.load_config() if run.config.is_file() else None)
        return config

    def run_command(self) -> int:
        """Train or forecast, and return the exit status."""
        from xformer.distributed.launch import Launch

        try:
            if Launch.of_environment().world > 1:
                return self._run_together()
            config = self._checked()
            if self.dry_run:
                return self._forecast(config)
            status = self._train(config)
            if not status:
                self._choose_layer()
                self._advise()
            return status
        except ReportedError:
            return _REFUSED

    def _run_together(self) -> int:
        """Train as one of many processes; only one of them reports an error in the arguments."""
        try:
            if self.dry_run:
                raise InputError("--dry-run: forecasts training in one process; call it without torchrun")
            config = self._checked()
        except InputError as error:
            from xformer.distributed.processes import process_group
            from xformer.progress import Progress

            with process_group() as processes, processes.report_once(Progress().say):
                raise error
        return self._train(config)

    def _checked(self) -> RunConfig:
        if self.json and not self.dry_run:
            raise InputError("--json: expected --dry-run as well; training prints no JSON")
        return self.run_config()

    def _train(self, config: RunConfig) -> int:
        from xformer.evaluation.panel import make_panel
        from xformer.pretraining.pretrain import pretrain
        from xformer.progress import Progress

        with Progress() as progress:
            complete = pretrain(self.run, config, progress, make_callback=make_panel)
        return 0 if complete else 130

    def _choose_layer(self) -> None:
        """Measure after which layer the run's sentence vectors are best, and write it into the run."""
        from xformer.evaluation.sentence_layer import settle_sentence_layer
        from xformer.progress import Progress

        with Progress() as progress:
            try:
                choice = settle_sentence_layer(self.run, progress)
            except InputError as error:
                progress.say(f"no choice of the layer for sentence vectors: {error}")
                return
            if scores := choice.dev_top1_by_layer:
                shown = ", ".join(f"{score:.3f}" for score in scores)
                progress.say(
                    f"sentence vectors: taken after {choice.layer} of {len(scores) - 1} blocks, where the dev"
                    f" split retrieves best: {shown} after 0, 1, … blocks"
                )
            progress.say(f"use it in Python: xformer.load({str(self.run)!r}).encode(texts)")

    def _advise(self) -> None:
        """Say whether the complete run is below its baselines, and what would help."""
        from xformer.evaluation.run_advice import closing_advice
        from xformer.progress import Progress

        with Progress() as progress:
            try:
                advice = closing_advice(self.run)
            except InputError as error:
                progress.say(f"no comparison with a unigram model: {error}")
                return
            for line in advice.lines() if advice is not None else ():
                progress.say(line)

    def _forecast(self, config: RunConfig) -> int:
        """Print the forecast of a run, and return the exit status."""
        from rich.console import Console

        from xformer.evaluation.panel import make_panel
        from xformer.pretraining.forecast.dry_run import forecast
        from xformer.progress import Progress
        from xformer.runs.directory import RunDirectory
        from xformer.training.schedule import Span

        with Progress() as progress:
            found = forecast(RunDirectory(self.run), config, progress, make_panel=make_panel)
        if self.json:
            print(found.to_json())
        else:
            left = Span.of(config.training).account(found.trained_steps, found.trained_seconds)
            Console().print(_table(found, left))
        return 0


def _table(found: Forecast, left: str) -> RenderableType:
    from rich.table import Table

    from xformer.data.languages import named
    from xformer.progress import duration

    threads = "1 thread" if found.threads == 1 else f"{found.threads} threads"
    table = Table(title=f"{found.device}, {threads}, {found.precision}", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("measured on", found.data)
    if found.checks is not None:
        table.add_row("pivot", named(found.checks.pivot))
        for split, messages in found.checks.messages.items():
            table.add_row(f"messages to compare on {split}", f"{messages:,}")
    if found.processor_share is not None and found.processor_share < _QUIET:
        share = f"this process had {found.processor_share:.0%} of the processor time"
        table.add_row("the machine", f"is busy: {share}; the times are valid while that lasts")
    table.add_section()
    table.add_row("vocabulary", f"{found.vocabulary:,} pieces")
    table.add_row("parameters", f"{sum(found.parameters.values()):,}")
    for part, count in found.parameters.items():
        if count:
            table.add_row(f"  {part}", f"{count:,}")
    table.add_section()
    for what, size in found.weight_bytes.items():
        table.add_row(f"{what}", _bytes(size))
    table.add_row("activations, at most", _bytes(found.activation_bytes))
    if found.process_bytes is not None:
        table.add_row("memory while training, measured", _bytes(found.process_bytes))
    table.add_row("a checkpoint on disk", _bytes(found.checkpoint_bytes))
    for stage in found.stages:
        table.add_section()
        table.add_row(f"{stage.name} stage, steps", f"{stage.steps:,}")
        table.add_row("  a step", f"{1e3 * stage.seconds_per_step:,.1f} ms, {stage.measured_steps} measured")
        table.add_row("  tokens a step", f"{stage.tokens_per_step:,.0f}")
        table.add_row("  operations a step", f"{stage.flops_per_step:.3g}")
        table.add_row("  time", duration(stage.seconds))
    table.add_section()
    table.add_row("steps", f"{found.steps:,}")
    table.add_row("tokens", f"{found.tokens:,}")
    table.add_row("tokens/s", f"{found.tokens / found.seconds:,.0f}")
    table.add_row("operations", f"{found.flops:.3g}, {found.flops_per_second / 1e9:,.1f} billion/s")
    table.add_row("time of training", duration(found.seconds))
    if found.trained_steps:
        table.add_row("of the run", left)
    beside = f"{found.checkpoints} checkpoints" if found.checkpoints > 1 else "the checkpoint"
    panel = f"{found.panel_evaluations} panel evaluation{'s' if found.panel_evaluations > 1 else ''}"
    if found.panel_seconds is not None:
        beside += f" and {panel}"
    table.add_row(f"with {beside}", duration(found.wall_seconds))
    if found.panel_evaluations and found.panel_seconds is None:
        table.add_row(f"not counted: {panel}", "can be measured once the run has shards")
    return table


def _bytes(size: int) -> str:
    for unit, power in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if size >= 10 << power:
            return f"{size / 2**power:,.0f} {unit}"
    return f"{size:,} bytes"
