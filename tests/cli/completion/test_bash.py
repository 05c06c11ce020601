from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

BASH = shutil.which("bash")
TRY = r"""
source "$1"
while IFS= read -r COMP_LINE; do
  COMP_POINT=${#COMP_LINE}
  _xformer
  printf '%s\n' "${COMPREPLY[@]}" .
done
"""

LINES: dict[str, set[str]] = {
    "xformer pretr": {"pretrain"},
    "xformer inspect ": {"align", "heads", "languages", "page"},
    "xformer pretrain runs/x --dry": {"--dry-run"},
    "xformer evaluate --no-ba": {"--no-baselines"},
    "xformer pretrain runs/": {"demo"},
    "xformer data stats corpora/": {"mine"},
    "xformer data stats co": {"corpora"},
    "xformer pretrain --config no": {"notes.txt"},
    "xformer encode runs/demo tw": {"two words.txt"},
    "xformer encode runs/demo notes.txt no": {"notes.txt"},
    "xformer encode --dtype ": {"auto", "fp32", "bf16", "int8"},
    "xformer encode runs/demo --dtype b": {"bf16"},
    "xformer encode --dtype=b": {"bf16"},
    "xformer data import csv notes.txt --small-languages ": {"drop", "join"},
    "xformer data import mo": {"moses"},
    "xformer completion ": {"bash", "zsh", "fish"},
    "xformer bench encode --shape t": {"tiny"},
    "xformer settings model.d_m": {"model.d_model"},
    "xformer pretrain runs/x --set model.d_m": {"model.d_model="},
    "xformer pretrain runs/x --set model.d_model=64 model.n_h": {"model.n_heads="},
    "xformer finetune classify runs/demo --set classifier.hid": {"classifier.hidden="},
}
"""Lines that someone types, and what every shell offers."""
VALUES = {"xformer pretrain runs/x --set training.precision=": {"auto", "fp32", "bf16"}}
NOTHING = ("xformer evaluate emp", "xformer encode --dtype z", "xformer encode -- --dt")


def answers(text: str) -> list[set[str]]:
    """The words that were offered for each line, without their folders; a dot ends those of one."""
    found: list[set[str]] = [set()]
    for word in text.splitlines():
        if word == ".":
            found.append(set())
        elif word:
            found[-1].add(word.partition("\t")[0].rstrip("/").rpartition("/")[2].removeprefix("--dtype="))
    return found[:-1]


@pytest.mark.skipif(BASH is None, reason="there is no bash")
def test_bash_completes(folder: Path, script: Callable[[str], Path]) -> None:
    lines = LINES | VALUES | {line: set[str]() for line in NOTHING}
    done = subprocess.run(
        [str(BASH), "--norc", "-c", TRY, "bash", str(script("bash"))],
        input="".join(f"{line}\n" for line in lines),
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert dict(zip(lines, answers(done.stdout), strict=True)) == lines


@pytest.mark.skipif(BASH is None, reason="there is no bash")
def test_the_script_is_of_bash(script: Callable[[str], Path]) -> None:
    subprocess.run([str(BASH), "-n", str(script("bash"))], check=True)
