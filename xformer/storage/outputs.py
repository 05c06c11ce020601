"""Checks of the places that a command is asked to write to, before any work is done for them."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from xformer.errors import InputError
from xformer.storage.files import try_to_write


def check_output_file(path: str | os.PathLike[str]) -> None:
    """Check that a file can be written. Nothing is made, changed or left behind.

    Args:
        path: the file; it may exist, and its folder may be missing.

    Raises:
        InputError: it cannot be written; the message names the path and the reason.
    """
    try:
        try_to_write(path)
    except OSError as error:
        raise InputError(f"{path}: {_reason(error, Path(path))}") from error


def check_output_folder(path: str | os.PathLike[str], *, new: bool = False) -> None:
    """Check that a folder can be made or written into. Nothing is made, changed or left behind.

    Args:
        path: the folder; it and its parents may be missing.
        new: whether it must be missing or empty.

    Raises:
        InputError: it is a file, has files although it must be new, or cannot be written; the message names
            the path and the reason.
    """
    folder = Path(os.path.abspath(path))
    try:
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{path}: this is a file; expected a folder")
        if new and folder.is_dir() and any(folder.iterdir()):
            raise InputError(f"{path}: already exists; expected a new or an empty folder")
        if new and os.path.ismount(folder):
            raise InputError(
                f"{path}: a mounted folder cannot be replaced; expected a new folder, maybe inside"
            )
        # A new folder is made beside its place under a longer name; others get files inside.
        beside = new or not folder.is_dir()
        try_to_write(folder.with_name(f"{folder.name}.partial") if beside else folder / "x")
    except OSError as error:
        raise InputError(f"{path}: {_reason(error, folder)}") from error


def _reason(error: OSError, path: Path) -> str:
    """Why a place cannot be written, in words of a user."""
    if error.errno == errno.ENOENT:
        return f"nothing can be made in {path.absolute().parent}"
    if error.errno == errno.ENOTDIR:
        above = next((part for part in path.absolute().parents if part.is_file()), path.parent)
        return f"{above} is a file; expected a folder"
    return error.strerror or str(error)
