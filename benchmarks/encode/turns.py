"""The sides of the bench as processes that wait for their turn, and talk in lines of JSON.

Imports the standard library alone: the peer's process may run in another environment.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class SideError(Exception):
    """A side's process ended; the message is the last line that it wrote."""


@dataclass
class Side:
    """A process that encodes when it is told to.

    Attributes:
        name: as shown.
        process: its process.
        errors: the file of its messages.
    """

    name: str
    process: subprocess.Popen[str]
    errors: Path

    @classmethod
    def start(cls, name: str, python: str, module: str, job: dict[str, Any], threads: int, log: Path) -> Side:
        """Start `python -m MODULE JOB` with a number of threads."""
        root = str(Path(__file__).resolve().parents[2])
        many = dict.fromkeys(
            ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS", "TOKENIZERS_THREADS"), str(threads)
        )
        quiet = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "TOKENIZERS_PARALLELISM": "true"}
        with log.open("w", encoding="utf-8") as errors:
            process = subprocess.Popen(
                [python, "-P", "-m", module, json.dumps(job | {"threads": threads})],
                env={**os.environ, **many, **quiet, "PYTHONPATH": root, "PYTHONWARNINGS": "ignore"},
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
            )  # fmt: skip
        return cls(name, process, log)

    def ask(self, **command: Any) -> dict[str, Any]:
        """Send a command and wait for the answer.

        Raises:
            SideError: the process ended.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(command) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # what it said last is read below
        # Libraries may print to the same stream.
        for line in self.process.stdout:
            if line.startswith('{"answer"'):
                found: dict[str, Any] = json.loads(line)["answer"]
                return found
        said = self.errors.read_text(encoding="utf-8").strip().splitlines()
        raise SideError(said[-1] if said else f"exit status {self.process.wait()}")

    def stop(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):  # it had ended by itself, and what was asked was not read
                    stream.close()


def serve(commands: dict[str, Callable[..., Any]]) -> None:
    """Answer commands from standard input until it ends.

    Args:
        commands: functions by name. The answer holds what they return as `result`, the seconds that they
            took by the clock and of the processor, and the process's peak memory in bytes.
    """
    for line in sys.stdin:
        command = json.loads(line)
        function = commands[command.pop("do")]
        start, cpu = time.perf_counter(), time.process_time()
        result = function(**command)
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        answer = {"result": result, "seconds": seconds, "cpu_seconds": cpu, "peak_bytes": _peak()}
        sys.stdout.write(json.dumps({"answer": answer}) + "\n")
        sys.stdout.flush()


def _peak() -> int:
    """Peak memory of this process, in bytes.

    That of `getrusage` may be the parent's: it is handed on when a process is started.
    """
    status = Path("/proc/self/status")
    for line in status.read_text(encoding="utf-8").splitlines() if status.exists() else ():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
