"""The commands of a page of documentation, run as a reader would: in order, in a folder like a clone.

A block of shell or Python is run as it stands. One that would take long has its short form in an HTML comment
just above it, which readers of the page don't see:

    <!-- test: make -n demo -->

The first block of each language runs in processes of its own, and so does what needs a shell. Another process
for each command would prove no more and would import torch again, which takes longer than the command. So
other lines that are one `xformer` command, and other blocks of Python, run in this process.
"""

from __future__ import annotations

import os
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from xformer.cli import main

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(
    r"(?:<!-- test:(?P<short>.*?)-->\n+)?^```(?P<language>sh|python)\n(?P<code>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
_SHELL = set("|<>&;$`*")
"""Signs that a shell has to read."""


@dataclass(frozen=True)
class Block:
    """A block of a document, as it is to be run."""

    line: int
    language: str
    code: str


def blocks_of(text: str) -> list[Block]:
    """The blocks of a document that are run, in order."""
    return [
        Block(
            line=text.count("\n", 0, match.start("code")),
            language="sh" if match["short"] else match["language"],
            code=(match["short"] or match["code"]).strip(),
        )
        for match in _BLOCK.finditer(text)
    ]


def steps_of(code: str) -> Iterator[str]:
    """The lines of a shell block that are one `xformer` command each, and what lies between such lines."""
    rest: list[str] = []
    for line in code.split("\n"):
        if _command(line) is None:
            rest.append(line)
            continue
        if rest:
            yield "\n".join(rest)
        rest = []
        yield line
    if rest:
        yield "\n".join(rest)


def run_page(page: str, folder: Path, monkeypatch: pytest.MonkeyPatch, at_least: int = 6) -> None:
    """Run all blocks of a page.

    Args:
        page: its path in the repository.
        folder: where to make what looks like a fresh clone, set up, without any runs in it.
        monkeypatch: leaves the folder at the end.
        at_least: blocks that the page has.
    """
    checkout = _checkout(folder)
    monkeypatch.chdir(checkout)
    seen: set[str] = set()
    blocks = blocks_of((ROOT / page).read_text(encoding="utf-8"))
    assert len(blocks) >= at_least
    for block in blocks:
        print(f"{page}:{block.line}\n{block.code}")
        if block.language not in seen:
            seen.add(block.language)
            own = [sys.executable, "-c"] if block.language == "python" else ["bash", "-euc"]
            _run(*own, block.code)
        elif block.language == "python":
            script = checkout / "block.py"
            script.write_text(block.code, encoding="utf-8")
            runpy.run_path(str(script), run_name="__main__")
        else:
            for step in steps_of(block.code):
                command = _command(step)
                if command is None:
                    _run("bash", "-euc", step)
                    continue
                with pytest.raises(SystemExit) as exit:
                    main(command)
                assert exit.value.code == 0, f"{page}:{block.line} {step}"


def _command(line: str) -> list[str] | None:
    """The arguments of a line that is one `xformer` command; None for another line."""
    if not line.startswith("xformer ") or line.endswith("\\") or _SHELL & set(line.partition(" # ")[0]):
        return None
    return shlex.split(line, comments=True)[1:]


def _checkout(folder: Path) -> Path:
    """A folder that looks like a fresh clone, set up, without any runs in it."""
    checkout = folder / "checkout"
    checkout.mkdir()
    left_out = {".git", "runs", "build", "dist"}
    for path in ROOT.iterdir():
        if path.name not in left_out and not path.name.endswith("_cache"):
            (checkout / path.name).symlink_to(path)
    # What the benchmark writes goes here, and not into the checkout that is tested.
    (checkout / "benchmarks").unlink()
    (checkout / "benchmarks").mkdir()
    return checkout


def _run(*command: str) -> None:
    env = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONSAFEPATH": "1",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
