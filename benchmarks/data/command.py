"""The command `xformer bench data`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from .bench import Compared, Side


@dataclass(frozen=True)
class DataBench:
    """Import and decontamination by this tree and by another revision, in turns: texts per second and peak
    memory. The texts are those of a corpus; its dev and test splits are the test set. Exit status 1: import
    is not 3 times, decontamination not 10 times as fast as the base, or one takes more memory.

    xformer bench data corpora/mine --base d83179d

    xformer bench data runs/demo/corpus --texts 100000 --rounds 3 --json
    """

    corpus: tyro.conf.Positional[Path]
    """A corpus, as `xformer data import` makes it. It is not changed."""
    base: str = "d83179d"
    """A revision of this checkout, or the folder of another one. d83179d needs the package cattrs, too."""
    texts: int | None = None
    """Only the first texts; left out: all of the training split."""
    rounds: int = 2
    """Measurements of each side."""
    out: Path = Path("benchmarks/results/data.json")
    """File of the record."""
    json: bool = False
    """Print one JSON object instead of a table."""

    def run_command(self) -> int:
        """Measure; the exit status."""
        from rich.console import Console

        import xformer
        from xformer.data.corpus import open_corpus
        from xformer.errors import InputError
        from xformer.progress import Progress

        from ..kept import begin_record, write_record
        from ..kernels.base import tree_of
        from .bench import compare, measure_all

        for name in ("rounds", "texts"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise InputError(f"--{name}: expected at least 1, got {value}")
        splits = open_corpus(self.corpus).manifest.splits
        texts = min(self.texts or sys.maxsize, splits["train"].total.records)
        machine = begin_record(self.out)
        here = Path(xformer.__file__).resolve().parents[1]
        measured = []
        with Progress() as progress, tree_of(self.base, here) as folder:
            trees: dict[Side, Path] = {"base": folder, "here": here}
            for one in measure_all(trees, self.corpus, texts, rounds=self.rounds, progress=progress):
                measured.append(one)
                progress.say(
                    f"{one.work}, {one.side}: {one.seconds:.1f} s ({one.cpu_seconds:.1f} of the processor),"
                    f" {one.peak_mib:,.0f} MiB"
                )
        found = compare(measured, texts)
        record = {
            "base": self.base,
            "texts": texts,
            "test_texts": sum(splits[name].total.records for name in ("dev", "test")),
            "languages": len(splits["train"].languages),
            "compared": [asdict(one) | {"met": one.met} for one in found],
            "measured": [asdict(one) for one in measured],
            **machine,
        }
        write_record(self.out, record)
        if self.json:
            sys.stdout.write(json.dumps(record) + "\n")
        else:
            console = Console()
            console.print(comparison_table(found, self.base, texts))
            console.print(str(self.out), highlight=False, markup=False, soft_wrap=True)
        return int(not all(one.met for one in found))


def comparison_table(found: Sequence[Compared], base: str, texts: int) -> Table:
    """What was compared; as wide as a terminal of 80 columns at most."""
    from rich.table import Table

    title = f"texts per second, of {texts:,} texts"
    table = Table("work", title=title, title_justify="left", box=None, pad_edge=False)
    for column in (base, "here", "ratio", "of the\nprocessor", "wanted", "MiB\nbefore", "MiB\nhere", ""):
        table.add_column(column, justify="right", vertical="bottom", no_wrap=True)
    for one in found:
        table.add_row(
            one.work,
            *(f"{rate:,.0f}" for rate in (one.base, one.here)),
            *(f"{ratio:.1f}" for ratio in (one.ratio, one.cpu_ratio, one.wanted)),
            *(f"{mib:,.0f}" for mib in (one.base_mib, one.here_mib)),
            "met" if one.met else "missed",
        )
    return table
