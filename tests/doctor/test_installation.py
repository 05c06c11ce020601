from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest

from xformer.benchmarks.page.browser import NAMES
from xformer.doctor import installation as module
from xformer.doctor.installation import CHROMIUM, extras, imported_names, installation, library, programs
from xformer.doctor.requirements import Requirement

NUMPY = Requirement("numpy", "2.0", None)


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What is installed, as far as the tested code knows."""
    found = {"numpy": "2.1", "sentencepiece": "0.2.3", "pyarrow": "14.0"}
    monkeypatch.setattr(module, "version_of", found.get)
    return found


def test_a_library_fits_or_says_what_to_do(versions: dict[str, str]) -> None:
    assert library(NUMPY, "").state == "ok"
    broken = library(NUMPY, "OSError: libopenblas.so is missing")
    assert (broken.state, broken.verdict) == (
        "broken",
        "does not import (OSError: libopenblas.so is missing); pip install --force-reinstall 'numpy>=2.0'",
    )
    versions["numpy"] = "1.26"
    assert library(NUMPY, "").line() == "broken   numpy  1.26: too old: pip install -U 'numpy>=2.0'"
    del versions["numpy"]
    assert library(NUMPY, "").line() == "broken   numpy  missing: pip install 'numpy>=2.0'"


@pytest.mark.parametrize(("version", "others"), [("0.2.1", "before 0.2.2"), ("0.2.3", "from 0.2.2")])
def test_sentencepiece_agrees_with_some_releases(versions: dict[str, str], version: str, others: str) -> None:
    versions["sentencepiece"] = version
    assert others in library(Requirement("sentencepiece", "0.2.0", None), "").verdict


def test_extras_say_the_line_that_installs_them(versions: dict[str, str]) -> None:
    lines = ['pyarrow>=15; extra == "parquet"', 'trackio>=0.15; extra == "trackio"', 'x; extra == "dev"']
    found = {one.name: one for one in extras(lines)}
    assert list(found) == ["parquet", "trackio"]
    assert (found["parquet"].state, found["trackio"].state) == ("broken", "note")
    assert "too old" in found["parquet"].verdict
    assert found["trackio"].verdict.endswith("[trackio]'")
    versions["pyarrow"] = "15.0.1"
    assert next(iter(extras(lines))).state == "ok"


def test_python_and_the_package_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [one.name for one in installation({}, ["numpy>=2.0", "torch"])] == ["Python", "xformer", "numpy"]
    monkeypatch.setattr(sys, "version_info", (3, 9, 0))
    python, package = installation({}, [])
    assert (python.state, package.state) == ("broken", "warning")


def test_what_is_imported_has_other_names() -> None:
    assert imported_names(["tomli-w>=1.0", "torch", "tyro", 'x; extra == "dev"']) == ["tomli_w", "tyro"]


def test_programs_are_looked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert CHROMIUM == NAMES
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("XFORMER_CHROMIUM", raising=False)
    assert [one.state for one in programs()] == ["note", "note"]
    for name in ("chromium", "msgfmt"):
        (tmp_path / name).write_text("#!/bin/sh\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    assert [one.state for one in programs()] == ["ok", "ok"]
    monkeypatch.setenv("XFORMER_CHROMIUM", str(tmp_path / "none"))
    assert [one.state for one in programs()] == ["warning", "ok"]


def test_every_extra_that_a_command_uses_is_named(repository: Path) -> None:
    """What benches and developers install is not."""
    found = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))
    extras_of_all = set(found["project"]["optional-dependencies"])
    apart = {"dev", "peers", "faiss", "bench-encode", "bench-generation"}
    assert extras_of_all - apart == set(module.OPTIONAL)
