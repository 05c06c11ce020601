from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.completion.test_bash import LINES, answers

FISH = shutil.which("fish")
TRY = r"""
source $argv[1]
while read -l line
    complete -C $line
    echo .
end
"""


@pytest.mark.skipif(FISH is None, reason="there is no fish")
def test_fish_completes(folder: Path, script: Callable[[str], Path]) -> None:
    values = {
        "xformer pretrain runs/x --set training.prec": {
            f"training.precision={x}" for x in ("auto", "fp32", "bf16")
        }
    }
    lines = LINES | values
    done = subprocess.run(
        [str(FISH), "--no-config", "-c", TRY, str(script("fish"))],
        input="".join(f"{line}\n" for line in lines),
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert dict(zip(lines, answers(done.stdout), strict=True)) == lines
