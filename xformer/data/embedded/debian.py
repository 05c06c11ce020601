"""Packages of Debian, fetched by apt from the archive that it is configured for."""

from __future__ import annotations

import re
from pathlib import Path

from xformer.data.embedded.packages import Package
from xformer.data.embedded.tools import Missing, ToolError, run_tool

# What apt says, in English, of a package that its lists don't have, or have in another version: each release
# of Debian and of its descendants has its own, and another one never gets it.
_UNKNOWN = re.compile(r"E: (Unable to locate package|Version '.*' for '.*' was not found)", re.IGNORECASE)


def download(package: Package, target: Path) -> None:
    """Fetch a `.deb` into `target`, without what it depends on.

    Raises:
        Missing: there is no apt-get, or its lists don't have this version of the package.
        ToolError: apt-get failed.
    """
    # A package of one architecture is that one's everywhere: its text is the same, its hash isn't.
    architecture = package.filename.removesuffix(".deb").rpartition("_")[2]
    name = package.name if architecture == "all" else f"{package.name}:{architecture}"
    command = ["apt-get", "download", "--quiet", f"{name}={package.version}"]
    try:
        run_tool(command, folder=target, settings={"LC_ALL": "C"})
    except ToolError as error:
        if _UNKNOWN.search(str(error)) is None:
            raise
        reason = f"apt has no {package.name} {package.version}; `apt-get update` may help, on its own release"
        raise Missing(reason) from error
