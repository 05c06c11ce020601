"""Where a folder lies that may be moved, or removed, while work goes on in it."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType


class HeldFolder:
    """Holds a folder open, and so can tell that its path has come to mean nothing, or another folder.

    Use it as a context manager.
    """

    def __init__(self, path: Path) -> None:
        """Take a folder that exists."""
        self.path = path

    def __enter__(self) -> HeldFolder:
        self._descriptor = os.open(self.path, os.O_RDONLY)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    def gone(self) -> bool:
        """Whether the folder does not lie at its path any more."""
        try:
            return not self._is(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:  # what the path means cannot be told just now
            return False

    def now(self) -> Path | None:
        """Where the folder lies; None if it was removed, or the system does not tell."""
        try:
            found = Path(os.readlink(f"/proc/self/fd/{self._descriptor}"))
            return found if self._is(found) else None
        except OSError:
            return None

    def _is(self, path: Path) -> bool:
        return os.path.samestat(os.stat(path), os.fstat(self._descriptor))
