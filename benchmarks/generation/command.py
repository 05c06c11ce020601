"""The command `xformer bench generation`. Torch is imported only when it runs."""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from xformer.errors import InputError

from . import SMALLEST_VOCABULARY, Ends, ShapeName

if TYPE_CHECKING:
    from .bench import Options, Result


@dataclass(frozen=True)
class GenerationBench:
    """Target tokens per second beside Hugging Face's `generate` and CTranslate2, with the same weights, in
    turns. Other targets are not timed. Exit status 1: a side of ours failed, or its cache is not as large as
    the formula says.

    xformer bench generation --quick

    xformer bench generation --ends ragged --ct2-python ct2/bin/python
    """

    quick: bool = False
    """A look in a minute: a tiny model, one thread, a few tokens."""
    vocab: int = 32_000
    """Tokens of the vocabulary."""
    sources: int = 32
    """Texts, which are one batch."""
    length: int = 24
    """Greatest length of a target, in tokens."""
    ends: Ends = "never"
    """Whether targets end before: never, or at half of the greatest length on average."""
    beam: tuple[int, ...] = (1, 4)
    """Widths of the beam; 1 is greedy search."""
    threads: tuple[int, ...] = ()
    """Numbers of threads; by default 1 and 2."""
    rounds: int | None = None
    """Passes of each side; by default 5, or 2 with --quick."""
    ct2_python: Path | None = None
    """Python of an environment with `xformer[bench-generation]`; by default this one."""
    out: Path = Path("benchmarks/results/generation.jsonl")
    """File that the records are added to, one JSON object a line."""
    json: bool = False
    """Print one JSON object a line instead of a table."""

    def run_command(self) -> int:
        """Measure; the exit status."""
        from rich.console import Console

        from xformer.progress import Progress
        from xformer.storage.files import try_to_write

        self._check()
        from ..environment import environment, version
        from ..lines import append_lines
        from .bench import notes, run, table, to_json

        try_to_write(self.out)
        options = self._options()
        asked = {name: value for name, value in asdict(options).items() if name != "ct2_python"}
        import torch

        packages = {name: version(name) for name in ("transformers", "ctranslate2")}
        about = {
            "options": asked, "environment": asdict(environment(torch.device("cpu"))), "packages": packages,
        }  # fmt: skip

        def keep(one: Result) -> None:
            line = json.dumps(to_json(one, about))
            append_lines(self.out, [line])
            if self.json:
                sys.stdout.write(line + "\n")
                sys.stdout.flush()

        with Progress() as progress, tempfile.TemporaryDirectory() as folder:
            results = run(options, Path(folder), progress, keep)
        if not self.json:
            console = Console()
            console.print(table(results))
            for line in [*notes(results), f"Records added to {self.out}"]:
                console.print(line, highlight=False, markup=False, soft_wrap=True)
        return int(any(one.failed for one in results))

    def _check(self) -> None:
        if self.vocab < SMALLEST_VOCABULARY:
            raise InputError(f"--vocab: expected at least {SMALLEST_VOCABULARY} tokens, got {self.vocab}")
        numbers = (
            ("sources", (self.sources,)), ("length", (self.length,)), ("beam", self.beam),
            ("threads", self.threads), ("rounds", (self.rounds,)),
        )  # fmt: skip
        for name, values in numbers:
            if bad := [value for value in values if value is not None and value < 1]:
                raise InputError(f"--{name}: expected a whole number from 1, got {bad[0]}")
        if self.ct2_python is not None and not self.ct2_python.is_file():
            raise InputError(f"--ct2-python: expected a Python, there is no {self.ct2_python}")

    def _options(self) -> Options:
        from .bench import Options
        from .model import Job

        length = min(self.length, 8) if self.quick else self.length
        shape: ShapeName = "tiny" if self.quick else "marian"
        return Options(
            job=Job(shape, self.vocab, self.sources, length, self.ends),
            beams=self.beam,
            threads=self.threads or ((1,) if self.quick else (1, 2)),
            rounds=self.rounds or (2 if self.quick else 5),
            ct2_python=str(self.ct2_python or sys.executable),
        )
