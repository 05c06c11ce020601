"""The page as a whole, on this machine and on a broken installation. Covers `probe`, which it asks.

Covers xformer.cli.doctor, which does nothing but call it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from xformer.doctor import examine as module
from xformer.doctor.examine import examine, page, report
from xformer.doctor.finding import Finding
from xformer.doctor.probe import Probe

BROKEN = {
    "torch": "raise OSError('libtorch_cpu.so: cannot open shared object file')\n",
    "rich": "import no_such_module_anywhere\n",
    "sentencepiece": "import os\nos.kill(os.getpid(), 11)\n",
}


def broken_python(folder: Path, *arguments: str, names: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """What the command says where some libraries are broken."""
    for name in names:
        (folder / f"{name}.py").write_text(
            BROKEN.get(name, "raise ImportError('broken')\n"), encoding="utf-8"
        )
    command = [sys.executable, "-m", "xformer", *arguments]
    environment = os.environ | {"PYTHONPATH": str(folder)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_this_machine_has_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(as_json=True) == 0
    found = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert metadata.version("torch").split("+")[0] in found["torch"]["value"]
    assert found["precision"]["value"]
    names = {"Python", "sentencepiece", "GPU", "threads", "others", "memory", "cache", "Chromium"}
    assert names <= set(found)
    assert all(one["verdict"] for one in found.values())


def test_a_broken_installation_is_described(tmp_path: Path) -> None:
    done = broken_python(tmp_path, "doctor", names=("torch", "sentencepiece", "tyro"))
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    lines = {line.split()[1]: line for line in done.stdout.splitlines() if line.startswith("broken")}
    assert "OSError: libtorch_cpu.so: cannot open" in lines["torch"]
    assert "ended by signal 11" in lines["sentencepiece"]
    assert "ImportError: broken" in lines["tyro"]
    assert "Broken: " in done.stdout.splitlines()[-1]


def test_other_commands_say_what_helps(tmp_path: Path) -> None:
    done = broken_python(tmp_path, "settings", names=("tyro",))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "xformer: broken; `xformer doctor` says what is broken, and how to mend it\n"


def test_a_part_that_fails_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> list[Finding]:
        raise PermissionError("not yours")

    class Silent:
        pid = 0

        def __init__(self, *what: str) -> None:
            self.what = what

        def answers(self, patience: float = 0.0) -> tuple[dict[str, str], str]:
            return {}, "Python cannot be started: not yours"

    monkeypatch.setattr(module, "_WATCH_S", 0.0)
    monkeypatch.setattr(module, "Probe", Silent)
    for name in ("resources", "processor", "programs"):
        monkeypatch.setattr(module, name, fails)
    found = examine()
    failed = [one.topic for one in found if one.verdict == "PermissionError: not yours"]
    assert failed == ["CPU", "memory", "programs"]
    broken = {one.name for one in found if one.state == "broken"}
    assert "torch" in broken
    assert {"numpy", "tyro"} <= broken
    assert page(found).splitlines()[-1].startswith("Broken: ")


def test_a_python_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert Probe("torch").answers()[1].startswith("Python cannot be started")


def test_a_page_names_what_asks_for_something() -> None:
    fine = Finding("disk", "cache", "/tmp", "fits")
    assert page([fine]).splitlines()[-1] == "All is fine."
    warned = Finding("CPU", "others", "load 9", "wait", "warning")
    assert page([fine, warned]).splitlines()[-1] == "To look at: others."
