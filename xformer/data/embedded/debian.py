"""Packages of Debian, fetched by apt from the archive that it is configured for."""

from __future__ import annotations

from pathlib import Path

from xformer.data.embedded.packages import Package
from xformer.data.embedded.tools import run_tool


def download(package: Package, target: Path) -> None:
    """Fetch a `.deb` into `target`, without what it depends on.

    Raises:
        Missing: there is no apt-get.
        ToolError: apt-get failed.
    """
    run_tool(["apt-get", "download", "--quiet", f"{package.name}={package.version}"], folder=target)
