"""`xformer inspect align | heads | languages | page`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro

from xformer.cli.inspect.align import Align
from xformer.cli.inspect.heads import Heads
from xformer.cli.inspect.languages import Languages
from xformer.cli.inspect.page import Page


@dataclass(frozen=True)
class Inspect:
    """See inside a model: what its heads look at, which words it aligns, and where its languages meet.

    The model is a run, or a folder of Hugging Face (BERT, XLM-R, ModernBERT, MiniLM).
    """

    command: (
        Annotated[Align, tyro.conf.subcommand("align")]
        | Annotated[Heads, tyro.conf.subcommand("heads")]
        | Annotated[Languages, tyro.conf.subcommand("languages")]
        | Annotated[Page, tyro.conf.subcommand("page")]
    )

    def run_command(self) -> int:
        """Run the subcommand; the exit status."""
        return self.command.run_command()
