"""Findings about what is installed: Python, libraries, extras, programs that tests and readers use."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata

from xformer.doctor.finding import Finding
from xformer.doctor.requirements import (
    Requirement,
    install_line,
    is_older,
    python_line,
    requirements,
    version_of,
)
from xformer.version import __version__

LEAST_PYTHON = (3, 11)
OPTIONAL = {
    "hf": "export and import of Hugging Face's folders, compared with transformers",
    "onnx": "`xformer export onnx`",
    "tensorflow": "`xformer export tensorflow`",
    "eval": "TF-IDF baselines of `xformer finetune`",
    "plot": "pictures, TensorBoard",
    "parquet": "Parquet, Arrow",
    "datasets": "`xformer data import datasets`",
    "trackio": "logs in trackio",
    "translate": "scores of translations",
    "po": "catalogues (.po) in `xformer translate`",
    "summarize": "ROUGE of summaries",
}
"""The extras that commands use, and for what."""
IMPORT_NAMES = {"docstring-parser": "docstring_parser", "tomli-w": "tomli_w"}
"""Of libraries whose name for pip is another."""
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_TIES_SINCE = "0.2.2"


def imported_names(lines: list[str] | None = None) -> list[str]:
    """The libraries that all commands need, as they are imported; without torch, which is asked apart."""
    needed = [one.name for one in requirements(_lines() if lines is None else lines) if one.extra is None]
    return [IMPORT_NAMES.get(name, name) for name in needed if name not in ("torch", "triton")]


def installation(errors: Mapping[str, str], lines: list[str] | None = None) -> Iterator[Finding]:
    """Findings about Python and the libraries that all commands need.

    Args:
        errors: of importing them, by name; empty where there was none. None of a library that is not here.
        lines: the package's requirements; None for those that are installed.
    """
    fits = sys.version_info[:2] >= LEAST_PYTHON
    wanted = "fits" if fits else f"expected {LEAST_PYTHON[0]}.{LEAST_PYTHON[1]} or later"
    yield Finding("installation", "Python", python_line(), wanted, "ok" if fits else "broken")
    lines = _lines() if lines is None else lines
    if not lines:
        value, verdict = f"{__version__}, from a folder", "not installed: pip install -e . in its checkout"
        yield Finding("installation", "xformer", value, verdict, "warning")
    else:
        yield Finding(
            "installation", "xformer", f"{__version__} on {platform.system()} {platform.machine()}", "fits"
        )
    for one in requirements(lines):
        if one.extra is None and one.name not in ("torch", "triton"):
            yield library(one, errors.get(IMPORT_NAMES.get(one.name, one.name)))


def library(one: Requirement, error: str | None) -> Finding:
    """A library that commands need: there, new enough, and without errors when it is imported."""
    found = version_of(one.name)
    if found is None:
        return Finding("installation", one.name, "missing", f"pip install '{one.wanted}'", "broken")
    if one.least and is_older(found, one.least):
        verdict = f"too old: pip install -U '{one.wanted}'"
        return Finding("installation", one.name, found, verdict, "broken")
    if error:
        verdict = f"does not import ({error}); pip install --force-reinstall '{one.wanted}'"
        return Finding("installation", one.name, found, verdict, "broken")
    return Finding(
        "installation", one.name, found, _agreement(found) if one.name == "sentencepiece" else "fits"
    )


def _agreement(version: str) -> str:
    """Whether other releases of SentencePiece give the same ids.

    A vocabulary of this version has scores that no rounding makes differ; in others two cuts of one
    probability (of `=====`, say) are told apart by rounding, in another way since 0.2.2.
    """
    old = is_older(version, _TIES_SINCE)
    others = f"before {_TIES_SINCE}" if old else f"from {_TIES_SINCE}"
    return f"fits; ids of older vocabularies agree with releases {others} alone, where two cuts tie"


def extras(lines: list[str] | None = None) -> Iterator[Finding]:
    """Findings about what commands use where it is there."""
    asked: dict[str, list[Requirement]] = {}
    for one in requirements(_lines() if lines is None else lines):
        if one.extra in OPTIONAL:
            asked.setdefault(one.extra, []).append(one)
    for extra, what in OPTIONAL.items():
        if extra not in asked:
            continue
        there = {one.name: version_of(one.name) for one in asked[extra]}
        value = ", ".join(f"{name} {version or 'missing'}" for name, version in there.items())
        old = [one for one in asked[extra] if (found := there[one.name]) and is_older(found, one.least)]
        if old:
            verdict = f"too old, {', '.join(one.wanted for one in old)} wanted: {install_line(extra)}"
            yield Finding("extras", extra, value, verdict, "broken")
        elif None in there.values():
            yield Finding("extras", extra, value, f"for {what}: {install_line(extra)}", "note")
        else:
            yield Finding("extras", extra, value, f"fits, for {what}")


def programs() -> Iterator[Finding]:
    """Findings about programs that tests use."""
    named = os.environ.get("XFORMER_CHROMIUM")
    path = shutil.which(named) if named else next(filter(None, map(shutil.which, CHROMIUM)), None)
    if named and path is None:
        verdict = "XFORMER_CHROMIUM names no program: set it to Chromium's path, or unset it"
        yield Finding("programs", "Chromium", named, verdict, "warning")
    elif path is None:
        verdict = "tests that open pages are skipped, commands need none: apt-get install chromium"
        yield Finding("programs", "Chromium", "missing", verdict, "note")
    else:
        yield Finding("programs", "Chromium", path, "opens the pages in tests")
    if (path := shutil.which("msgfmt")) is None:
        verdict = "tests compare catalogues with it, commands need none: apt-get install gettext"
        yield Finding("programs", "msgfmt", "missing", verdict, "note")
    else:
        yield Finding("programs", "msgfmt", path, "compiles catalogues in tests")


def _lines() -> list[str]:
    try:
        return metadata.requires("xformer") or []
    except metadata.PackageNotFoundError:
        return []
