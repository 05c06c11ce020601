"""Packages are fetched by the registries' own tools into a cache folder; only recorded hashes are kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from xformer.data.embedded import debian, npm, pip
from xformer.data.embedded.packages import Package
from xformer.data.embedded.tools import Missing, ToolError
from xformer.errors import InputError
from xformer.storage.checksummed import scratch_folder
from xformer.storage.files import sha256_of

# What brings one package of a registry into an empty folder. It raises `Missing` where this machine cannot
# have it at all, and `ToolError` where fetching failed.
_DOWNLOAD: dict[str, Callable[[Package, Path], None]] = {
    "pypi": pip.download,
    "npm": npm.download,
    "debian": debian.download,
}


@dataclass(frozen=True)
class Fetched:
    """What `fetch_packages` found.

    Attributes:
        paths: the file of each package that is there, in the order asked for.
        missing: the packages that this machine can't have, each with the reason.
    """

    paths: dict[Package, Path]
    missing: dict[Package, str]


def fetch_packages(
    packages: Sequence[Package], folder: str | os.PathLike[str], *, say: Callable[[str], None]
) -> Fetched:
    """Fetch the packages that `folder` does not have yet, and compare their hashes.

    A file with the recorded hash is kept, without network access. One with another hash is fetched again. A
    file is put into `folder` when it is complete and its hash is right, so an interrupted or a simultaneous
    fetch does no harm. The settings of the registries' tools (index, proxy, certificates) apply.

    Args:
        packages: the packages.
        folder: where to keep them; made if missing.
        say: called with a line about each step.

    Raises:
        InputError: a package could not be fetched though its tool is there, or it has another hash. The
            message names the files that are missing, and the folder to put them into by hand.
    """
    kept = Path(folder)
    wanted = []
    for package in packages:
        path = kept / package.filename
        if not path.exists():
            wanted.append(package)
        elif sha256_of(path) != package.sha256:
            say(f"{path}: damaged (its SHA-256 is not the recorded one); fetching it again")
            wanted.append(package)
    missing = _fetch(wanted, kept, say) if wanted else {}
    return Fetched({each: kept / each.filename for each in packages if each not in missing}, missing)


def _fetch(wanted: Sequence[Package], folder: Path, say: Callable[[str], None]) -> dict[Package, str]:
    say(f"fetching into {folder}: {', '.join(package.filename for package in wanted)}")
    missing: dict[Package, str] = {}
    with ExitStack() as stack:
        try:
            scratch = stack.enter_context(scratch_folder(folder / "packages"))
        except OSError as error:
            raise InputError(f"{folder}: cannot be written ({error.strerror}); set XFORMER_CACHE") from error
        # One at a time, each in a folder of its own: pip refuses two versions of a project, and a failure
        # must not discard what was fetched before it.
        for number, package in enumerate(wanted):
            target = scratch / str(number)
            target.mkdir()
            try:
                _DOWNLOAD[package.registry](package, target)
            except Missing as error:
                missing[package] = str(error)
                continue
            except ToolError as error:
                rest = [each for each in wanted[number:] if each not in missing]
                raise InputError(
                    f"could not fetch {package}; is there a network?\n{error}\n"
                    f"  Without a network, put these files into {folder}:\n"
                    + "\n".join(f"    {each.filename}  (sha256 {each.sha256})" for each in rest)
                ) from error
            _keep(package, target, folder)
    return missing


def _keep(package: Package, target: Path, folder: Path) -> None:
    """Move the fetched file into the cache, if it is the recorded one."""
    fetched = target / package.filename
    if not fetched.exists():
        found = ", ".join(sorted(os.listdir(target))) or "nothing"
        raise InputError(f"{package}: expected {package.filename}, got {found}")
    if (actual := sha256_of(fetched)) != package.sha256:
        raise InputError(
            f"{package.filename}: expected SHA-256 {package.sha256}, got {actual}: the registry has another "
            "file with this name; it was deleted"
        )
    os.replace(fetched, folder / package.filename)
