"""Find a Hugging Face folder: a path, or an id whose files are in the cache or can be downloaded."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from xformer.errors import InputError
from xformer.progress import Progress

_ID = re.compile(r"[\w.-]+(/[\w.-]+)?", re.ASCII)
_WANTED = ["*.json", "*.safetensors", "*.txt", "*.model", "*.md", "LICENSE*"]
_UNWANTED = ["onnx/*", "openvino/*", "coreml/*"]


def find_folder(source: str | os.PathLike[str], revision: str, progress: Progress) -> Path:
    """The folder of a model.

    Args:
        source: a folder; or an id of the hub, such as `google-bert/bert-base-multilingual-cased`, that is no
            folder here. Its files are taken from the local cache, or downloaded where `huggingface_hub` is
            installed.
        revision: of an id: a branch, a tag or a commit.
        progress: says what is downloaded.

    Raises:
        InputError: there is no such folder, and no such id in the cache or on the hub.
    """
    path = Path(source)
    if path.is_dir():
        return path
    if path.exists():
        raise InputError(f"{source}: expected a folder with config.json and model.safetensors, found a file")
    name = os.fspath(source)
    if not _ID.fullmatch(name) or ".." in name:
        raise InputError(f"{source}: expected a folder with config.json and model.safetensors, there is none")
    if (found := cached(name, revision)) is not None:
        return found
    return _downloaded(name, revision, progress)


def cached(name: str, revision: str) -> Path | None:
    """The complete snapshot of an id in the local cache of `huggingface_hub`; None if there is none."""
    repository = _cache() / f"models--{name.replace('/', '--')}"
    for snapshot in _snapshots(repository, revision):
        if (snapshot / "config.json").is_file() or (snapshot / "modules.json").is_file():
            weights = [*snapshot.glob("*.safetensors"), *snapshot.glob("*/*.safetensors")]
            if weights:
                return snapshot
    return None


def _cache() -> Path:
    """Where `huggingface_hub` keeps what it downloads, by the variables that it reads."""
    if (given := os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")) is not None:
        return Path(given).expanduser()
    if (home := os.environ.get("HF_HOME")) is not None:
        return Path(home).expanduser() / "hub"
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "huggingface" / "hub"


def _snapshots(repository: Path, revision: str) -> Iterator[Path]:
    """The snapshot that a branch or tag names, and that of a commit."""
    reference = repository / "refs" / revision
    commits = [revision]
    if reference.is_file():
        commits.insert(0, reference.read_text(encoding="utf-8").strip())
    for commit in commits:
        if (snapshot := repository / "snapshots" / commit).is_dir():
            yield snapshot


def _downloaded(name: str, revision: str, progress: Progress) -> Path:
    nothing = f"{name}: there is no such folder, and the local cache ({_cache()}) has no such model"
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise InputError(f"{nothing}; to download it: pip install huggingface_hub") from None
    progress.say(f"download {name} ({revision})")
    try:
        return Path(
            snapshot_download(name, revision=revision, allow_patterns=_WANTED, ignore_patterns=_UNWANTED)
        )
    except Exception as error:  # of HTTP, of the network, of the hub: none of them a mistake of the program
        first = str(error).strip().splitlines()[:1]
        raise InputError(f"{nothing}; it could not be downloaded: {''.join(first)}") from error
