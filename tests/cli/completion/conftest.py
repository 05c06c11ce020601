"""A folder with runs and corpora, and the scripts of all shells."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from xformer.cli import commands
from xformer.cli.completion.command import Completion
from xformer.cli.completion.tree import Command, tree


@pytest.fixture(scope="session")
def root() -> Command:
    """All commands."""
    return tree(commands())


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which someone works."""
    found = tmp_path_factory.mktemp("work")
    for name in ("runs/demo/checkpoints", "runs/notes", "corpora/mine", "empty"):
        (found / name).mkdir(parents=True)
    for name in ("runs/demo/config.toml", "corpora/mine/manifest.json", "notes.txt", "two words.txt"):
        (found / name).write_text("", encoding="utf-8")
    return found


@pytest.fixture(scope="session")
def script(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Prints the script of a shell, and says where it lies."""
    scripts = tmp_path_factory.mktemp("scripts")

    def printed(shell: str) -> Path:
        path = scripts / f"xformer.{shell}"
        if not path.exists():
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                assert Completion(shell).print_script(commands()) == 0  # type: ignore[arg-type]
            path.write_text(out.getvalue(), encoding="utf-8")
        return path

    return printed
