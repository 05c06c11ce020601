"""`python -m benchmarks.training.forecast RUN`: the accuracy of the forecasts of `xformer pretrain
--dry-run`.

For each case the forecast is made and then the run, each by the command line in a process of its own, on the
data of RUN. The table compares steps, seconds of training, text tokens, seconds of the whole call, and the
peak memory of the process. RUN is only read.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xformer.runs.metrics import read_metrics

_TAKEN = ("config.toml", "manifest.json", "corpus", "tokenizer.model", "shards")


@dataclass(frozen=True)
class Case:
    """A run to forecast.

    Attributes:
        name: of the case.
        arguments: of `xformer pretrain`, after the run.
    """

    name: str
    arguments: tuple[str, ...]


CASES = (
    Case("small", ("--steps", "500", "--set", "model.n_layers=1", "model.d_model=128", "model.d_ff=192")),
    Case("default", ("--steps", "200")),
    Case("deep", ("--steps", "60", "--set", "model.n_layers=6")),
    Case("one minute", ("--budget", "60s")),
)


@dataclass(frozen=True)
class Compared:
    """The forecast of a quantity, and its measured value."""

    case: str
    what: str
    forecast: float
    found: float

    def line(self) -> str:
        """A line of the table."""
        share = f"{100 * (self.forecast / self.found - 1):+.1f}%"
        return f"{self.case:<12} {self.what:<18} {self.forecast:>14,.1f} {self.found:>14,.1f} {share:>8}"


def compare(case: Case, source: Path, folder: Path) -> list[Compared]:
    """Forecast and run one case.

    Args:
        case: what to run.
        source: a run with prepared data.
        folder: an empty folder for the new run.
    """
    run = folder / "run"
    run.mkdir()
    for name in _TAKEN:
        if (source / name).is_dir():
            shutil.copytree(source / name, run / name)
        else:
            shutil.copy2(source / name, run / name)
    command = [sys.executable, "-m", "xformer", "pretrain", str(run), *case.arguments]
    told = subprocess.run([*command, "--dry-run", "--json"], check=True, capture_output=True, text=True)
    forecast: dict[str, Any] = json.loads(told.stdout)
    began = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit status {process.returncode}")
    seconds = time.monotonic() - began
    last = read_metrics(run / "metrics.jsonl")[-1]
    found = [
        Compared(case.name, "steps", forecast["steps"], last["step"]),
        Compared(case.name, "seconds of training", forecast["seconds"], last["elapsed"]),
        Compared(case.name, "tokens", forecast["tokens"], last["tokens"]),
        Compared(case.name, "seconds in all", forecast["wall_seconds"], seconds),
    ]
    if forecast["process_bytes"] is not None:
        peak = _peak_bytes(usage)
        found.append(Compared(case.name, "MiB in use", forecast["process_bytes"] / 2**20, peak / 2**20))
    return found


def _peak_bytes(usage: resource.struct_rusage) -> int:
    """The peak memory in bytes; Linux counts it in KiB, macOS in bytes."""
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main() -> None:
    """Run the cases and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path, help="a run with prepared data; only read")
    parser.add_argument("--only", default="", help="only cases whose name contains this")
    options = parser.parse_args()
    write = sys.stdout.write
    write(f"{'case':<12} {'what':<18} {'forecast':>14} {'found':>14}\n")
    for case in CASES:
        if options.only in case.name:
            with tempfile.TemporaryDirectory() as folder:
                for one in compare(case, options.run, Path(folder)):
                    write(one.line() + "\n")
                    sys.stdout.flush()


if __name__ == "__main__":
    main()
