"""Atomic writes: files that are complete or absent."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Write `data` to a temporary file in the same folder and rename it to `path`.

    A missing folder is made. On an error `path` is not changed, and the temporary file is removed.

    Raises:
        OSError: it cannot be written; the error names `path`.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    name = None
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, target)
    except BaseException as error:
        if name is not None:
            Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None:
            # The error of a full disk has no file name, and others have the temporary one.
            error.filename, error.filename2 = os.fspath(path), None
        raise
