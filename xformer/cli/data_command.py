"""`xformer data`: the group of commands about text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro

from xformer.cli.data import DataImport, DataShard, DataStats
from xformer.cli.fetch import DataFetch


@dataclass(frozen=True)
class Data:
    """Fetch public text, import it into a corpus, encode it for training, and show its statistics."""

    command: (
        Annotated[DataFetch, tyro.conf.subcommand("fetch")]
        | Annotated[DataImport, tyro.conf.subcommand("import")]
        | Annotated[DataShard, tyro.conf.subcommand("shard")]
        | Annotated[DataStats, tyro.conf.subcommand("stats")]
    )

    def run_command(self) -> int:
        """Run the subcommand and return the exit status."""
        return self.command.run_command()
