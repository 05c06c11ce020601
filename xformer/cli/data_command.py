"""`xformer data`: the group of commands about text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro

from xformer.cli.data import DataImport, DataShard, DataStats
from xformer.cli.fetch import DataFetch
from xformer.cli.synthetic import DataMixed, DataPairs


@dataclass(frozen=True)
class Data:
    """Fetch public text, import it into a corpus, encode it, show its statistics, make labelled examples."""

    command: (
        Annotated[DataFetch, tyro.conf.subcommand("fetch")]
        | Annotated[DataImport, tyro.conf.subcommand("import")]
        | Annotated[DataShard, tyro.conf.subcommand("shard")]
        | Annotated[DataStats, tyro.conf.subcommand("stats")]
        | Annotated[DataPairs, tyro.conf.subcommand("pairs")]
        | Annotated[DataMixed, tyro.conf.subcommand("mixed")]
    )

    def run_command(self) -> int:
        """Run the subcommand and return the exit status."""
        return self.command.run_command()
