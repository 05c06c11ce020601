"""The tokenizer of a run that begins from another one."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from xformer.runs.directory import RunDirectory
from xformer.runs.imported import ImportedConfig
from xformer.runs.kind import IMPORTED, task_of
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
        if not run.original.is_dir():
            write_settings(run, settings_files(source))
    elif not run.tokenizer.is_file():
        with source.tokenizer.open("rb") as original, atomic_write(run.tokenizer, "wb") as copy:
            shutil.copyfileobj(original, copy)


def settings_files(run: RunDirectory) -> dict[str, bytes]:
    """What a folder of Hugging Face needs beside weights and tokenizer, by name.

    Of an imported run, or of one that began from it; others have nothing.
    """
    if not run.original.is_dir():
        return {}
    imported = task_of(run) == IMPORTED
    inner = run.original / (run.load_config(ImportedConfig).source.encoder if imported else "")
    names = ("config.json", "LICENSE")
    return {path.name: path.read_bytes() for path in inner.iterdir() if path.name.startswith(names)}


def write_settings(run: RunDirectory, files: Mapping[str, bytes]) -> None:
    """Write them into a new run, which `xformer export hf` then writes as a folder."""
    for name, content in files.items():
        run.original.mkdir(exist_ok=True)
        with atomic_write(run.original / name, "wb") as file:
            file.write(content)
