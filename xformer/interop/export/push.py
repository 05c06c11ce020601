"""Send an exported folder to the Hugging Face hub, where the caller asks for it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from xformer.errors import InputError

_NAME = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}", re.ASCII)


def check_repository(name: str) -> None:
    """Check the name of a repository, before any work is done for it.

    Raises:
        InputError: it is not ORG/NAME, or huggingface_hub is not installed.
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"--push: expected ORG/NAME, got {name!r}")
    _client()


def push_folder(folder: Path, name: str, *, public: bool, client: Any = None) -> str:
    """Make the repository if there is none, and upload the folder as one commit.

    The token is that of the caller's own login (`hf auth login`, or HF_TOKEN), which huggingface_hub finds.

    Args:
        folder: what `export_huggingface` wrote.
        name: ORG/NAME.
        public: whether a new repository can be seen by all. One that exists stays as it is.
        client: what talks to the hub; None for huggingface_hub's.

    Returns:
        The address of the repository.

    Raises:
        InputError: there is no login, or the hub refused it; the folder stays.
    """
    client = client or _client()
    try:
        made = client.create_repo(name, private=not public, exist_ok=True)
        client.upload_folder(repo_id=name, folder_path=str(folder), commit_message="xformer export hf")
    except (OSError, ValueError) as error:  # huggingface_hub's errors are among them
        raise InputError(f"--push {name}: {error}. The folder {folder} is complete") from error
    return str(made)


def _client() -> Any:
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise InputError("--push: needs huggingface_hub; pip install 'xformer[hf]'") from error
    return HfApi(library_name="xformer")
