"""What README says can be done is done here; where a document points, something is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.project.pages import ROOT, Block, blocks_of, run_page, steps_of

LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)[^)]*\)")
FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


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


def test_a_line_that_needs_no_shell_is_a_step() -> None:
    piped = "printf 'a b' > lines\nxformer encode run lines | head -1\nxformer encode \\\n  run lines"
    assert list(steps_of(f"{piped}\nxformer encode run lines  # a > b\nxformer report 'a run'\nls")) == [
        piped,
        "xformer encode run lines  # a > b",
        "xformer report 'a run'",
        "ls",
    ]


@pytest.mark.slow
def test_its_commands_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_page("README.md", tmp_path, monkeypatch)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    links = LINK.findall(FENCED.sub("", document.read_text(encoding="utf-8")))
    missing = [link for link in links if not (document.parent / link).exists()]
    assert not missing
