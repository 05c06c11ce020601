from __future__ import annotations

import os
from pathlib import Path

import pytest

from xformer.doctor.limits import affinity, cpu_flags, cpu_name, cpu_quota, memory, memory_limit, read


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def test_the_narrowest_group_of_version_2_holds(tmp_path: Path) -> None:
    proc = write(tmp_path / "proc", {"self/cgroup": "0::/outer/inner\n"})
    groups = write(
        tmp_path / "groups",
        {
            "outer/cpu.max": "150000 100000\n",
            "outer/inner/cpu.max": "max 100000\n",
            "outer/memory.max": "max\n",
            "outer/inner/memory.max": "1073741824\n",
        },
    )
    assert cpu_quota(proc, groups) == 1.5
    assert memory_limit(proc, groups) == 1 << 30


def test_version_1_has_files_of_its_own(tmp_path: Path) -> None:
    proc = write(tmp_path / "proc", {"self/cgroup": "4:memory:/job\n2:cpu,cpuacct:/job\n1:name=systemd:/\n"})
    groups = write(
        tmp_path / "groups",
        {
            "cpu,cpuacct/job/cpu.cfs_quota_us": "50000\n",
            "cpu,cpuacct/job/cpu.cfs_period_us": "100000\n",
            "cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
            "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            "memory/job/memory.limit_in_bytes": "9223372036854771712\n",
        },
    )
    assert cpu_quota(proc, groups) == 0.5
    assert memory_limit(proc, groups) is None


def test_nothing_is_known_where_nothing_is_written(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    assert cpu_quota(nowhere, nowhere) is None
    assert memory_limit(nowhere, nowhere) is None
    assert memory(nowhere) is None
    assert cpu_flags(nowhere) == frozenset()
    assert cpu_name(nowhere) == ""
    assert read(tmp_path) == ""  # a folder


def test_damaged_files_say_nothing(tmp_path: Path) -> None:
    proc = write(tmp_path / "proc", {"self/cgroup": "0::/\nrubbish\n\n", "meminfo": "MemTotal: lots\n"})
    groups = write(tmp_path / "groups", {"cpu.max": "1 0\n", "memory.max": "much\n"})
    assert cpu_quota(proc, groups) is None
    assert memory_limit(proc, groups) is None
    assert memory(proc) is None


def test_memory_and_instructions_are_read(tmp_path: Path) -> None:
    proc = write(
        tmp_path,
        {
            "meminfo": "MemTotal:       2048 kB\nMemFree: 1 kB\nMemAvailable:   1024 kB\n",
            "cpuinfo": "model name\t: A CPU\nflags\t\t: fpu avx2 amx_tile\n",
        },
    )
    assert memory(proc) == (2 << 20, 1 << 20)
    assert cpu_flags(proc) == {"fpu", "avx2", "amx_tile"}
    assert cpu_name(proc) == "A CPU"


def test_affinity_may_not_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert affinity() is None
