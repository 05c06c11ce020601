"""The command `xformer bench attention-interface`. Torch is imported only when it runs."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from xformer.errors import InputError

from . import Kind

if TYPE_CHECKING:
    from rich.table import Table

    from .measure import Result


@dataclass(frozen=True)
class AttentionInterfaceBench:
    """Speed of transformers' BERT and ModernBERT with our attention beside their sdpa, on real texts, in
    turns. Wrong hidden states are not timed. Exit status 1: they were wrong.

    xformer bench attention-interface --run runs/demo --quick

    xformer bench attention-interface --text sentences.txt --batch 64
    """

    run: Path | None = None
    """A run, whose held-out texts and tokenizer are used. It is not changed."""
    text: Path | None = None
    """Instead of --run: a file with a text a line."""
    tokenizer: Path | None = None
    """With --text: a tokenizer; without it, one is trained on the lines."""
    model: tyro.conf.UseAppendAction[tuple[Kind, ...]] = ()
    """Only this model; may be repeated. By default both."""
    quick: bool = False
    """A rough answer in about a minute: 128 texts, three rounds."""
    texts: int | None = None
    """How many texts; by default 512."""
    batch: int = 32
    """Texts in a batch."""
    rounds: int | None = None
    """Passes of each side; by default 7."""
    threads: int = 1
    """Number of threads."""
    json: bool = False
    """Print one JSON object a line instead of a table."""

    def run_command(self) -> int:
        """Measure; the exit status."""
        if (self.run is None) == (self.text is None):
            given = "neither" if self.run is None else "both"
            raise InputError(f"bench attention-interface: expected --run RUN or --text FILE, got {given}")
        if self.tokenizer is not None and self.text is None:
            raise InputError("--tokenizer: expected with --text; a run has its own")
        count = self.texts if self.texts is not None else 128 if self.quick else 512
        rounds = self.rounds if self.rounds is not None else 3 if self.quick else 7
        numbers = {"texts": count, "batch": self.batch, "rounds": rounds, "threads": self.threads}
        for name, value in numbers.items():
            if value < 1:
                raise InputError(f"--{name}: expected a whole number from 1, got {value}")
        import torch
        from rich.console import Console

        from xformer.progress import Progress

        from ..encode.texts import texts_of_file, texts_of_run
        from .measure import measure

        torch.set_num_threads(self.threads)
        found: list[Result] = []
        with Progress() as progress:
            progress.say("read texts")
            if self.run is not None:
                texts, tokenizer = texts_of_run(self.run, count)
            else:
                assert self.text is not None
                texts, tokenizer = texts_of_file(self.text, count, self.tokenizer)
            ids = [row[:512] for row in tokenizer.encode_batch(texts)]
            for kind in self.model or ("bert", "modernbert"):
                for backward in (False, True):
                    one = measure(
                        kind, ids, tokenizer.vocab_size, self.batch, rounds, backward=backward,
                        progress=progress,
                    )  # fmt: skip
                    found += one
                    if self.json:
                        sys.stdout.write("".join(json.dumps(asdict(result)) + "\n" for result in one))
                        sys.stdout.flush()
        if not self.json:
            Console().print(_table(found))
        return int(not all(one.right for one in found))


def _table(found: list[Result]) -> Table:
    """One row for each model, direction and way."""
    import statistics

    from rich.table import Table

    first = found[0]
    title = f"{first.texts:,} texts, {first.tokens:,} tokens, {first.filled:.0%} of padded batches"
    table = Table("model", "direction", "attention", "tokens/s", "× sdpa", "largest error", title=title)
    for one in found:
        speed = f"{one.tokens / statistics.median(one.cpu_seconds):,.0f}" if one.cpu_seconds else "wrong"
        ratio = "" if one.ratio is None else f"{one.ratio:.2f}"
        table.add_row(one.model, one.direction, one.way, speed, ratio, f"{one.error:.1e}")
    return table
