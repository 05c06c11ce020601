"""Findings about the CPU: its instructions, its threads, who else uses it; memory and disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from xformer.doctor.competition import Competition, Look, competition
from xformer.doctor.finding import Finding, size
from xformer.doctor.limits import (
    CGROUPS,
    PROC,
    affinity,
    cpu_flags,
    cpu_name,
    cpu_quota,
    memory,
    memory_limit,
)

_FEATURES = {
    "AVX2": ("avx2",),
    "AVX-512": ("avx512f",),
    "VNNI": ("avx512_vnni", "avx_vnni"),
    "bf16": ("avx512_bf16", "amx_bf16", "bf16"),
    "AMX": ("amx_tile",),
}
_MEMORY_FOR_DEMO, _DISK_FOR_DEMO = 2 << 30, 2 << 30


def processor(proc: Path = PROC) -> Finding:
    """The instructions of the CPU that products use."""
    flags = cpu_flags(proc)
    if not flags:
        verdict = "the system does not list its instructions; PyTorch uses what it finds"
        return Finding("CPU", "instructions", cpu_name(proc) or "unknown", verdict, "note")
    there = [name for name, words in _FEATURES.items() if flags & set(words)]
    lacking = [name for name in _FEATURES if name not in there]
    value = f"{cpu_name(proc) or 'CPU'}: {', '.join(there) or 'none'}"
    if "AVX2" not in there and not flags & {"asimd"}:
        return Finding("CPU", "instructions", value, "no AVX2, so no int8; expect slow training", "warning")
    int8 = (
        "int8 (--dtype int8) has instructions of its own"
        if "VNNI" in there
        else "int8 (--dtype int8) may be worth trying"
    )
    return Finding("CPU", "instructions", value, f"{int8}; not there: {', '.join(lacking) or 'none'}")


def cores(
    torch_threads: int | None,
    environment: Mapping[str, str] = os.environ,
    proc: Path = PROC,
    cgroups: Path = CGROUPS,
) -> Finding:
    """How many threads PyTorch starts, and how many can run at once."""
    counted, allowed, quota = os.cpu_count(), affinity(), cpu_quota(proc, cgroups)
    parts = [f"{counted or 'unknown'} processors"]
    parts += [f"{allowed} by affinity"] if allowed is not None else []
    parts += [f"{quota:.3g} by quota"] if quota is not None else []
    parts += [f"{torch_threads} threads of PyTorch"] if torch_threads is not None else []
    parts += [f"OMP_NUM_THREADS={environment['OMP_NUM_THREADS']}"] if "OMP_NUM_THREADS" in environment else []
    value = ", ".join(parts)
    known = [one for one in (counted, allowed, quota) if one is not None]
    if torch_threads is None or not known:
        return Finding("CPU", "threads", value, "nothing to compare", "note")
    usable = max(1, int(min(known)))
    if torch_threads > usable:
        verdict = (
            f"more threads than may run at once, which wait for each other: export OMP_NUM_THREADS={usable}"
        )
        return Finding("CPU", "threads", value, verdict, "warning")
    if torch_threads < usable:
        verdict = f"{usable} could run: export OMP_NUM_THREADS={usable}, or unset it, unless this is meant"
        return Finding("CPU", "threads", value, verdict, "note")
    return Finding("CPU", "threads", value, "one for each that may run")


def company(before: Look | None, own: Collection[int], proc: Path = PROC) -> Finding:
    """Who else uses the processors.

    Args:
        before: an earlier look.
        own: processes that do not count.
        proc: where Linux describes processes.
    """
    try:
        load = "load {:.1f}, {:.1f}, {:.1f}".format(*os.getloadavg())
    except (OSError, AttributeError):
        load = "load unknown"
    after = Look.now(proc)
    if before is None or after is None:
        return Finding("CPU", "others", load, "the system does not list other processes", "note")
    return of_competition(competition(before, after, own), load, affinity() or os.cpu_count() or 1)


def of_competition(found: Competition, load: str, processors: int) -> Finding:
    """The finding about what others used."""
    busy = [f"{name} ({number}) {used:.0%}" for name, number, used in found.processes[:3] if used >= 0.05]
    busy += [f"processes out of sight {found.unseen:.0%}"] if found.unseen else []
    busy += [f"{found.hidden} may not be read"] if found.hidden else []
    value = f"{load}; {', '.join(busy) or 'nobody is busy'}"
    if found.cores < 0.25:
        return Finding("CPU", "others", value, "the processors are free")
    left = max(1, int(processors - found.cores + 0.25))
    verdict = (
        f"others use {found.cores:.1f} of {processors} processors, so steps are slower and timings mean"
        f" little: stop them, or leave training.threads=auto (it measures), or set training.threads={left}"
    )
    return Finding("CPU", "others", value, verdict, "warning")


def resources(
    environment: Mapping[str, str] = os.environ, proc: Path = PROC, cgroups: Path = CGROUPS
) -> Iterator[Finding]:
    """Findings about memory and disk."""
    known, limit = memory(proc), memory_limit(proc, cgroups)
    if known is None:
        yield Finding("memory", "memory", "unknown", "the system does not say; watch it yourself", "note")
    else:
        total, free = known
        free = free if limit is None else min(free, limit)
        value = f"{size(free)} free of {size(total)}"
        value += f", limit {size(limit)}" if limit is not None and limit < total else ""
        few = free < _MEMORY_FOR_DEMO
        verdict = (
            "`xformer demo` wants about 2 GiB: close something, or take a smaller model.d_model"
            if few
            else "enough for the default model; `xformer pretrain … --dry-run` says what a larger one needs"
        )
        yield Finding("memory", "memory", value, verdict, "warning" if few else "ok")
    cache = Path(environment["XFORMER_CACHE"]) if environment.get("XFORMER_CACHE") else None
    try:
        cache = cache or Path.home() / ".cache" / "xformer"
    except RuntimeError:
        verdict = "there is no home folder: set XFORMER_CACHE to a folder"
        yield Finding("disk", "cache", "unknown", verdict, "warning")
        return
    yield _disk("cache", cache, "set XFORMER_CACHE to a folder")
    yield _disk("here", Path.cwd(), "choose another folder for runs")


def _disk(name: str, folder: Path, instead: str) -> Finding:
    """Whether a folder can be written to, and how much fits."""
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        free = shutil.disk_usage(there).free
    except OSError as error:
        return Finding("disk", name, str(folder), f"{error.strerror}: {instead}", "warning")
    value = f"{folder}, {size(free)} free"
    if not os.access(there, os.W_OK) or not there.is_dir():
        return Finding("disk", name, value, f"cannot be written: {instead}", "warning")
    if free < _DISK_FOR_DEMO:
        return Finding("disk", name, value, f"runs and corpora take gigabytes: {instead}", "warning")
    return Finding("disk", name, value, "can be written")
