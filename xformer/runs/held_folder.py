"""Detection of a run's folder that is moved or removed during training."""

from __future__ import annotations

import os
from pathlib import Path


class HeldFolder:
    """Holds a folder open, to detect that it was moved, removed or replaced.

    Use it as a context manager.
    """

    def __init__(self, path: Path) -> None:
        """Remember a folder, which exists."""
        self.path = path

    def __enter__(self) -> HeldFolder:
        self._descriptor = os.open(self.path, os.O_RDONLY)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def gone(self) -> bool:
        """Whether the folder is not at its path any more."""
        try:
            return not self._is(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:  # the path cannot be read at the moment
            return False

    def now(self) -> Path | None:
        """The folder's present path; None if it was removed, or the system has no /proc."""
        try:
            found = Path(os.readlink(f"/proc/self/fd/{self._descriptor}"))
            return found if self._is(found) else None
        except OSError:
            return None

    def _is(self, path: Path) -> bool:
        return os.path.samestat(os.stat(path), os.fstat(self._descriptor))
