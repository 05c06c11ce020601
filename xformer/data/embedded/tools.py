"""Programs that fetch packages: started without input, their last words kept for the message of an error."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

_LAST_LINES = 4


class Missing(Exception):
    """This machine cannot have a package: its registry's tool is absent, or does not know the package."""


class ToolError(Exception):
    """A tool is there and failed; the text says what it said."""


def run_tool(command: Sequence[str], *, folder: Path, settings: Mapping[str, str] | None = None) -> str:
    """Run a program and return what it wrote to its standard output.

    Args:
        command: its name or path, and its arguments.
        folder: where it runs.
        settings: environment variables beside those of this process.

    Raises:
        Missing: there is no such program.
        ToolError: it ended with an error.
    """
    name = Path(command[0]).name
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **(settings or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except FileNotFoundError as error:
        raise Missing(f"{name} is not on this machine") from error
    except OSError as error:
        raise Missing(f"{name} cannot be started ({error.strerror})") from error
    if done.returncode != 0:
        lines = f"{done.stdout}\n{done.stderr}".strip().split("\n")[-_LAST_LINES:]
        raise ToolError(f"  {name} said:\n" + "\n".join(f"    {line}" for line in lines))
    return done.stdout
