"""Help is quick, complete, and shows how each command is used.

Covers `xformer.cli.report`, which does nothing but call `xformer.report`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

COMMANDS = [
    "demo",
    "pretrain",
    "verify-resume",
    "evaluate",
    "report",
    "settings",
    "doctor",
    "completion",
    "data fetch",
    "data import",
    "data shard",
    "data stats",
    "tokenizer train",
    "tokenizer report",
    "encode",
    "fill-mask",
    "finetune",
    "finetune summarize",
    "finetune translate",
    "classify",
    "summarize",
    "translate",
    "neighbours",
    "index",
    "search",
    "mine",
    "import",
    "export hf",
    "export onnx",
    "export tensorflow",
    "inspect align",
    "inspect heads",
    "inspect languages",
    "inspect page",
]
GROUPS = ["", "data", "tokenizer", "export", "inspect"]

Helped = dict[str, Any]

# One process for all: what a command's help imports, it imports for all after it as well.
SCRIPT = """
import contextlib, io, json, sys
from xformer.cli import main

found = {}
for command in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([*command.split(), "--help"])
        except SystemExit as exit:
            status = exit.code
    found[command] = [status, out.getvalue(), err.getvalue()]
heavy = [name for name in ("torch", "numpy", "sentencepiece", "matplotlib") if name in sys.modules]
print(json.dumps({"found": found, "heavy": heavy}))
"""


@pytest.fixture(scope="module")
def helped() -> Helped:
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, json.dumps(GROUPS + COMMANDS)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "120"},
    )
    result: Helped = json.loads(process.stdout)
    return result


def test_help_imports_nothing_heavy(helped: Helped) -> None:
    assert helped["heavy"] == []


@pytest.mark.parametrize("command", COMMANDS + GROUPS)
def test_help_says_what_a_command_does(helped: Helped, command: str) -> None:
    status, out, err = helped["found"][command]
    assert (status, err) == (0, "")
    assert f"usage: xformer {command}".strip() in out
    for subcommand in (c for c in COMMANDS if c.startswith(command)):
        name = subcommand.removeprefix(command).split()
        assert not name or name[0] in out


def test_the_list_of_commands_has_a_line_for_each(helped: Helped) -> None:
    _, out, _ = helped["found"][""]
    shown = out.partition("(required)")[2].replace("│", " ").split("•")[1:]
    assert [one.split()[0] for one in shown] == [
        "demo", "pretrain", "evaluate", "report", "encode", "fill-mask", "classify", "tag",
        "summarize", "translate", "finetune", "neighbours", "index", "search", "mine", "import", "export",
        "inspect", "settings", "doctor", "completion", "verify-resume", "data", "tokenizer", "bench",
    ]  # fmt: skip
    for one in shown:
        name, *words = one.replace("╰", " ").replace("─", " ").replace("╯", " ").split()
        assert 4 < len(words) < 25, name
        assert f"xformer {name}" not in " ".join(words)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_flag_is_off_by_default(helped: Helped, command: str) -> None:
    """Also one that turns something off: its line says what the flag does."""
    assert "(default: True)" not in " ".join(helped["found"][command][1].replace("│", " ").split())


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_examples(helped: Helped, command: str) -> None:
    _, out, _ = helped["found"][command]
    shown = " ".join(out.replace("│", " ").split())
    examples = shown.partition(f"usage: xformer {command}")[2]
    assert f" xformer {command} " in examples
