"""What a measurement leaves behind: one line of JSON with all that is needed to judge and to repeat it."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import re
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal

import torch


@dataclass(frozen=True)
class Environment:
    """Where and with what a measurement was made.

    Attributes:
        device: the processor's own name.
        threads: threads that PyTorch computes with on a CPU.
        commit: of this repository, with `+` where the files differ from it; `unknown` outside a checkout.
        python: version.
        torch: version, build included.
        triton: version, or none.
    """

    device: str
    threads: int
    commit: str
    python: str
    torch: str
    triton: str | None

    @property
    def file_name(self) -> str:
        """`nvidia-h100-80gb-hbm3.jsonl`: the device's own file of records."""
        return re.sub(r"[^a-z0-9]+", "-", self.device.lower()).strip("-") + ".jsonl"


@dataclass(frozen=True)
class Record:
    """One implementation on one case in one direction.

    Attributes:
        benchmark: what was measured: `attention`.
        case: the case's name.
        shape: the case's numbers, by name.
        dtype: of the inputs.
        direction: `forward` or `forward+backward`.
        implementation: who did the work.
        status: `ok`; or without times: `wrong`, its error is beyond what is allowed; `unsupported`, it says
            so itself; `failed`, it broke down.
        note: why it is not ok.
        error: largest absolute difference from fp64, of the result where it is worst; none if not finite.
        error_multiple: the same as a multiple of plain PyTorch's error in this dtype.
        seconds: quantiles of the time of one call, in seconds, by name: p20, p50, p80.
        rounds: times it was measured.
        tokens_per_second: at the median.
        flops_per_second: at the median, of the operations that the case needs.
        environment: where.
    """

    benchmark: str
    case: str
    shape: dict[str, object]
    dtype: str
    direction: str
    implementation: str
    status: Literal["ok", "wrong", "unsupported", "failed"]
    note: str
    error: float | None
    error_multiple: float | None
    seconds: dict[str, float] | None
    rounds: int
    tokens_per_second: float | None
    flops_per_second: float | None
    environment: Environment

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, line: str) -> Record:
        """The record that `to_json` wrote.

        Raises:
            ValueError: the line is not such a record; the message says what is missing or unknown.
        """
        values = json.loads(line)
        known = {field.name for field in fields(cls)}
        if not isinstance(values, dict) or set(values) != known:
            given = set(values) if isinstance(values, dict) else set()
            raise ValueError(
                f"benchmark record: missing {sorted(known - given)}, unknown {sorted(given - known)}"
            )
        return cls(**{**values, "environment": Environment(**values["environment"])})


def environment(device: torch.device) -> Environment:
    """Describe this machine and what runs on it."""
    try:
        triton = importlib.metadata.version("triton")
    except importlib.metadata.PackageNotFoundError:
        triton = None
    cuda = device.type == "cuda"
    return Environment(
        device=torch.cuda.get_device_name(device) if cuda else _cpu_name(),
        threads=torch.get_num_threads(),
        commit=_commit(),
        python=platform.python_version(),
        torch=torch.__version__,
        triton=triton,
    )


def append(path: Path, records: Iterable[Record]) -> None:
    """Add records at the end of a file, which is made when there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8", newline="\n") as file:
        file.write("".join(record.to_json() + "\n" for record in records))


def read(path: Path) -> list[Record]:
    """All records of a file.

    Raises:
        ValueError: a line is not a record; the message names file and line.
    """
    records = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n")[:-1], 1):
        try:
            records.append(Record.from_json(line))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path}:{number}: {error}") from error
    return records


def _cpu_name() -> str:
    """The processor's model, from Linux where it says so."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(encoding="utf-8"), re.MULTILINE)
        if found:
            return found[1].strip()
    return platform.processor() or platform.machine()


def _commit() -> str:
    """This checkout's short commit, `+` appended where tracked files were changed."""
    here = Path(__file__).resolve()
    git = ("git", "-C", str(here.parent))
    try:
        # An installed copy may lie inside someone else's repository.
        ours = (*git, "ls-files", "--error-unmatch", here.name)
        subprocess.run(ours, capture_output=True, check=True, timeout=30)
        describe = (*git, "describe", "--always", "--dirty=+", "--exclude=*")
        done = subprocess.run(describe, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()
