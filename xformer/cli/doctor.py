"""`xformer doctor`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Doctor:
    """Look at this machine and this installation: what is broken, missing, slow or in use by others.

    xformer doctor

    xformer doctor --json

    A line each, which ends in what to do. Exit status: 0 fine, 1 something is broken. Nothing is changed, and
    no network is used. torch is imported in a process of its own.
    """

    json: bool = False
    """Print one JSON list and nothing else on standard output."""

    def run_command(self) -> int:
        """Print the findings, and return the exit status."""
        from xformer.doctor.examine import report

        return report(as_json=self.json)
