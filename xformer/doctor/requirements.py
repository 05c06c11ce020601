"""Which libraries the installed package asks for, and which of them are there in a version that fits."""

from __future__ import annotations

import json
import platform
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlparse

_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)\s*(?:\[[^]]*\])?\s*\(?(?:>=\s*([0-9][0-9.]*))?\)?\s*(?:;(.*))?")


@dataclass(frozen=True)
class Requirement:
    """A library that is asked for.

    Attributes:
        name: of the library, as pip knows it.
        least: its least version; empty if any will do.
        extra: the extra that asks for it; None if all need it.
    """

    name: str
    least: str
    extra: str | None

    @property
    def wanted(self) -> str:
        """As pip takes it."""
        return f"{self.name}>={self.least}" if self.least else self.name


def requirements(lines: Iterable[str]) -> Iterator[Requirement]:
    """The requirements in the lines of a package's metadata that are meant for this machine.

    Args:
        lines: such as `torch>=2.11` or `pyarrow>=15; extra == "parquet"`.
    """
    for line in lines:
        if not (found := _REQUIREMENT.fullmatch(line.strip())):
            continue
        marker = found[3] or ""
        systems = re.findall(r"platform_system\s*==\s*['\"](\w+)", marker)
        machines = re.findall(r"platform_machine\s*==\s*['\"](\w+)", marker)
        here = (not systems or platform.system() in systems) and (
            not machines or platform.machine() in machines
        )
        if here:
            extra = re.search(r"extra\s*==\s*['\"]([\w-]+)", marker)
            yield Requirement(found[1], found[2] or "", extra[1] if extra else None)


def version_of(name: str) -> str | None:
    """The version of an installed library; None if it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def is_older(version: str, least: str) -> bool:
    """Whether a version comes before another; `2.11.0rc1` counts as 2.11.0, and `2.13.0+cpu` as 2.13.0."""
    return _numbers(version) < _numbers(least)


def _numbers(version: str) -> tuple[int, ...]:
    parts = re.match(r"[0-9.]*", version)
    assert parts is not None
    found = [int(part) for part in parts[0].split(".") if part]
    while found and not found[-1]:
        found.pop()
    return tuple(found)


def install_line(extra: str) -> str:
    """The line that installs an extra: of the checkout that the package was installed from, if it was one."""
    if (checkout := _checkout()) is None:
        return f"pip install 'xformer[{extra}]'"
    constraints = checkout / "constraints.txt"
    pinned = f"-c '{constraints}' " if constraints.is_file() else ""
    return f"pip install {pinned}-e '{checkout}[{extra}]'"


def _checkout() -> Path | None:
    try:
        origin = json.loads(metadata.distribution("xformer").read_text("direct_url.json") or "{}")
        address, editable = urlparse(origin["url"]), origin["dir_info"]["editable"]
    except (metadata.PackageNotFoundError, OSError, ValueError, KeyError, TypeError):
        return None
    folder = Path(unquote(address.path))
    return folder if editable and address.scheme == "file" and folder.is_dir() else None


def python_line() -> str:
    """Version and path of this Python."""
    return f"{platform.python_version()} ({sys.executable})"
