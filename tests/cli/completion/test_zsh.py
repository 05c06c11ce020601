from __future__ import annotations

import os
import pty
import shutil
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.cli.completion.test_bash import LINES, NOTHING, VALUES, answers

ZSH = shutil.which("zsh")
# Ctrl-T takes a line from one file, completes at its end, and writes what is offered into another one.
SETUP = r"""
PROMPT=; autoload -Uz compinit; compinit -u -D; source {script}
compadd() {{
  if [[ " $* " == *" -"[OAD]" "* ]]; then builtin compadd "$@"; return; fi
  local -a hits; builtin compadd -O hits "$@"; print -rl -- $hits >> {out}; builtin compadd "$@"
}}
_take() {{
  local line
  for line in ${{(f)"$(<{lines})"}}; do
    BUFFER=$line; CURSOR=$#BUFFER; zle complete-word; print -r -- . >> {out}
  done
  BUFFER=; print -r -- end >> {out}
}}
zstyle ':completion:*' list-prompt ''; LISTMAX=0; unsetopt auto_menu list_ambiguous beep
zle -N _take; bindkey '^T' _take; print ready >> {out}
"""


@pytest.mark.skipif(ZSH is None, reason="there is no zsh")
def test_zsh_completes(folder: Path, script: Callable[[str], Path], tmp_path: Path) -> None:
    lines = LINES | VALUES | {line: set[str]() for line in NOTHING}
    files = {"script": script("zsh"), "out": tmp_path / "out", "lines": tmp_path / "lines"}
    files["lines"].write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    (tmp_path / "setup").write_text(SETUP.format(**files), encoding="utf-8")
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [str(ZSH), "-f", "-i"],
        cwd=folder,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=os.environ | {"TERM": "dumb"},
        start_new_session=True,
    )
    try:
        os.close(slave)
        os.set_blocking(master, False)

        def said(word: str) -> str:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                with suppress(OSError):
                    os.read(master, 1 << 16)  # or it waits for its terminal
                text = files["out"].read_text(encoding="utf-8") if files["out"].exists() else ""
                if text.endswith(f"{word}\n"):
                    return text
                time.sleep(0.01)
            raise AssertionError(f"zsh never said {word}")

        os.write(master, f"source {tmp_path / 'setup'}\n".encode())
        said("ready")
        os.write(master, b"\x14")
        text = said("end").removeprefix("ready\n")
    finally:
        process.kill()
        process.wait()
        os.close(master)
    # zsh says the word as it will stand in the line, and what it puts behind a word apart.
    text = text.replace("\\ ", " ")
    expected = {line: {word.removesuffix("=") for word in words} for line, words in lines.items()}
    assert dict(zip(lines, answers(text), strict=True)) == expected
