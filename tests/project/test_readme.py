"""What the documents say can be done is done here; where they point, something is.

A block of shell or Python is run as it stands. One that would take long has its short form in an HTML comment
just above it, which readers of the page don't see:

    <!-- test: make -n demo -->
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(
    r"(?:<!-- test:(?P<short>.*?)-->\n+)?^```(?P<language>sh|python)\n(?P<code>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)[^)]*\)")
FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
PAGES = ("README.md", "docs/use-your-model.md")
"""The documents whose blocks are run."""
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


@dataclass(frozen=True)
class Block:
    """A block of a document, as it is to be run."""

    line: int
    language: str
    code: str

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-c", self.code] if self.language == "python" else ["bash", "-euc", self.code]


def blocks_of(text: str) -> list[Block]:
    """The blocks of a document that are run, in order."""
    return [
        Block(
            line=text.count("\n", 0, match.start("code")),
            language="sh" if match["short"] else match["language"],
            code=(match["short"] or match["code"]).strip(),
        )
        for match in BLOCK.finditer(text)
    ]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder that looks like a fresh clone, set up, without any runs in it."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    left_out = {".git", "runs", "build", "dist"}
    for path in ROOT.iterdir():
        if path.name not in left_out and not path.name.endswith("_cache"):
            (folder / path.name).symlink_to(path)
    # What the benchmark writes goes here, and not into the checkout that is tested.
    (folder / "benchmarks").unlink()
    (folder / "benchmarks").mkdir()
    return folder


def test_blocks_are_found() -> None:
    text = "\n".join(
        [
            "```sh",
            "one",
            "```",
            "<!-- test:",
            "short",
            "form",
            "-->",
            "```python",
            "long",
            "```",
            "```text",
            "output",
            "```",
            "<!-- another comment -->",
            "```python",
            "two",
            "```",
        ]
    )
    assert blocks_of(text) == [
        Block(1, "sh", "one"),
        Block(8, "sh", "short\nform"),
        Block(15, "python", "two"),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_commands_work(checkout: Path, page: str) -> None:
    """All of them, one after the other in one folder, as a reader would."""
    blocks = blocks_of((ROOT / page).read_text(encoding="utf-8"))
    assert len(blocks) > 5
    env = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONSAFEPATH": "1",
        "OMP_NUM_THREADS": "1",
    }
    for block in blocks:
        done = subprocess.run(
            block.command, cwd=checkout, env=env, capture_output=True, text=True, timeout=900
        )
        assert done.returncode == 0, f"{page}:{block.line}\n{block.code}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    links = LINK.findall(FENCED.sub("", document.read_text(encoding="utf-8")))
    missing = [link for link in links if not (document.parent / link).exists()]
    assert not missing
