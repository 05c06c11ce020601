"""The wheel holds the whole package, claims no other name, and works from where it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("xformer", "kernels", "tokenizer", "benchmarks")


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command apart from this checkout and its environment variables; its output, or a failed test."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV_"))}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without network from a copy of what the checkout holds."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in SOURCES:
        shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    out = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, copy, cwd=out)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_one_top_level_name(names: list[str]) -> None:
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"xformer"}


def test_holds_every_source_file(names: list[str]) -> None:
    links = {link.name for link in (ROOT / "xformer").iterdir() if link.is_symlink()}
    assert links == {"kernels", "tokenizer", "benchmarks"}
    sources = [path.relative_to(ROOT) for path in (ROOT / "xformer").rglob("*.py")]
    sources += ["xformer" / path.relative_to(ROOT) for name in links for path in (ROOT / name).rglob("*.py")]
    missing = {path.as_posix() for path in sources} - set(names)
    assert not missing


def test_metadata(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (path,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = Parser().parsestr(archive.read(path).decode())
        assert any(name.endswith(".dist-info/licenses/LICENSE") for name in archive.namelist())
    assert metadata["Name"] == "xformer"
    assert metadata["License-Expression"] == "Apache-2.0"
    required = metadata.get_all("Requires-Dist") or []
    (torch,) = [line for line in required if line.startswith("torch")]
    (triton,) = [line for line in required if line.startswith("triton")]
    assert "==" not in torch, "the exact torch is pinned in constraints.txt only"
    assert not set("<>=~") & set(triton.split(";")[0]), "triton is whatever this torch build wants"


def test_works_installed(wheel: Path, tmp_path: Path) -> None:
    """Each linked package does a little of its work, imported from the installed copy alone."""
    target = tmp_path / "site"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-q")
    run(*pip, "--no-index", "--no-deps", "--target", target, wheel, cwd=tmp_path)
    code = """
import sys
sys.path.insert(0, sys.argv[1])
import torch
import xformer.benchmarks, xformer.cli, xformer.kernels, xformer.tokenizer
for module in (xformer.benchmarks, xformer.cli, xformer.kernels, xformer.tokenizer):
    assert module.__file__.startswith(sys.argv[1]), module.__file__
q = torch.ones(3, 1, 8)
out = xformer.kernels.attention(q, q, q, torch.tensor([0, 1, 3], dtype=torch.int32), max_length_q=2)
assert torch.equal(out, q)
print("works")
"""
    assert run(sys.executable, "-P", "-c", code, target, cwd=tmp_path).split() == ["works"]


PROGRAM = """
import torch

from xformer.benchmarks.kernels.measure import Timing
from xformer.kernels import attention, rms_norm
from xformer.model.config import ModelConfig
from xformer.model.multilingual import MultilingualModel
from xformer.model.packed import Packed, pack
from xformer.tokenizer import Tokenizer, TokenizerError


def vectors(path: str, texts: list[str]) -> torch.Tensor:
    try:
        tokenizer = Tokenizer.load(path)
    except TokenizerError as error:
        raise SystemExit(str(error)) from error
    model = MultilingualModel(ModelConfig(vocab_size=tokenizer.vocab_size))
    batch: Packed = pack(tokenizer.encode_batch(texts))
    return model.sentence_vectors(batch)


def attended(q: torch.Tensor, cu_seqlens: torch.Tensor) -> torch.Tensor:
    mixed: torch.Tensor = attention(q, q, q, cu_seqlens, max_length_q=2, window=4)
    return rms_norm(mixed, torch.ones(8), eps=1e-5)


def fastest(timing: Timing) -> float:
    return min(timing.warm)
"""


def test_types_are_seen_from_outside(wheel: Path, tmp_path: Path) -> None:
    """mypy, strict, checks a user's program against what is installed, the linked packages included.

    The environment is a new one, with the installed wheel in its site-packages: without `py.typed` there,
    mypy takes nothing from it. The other packages are those of this environment, by a path file.
    """
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv", cwd=tmp_path)
    (site,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-q")
    run(*pip, "--no-index", "--no-deps", "--target", site, wheel, cwd=tmp_path)
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    user = tmp_path / "user"
    user.mkdir()
    (user / "right.py").write_text(PROGRAM, encoding="utf-8")
    mistake = PROGRAM.replace("window=4", 'window="four"')
    assert mistake != PROGRAM
    (user / "wrong.py").write_text(mistake, encoding="utf-8")
    python = next((tmp_path / "venv" / "bin").glob("python3"))
    options = ("--strict", "--config-file=", "--no-color-output", "--cache-dir", tmp_path / "cache")
    command = (sys.executable, "-m", "mypy", *options, "--python-executable", python, "right.py", "wrong.py")
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MYPY"))}
    done = subprocess.run(command, cwd=user, env=env, capture_output=True, text=True, timeout=300)
    errors = [line for line in done.stdout.split("\n") if ": error: " in line]
    (number,) = [n for n, line in enumerate(mistake.split("\n"), 1) if "four" in line]
    assert len(errors) == 1, done.stdout + done.stderr
    assert errors[0].startswith(f'wrong.py:{number}: error: No overload variant of "attention"')
