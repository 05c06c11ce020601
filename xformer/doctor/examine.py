"""All findings, in the order of the page. Whatever breaks in finding one becomes a finding itself."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable

from xformer.doctor.accelerator import gpu_findings, precision_finding, torch_finding, triton_finding
from xformer.doctor.competition import Look
from xformer.doctor.finding import Finding
from xformer.doctor.installation import extras, imported_names, installation, programs
from xformer.doctor.machine import company, cores, processor, resources
from xformer.doctor.probe import Probe
from xformer.doctor.requirements import Requirement, requirements

_WATCH_S = 0.5
"""Seconds in which other processes are watched."""
_PATIENCE_S = 20.0
"""Seconds after which a library that is being imported is given up."""
_TORCH = Requirement("torch", "2.11", None)


def examine() -> list[Finding]:
    """Look at the machine and the installation. Nothing is changed, and nothing is asked of a network."""
    before, began = Look.now(), time.monotonic()
    torch = Probe("torch")
    own = {os.getpid(), os.getppid(), torch.pid}
    found = _all("extras", extras) + _all("programs", programs) + _all("memory", resources)
    errors = _import_errors(imported_names())
    time.sleep(max(0.0, _WATCH_S - (time.monotonic() - began)))
    others = _all("CPU", lambda: [company(before, own)])
    answers, stopped = torch.answers()
    needed = next((one for one in requirements(_metadata()) if one.name == "torch"), _TORCH)
    of_torch = (
        lambda: [torch_finding(answers, stopped, needed)],
        lambda: gpu_findings(answers),
        lambda: [triton_finding(answers)],
        lambda: [precision_finding(answers)],
    )
    return [
        *_all("installation", lambda: installation(errors)),
        *(one for part in of_torch for one in _all("torch", part)),
        *_all("CPU", lambda: [processor(), cores(answers.get("threads"))]),
        *others,
        *(one for one in found if one.topic in ("memory", "disk")),
        *(one for one in found if one.topic not in ("memory", "disk")),
    ]


def _import_errors(names: list[str]) -> dict[str, str]:
    """What went wrong when each library was imported; empty where nothing did."""
    errors: dict[str, str] = {}
    while names:
        answers, ended = Probe("libraries", *names).answers(_PATIENCE_S)
        errors |= answers
        names = [name for name in names if name not in answers]
        if names:  # the first that gave no answer is the one that ended the process
            errors[names.pop(0)] = ended or "no answer"
    return errors


def _all(topic: str, look: Callable[[], Iterable[Finding | None]]) -> list[Finding]:
    """The findings of a part, or a finding that it failed."""
    try:
        return [one for one in look() if one is not None]
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        return [Finding(topic, topic, "could not be examined", why, "warning")]


def _metadata() -> list[str]:
    from importlib import metadata

    try:
        return metadata.requires("xformer") or []
    except metadata.PackageNotFoundError:
        return []


def report(*, as_json: bool) -> int:
    """Print all findings on standard output.

    Args:
        as_json: as one JSON list, not as a page.

    Returns:
        The exit status: 1 if something is broken.
    """
    found = examine()
    if as_json:
        text = json.dumps([one.to_json() for one in found], indent=2, ensure_ascii=False) + "\n"
    else:
        text = page(found)
    sys.stdout.write(text)
    return int(any(one.state == "broken" for one in found))


def page(findings: list[Finding]) -> str:
    """The findings as lines of text, and how many ask for something."""
    width = max(len(one.name) for one in findings)
    lines: list[str] = []
    topic = None
    for one in findings:
        lines += [""] if topic not in (None, one.topic) else []
        topic = one.topic
        lines.append(one.line(width))
    broken = [one.name for one in findings if one.state == "broken"]
    warned = [one.name for one in findings if one.state == "warning"]
    last = f"Broken: {', '.join(broken)}. " if broken else ""
    last += f"To look at: {', '.join(warned)}." if warned else ""
    return "\n".join([*lines, "", last or "All is fine.", ""])
