"""The tokenizer of a run that begins from another one."""

from __future__ import annotations

import shutil
from pathlib import Path

from xformer.runs.directory import RunDirectory
from xformer.runs.imported import ImportedConfig
from xformer.storage.checksummed import atomic_folder
from xformer.storage.files import atomic_write


def copy_tokenizer(run: RunDirectory, base: str) -> None:
    """Copy the tokenizer of a run into a new run, if that has none.

    Args:
        run: the new run.
        base: folder of the other one.
    """
    source = RunDirectory(Path(base))
    if source.tokenizer_folder.is_dir():
        if not run.tokenizer_folder.is_dir():
            with atomic_folder(run.tokenizer_folder) as scratch:
                shutil.copytree(source.tokenizer_folder, scratch, dirs_exist_ok=True)
        _copy_settings(run, source)
    elif not run.tokenizer.is_file():
        with source.tokenizer.open("rb") as original, atomic_write(run.tokenizer, "wb") as copy:
            shutil.copyfileobj(original, copy)


def _copy_settings(run: RunDirectory, source: RunDirectory) -> None:
    """Copy what a folder of Hugging Face needs besides, which `xformer export hf` writes of the new run."""
    inner = source.original / source.load_config(ImportedConfig).source.encoder
    for path in inner.iterdir() if not run.original.is_dir() else ():
        if path.name == "config.json" or path.name.upper().startswith("LICENSE"):
            run.original.mkdir(exist_ok=True)
            with path.open("rb") as original, atomic_write(run.original / path.name, "wb") as copy:
                shutil.copyfileobj(original, copy)
