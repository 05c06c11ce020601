"""The packages that an export needs, and their versions."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence

from xformer.errors import InputError

_NAMES = {"tensorflow": ("tensorflow", "tensorflow-cpu", "tensorflow-macos", "tf-nightly")}
"""Under what names a package is published that has several."""


def require_packages(names: Sequence[str], extra: str) -> dict[str, str]:
    """The versions of packages.

    Args:
        names: of the packages.
        extra: of ours that installs them.

    Raises:
        InputError: one is not installed.
    """
    found = {name: version for name in names if (version := _version(name))}
    if absent := [name for name in names if name not in found]:
        raise InputError(f"{', '.join(absent)}: not installed; pip install 'xformer[{extra}]'")
    return found


def _version(name: str) -> str | None:
    for published in _NAMES.get(name, (name,)):
        try:
            return importlib.metadata.version(published)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None
