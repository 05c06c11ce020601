"""The examples of CONTRIBUTING are complete: each module is imported, and its tests pass.

A block whose first line is a comment with the path of a file is that file.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILE = re.compile(r"^```python\n# (?P<path>\S+\.py)\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE)
LINKED = ("kernels", "tokenizer", "benchmarks")


def _examples() -> dict[str, dict[str, str]]:
    """The files of each section that has some, by path."""
    sections = re.split(r"^## ", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    found = {
        section.partition("\n")[0]: {match["path"]: match["code"] for match in FILE.finditer(section)}
        for section in sections
    }
    return {title: files for title, files in found.items() if files}


EXAMPLES = _examples()


def _run(*command: str | Path, cwd: Path) -> None:
    done = subprocess.run([sys.executable, *command], cwd=cwd, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_examples() -> None:
    assert EXAMPLES.keys() == {"Add a reader", "Add a kernel", "Add a task"}
    for files in EXAMPLES.values():
        assert sorted(path.startswith("tests/") for path in files) == [False, True]


@pytest.mark.slow
@pytest.mark.parametrize("title", EXAMPLES)
def test_its_tests_pass(title: str, tmp_path: Path) -> None:
    """In a folder apart, which joins the package by a longer path: nothing is written into the checkout."""
    if title == "Add a kernel" and importlib.util.find_spec("triton") is None:
        pytest.skip("triton is not installed")
    packages: set[tuple[str, ...]] = set()
    for path, code in EXAMPLES[title].items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(code, encoding="utf-8")
        if not path.startswith("tests/"):
            parts = file.parent.relative_to(tmp_path).parts
            packages |= {parts[:n] for n in range(1, len(parts) + 1) if (ROOT / Path(*parts[:n])).is_dir()}
    join = []
    for parts in sorted(packages):
        name = ".".join(("xformer", *parts) if parts[0] in LINKED else parts)
        join.append(f"import {name}\n{name}.__path__.append({str(tmp_path.joinpath(*parts))!r})\n")
    (tmp_path / "conftest.py").write_text("".join(join), encoding="utf-8")
    options = (
        "-q",
        "--import-mode=importlib",
        "-p",
        "no:cacheprovider",
        "-W",
        "error",
        "--rootdir",
        tmp_path,
    )
    _run("-P", "-m", "pytest", *options, tmp_path / "tests", cwd=tmp_path)


@pytest.mark.parametrize("title", EXAMPLES)
def test_it_keeps_the_style(title: str, tmp_path: Path) -> None:
    for path, code in EXAMPLES[title].items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(code, encoding="utf-8")
    config = ("--config", ROOT / "pyproject.toml", "--no-cache")
    ignored = ("--ignore", "D1")
    _run("-m", "ruff", "check", *config, *ignored, tmp_path, cwd=tmp_path)
    _run("-m", "ruff", "format", "--check", *config, tmp_path, cwd=tmp_path)


def test_a_commit_is_checked_as_make_lint_checks() -> None:
    """The same commands, from .venv, and no hook that would have to be downloaded."""
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    entries = re.findall(r"entry: \.venv/bin/(.*)", hooks)
    recipe = re.search(
        r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert recipe is not None
    linted = re.findall(r"\$\(BIN\)/(.*)", recipe[1])
    assert [entry.replace(" --force-exclude", "") for entry in entries] == [
        command.replace(" .", "") for command in linted
    ]
    assert re.findall(r"- repo: (.*)", hooks) == ["local"]
    assert set(re.findall(r"language: (.*)", hooks)) == {"system"}
