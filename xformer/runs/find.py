"""Find a run, or say what was found in its place. No torch."""

from __future__ import annotations

import os
from pathlib import Path

from xformer.data.manifest import MANIFEST_NAME
from xformer.errors import InputError
from xformer.runs.directory import RunDirectory


def find_run(path: str | os.PathLike[str]) -> RunDirectory:
    """The run at `path`.

    Raises:
        InputError: there is none; the message says what is there, and which command makes a run.
    """
    if not isinstance(path, str | os.PathLike):
        raise InputError(f"path: expected the folder of a run, got {path!r}")
    run = RunDirectory(Path(path))
    if run.config.is_file():
        return run
    raise InputError(f"{path}: expected a run made by `xformer pretrain`, {_instead(run)}")


def _instead(run: RunDirectory) -> str:
    """What a folder without settings is, and what helps."""
    path = run.path
    make = f"`xformer pretrain {path}` makes one"
    if not path.exists():
        return f"but there is nothing; {make}, and `xformer demo` a first one"
    if not path.is_dir():
        return "but it is a file"
    for folder in (path, *path.parents):
        if (folder / run.config.name).is_file():
            return f"but it is a part of the run {folder}; give that folder"
    names = {found.name for found in path.iterdir()}
    if "config.json" in names:
        return f"but it is a model of Hugging Face; `xformer import hf {path} NEW_RUN` makes a run of it"
    if MANIFEST_NAME in names:
        return f"but it is a corpus; `xformer pretrain RUN --set data.corpus={path}` makes a run of it"
    runs = sorted(found for found in names if (path / found / run.config.name).is_file())
    if runs:
        some = ", ".join(str(path / one) for one in runs[:5])
        more = f" and {len(runs) - 5} more" if len(runs) > 5 else ""
        return f"but it is a folder of runs; give one of them: {some}{more}"
    if not names:
        return f"but it is empty; {make}"
    return f"but it has no {run.config.name}"
