"""`xformer completion`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import tyro


@dataclass(frozen=True)
class Completion:
    """Print a script with which a shell completes commands, options, settings, runs and files.

    In bash, as a line of ~/.bashrc: eval "$(xformer completion bash)"

    In zsh, as a line of ~/.zshrc, after compinit: eval "$(xformer completion zsh)"

    In fish, once: xformer completion fish > ~/.config/fish/completions/xformer.fish

    The scripts start nothing when a key is pressed.
    """

    shell: tyro.conf.Positional[Literal["bash", "zsh", "fish"]]
    """The shell."""

    def print_script(self, commands: Mapping[str, Any]) -> int:
        """Print the script, and return the exit status.

        Args:
            commands: dataclasses by the names of all commands, which import this one.
        """
        from importlib import import_module

        from xformer.cli.completion.tree import tree
        from xformer.cli.completion.words import settings_of

        settings = {which: settings_of(which) for which in ("pretrain", "finetune", "names")}
        shell = import_module(f"xformer.cli.completion.{self.shell}")
        print(shell.script(tree(commands), settings), end="")
        return 0
