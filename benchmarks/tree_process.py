"""One process that runs the code of one side of a comparison."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_LONGEST_ERROR = 2000  # characters


class TreeProcessError(Exception):
    """A process failed or took too long; the message has the end of its error output."""


def run_in_tree(
    root: Path,
    command: Sequence[str],
    *,
    python: str = sys.executable,
    environment: Mapping[str, str] | None = None,
    limit: float | None = None,
) -> str:
    """Run Python on the files of a tree. Where it is not waited for, all that it started ends with it.

    Args:
        root: of the tree: the working folder, and the first on the import path.
        command: arguments of Python.
        python: the interpreter.
        environment: variables of the process; None for those of this one.
        limit (s): longest time; None for no limit.

    Returns:
        What it printed.

    Raises:
        TreeProcessError: it failed, or was not done in time.
    """
    given = os.environ if environment is None else environment
    path = os.pathsep.join([str(root), *filter(None, [given.get("PYTHONPATH")])])
    process = subprocess.Popen(
        [python, "-P", *command],
        cwd=root,
        env={**given, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=limit)
    except BaseException as error:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise TreeProcessError(f"not done after {limit:g} s") from error
        raise
    if process.returncode:
        said = err.strip()[-_LONGEST_ERROR:]
        raise TreeProcessError(said or f"exit status {process.returncode}")
    return out
