"""What is found about a machine: a line each, with a verdict. Stands on the standard library alone."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

State = Literal["ok", "note", "warning", "broken"]


@dataclass(frozen=True)
class Finding:
    """One line.

    Attributes:
        topic: the part of the page that it belongs to.
        name: of what was looked at.
        value: what was found.
        verdict: what it means, or what to do about it.
        state: `ok`; `note`: something that is missing and need not be there; `warning`: works, but slowly or
            not for long; `broken`: commands will fail.
    """

    topic: str
    name: str
    value: str
    verdict: str
    state: State = "ok"

    def line(self, width: int = 0) -> str:
        """The finding as text; `width` is that of the column of names."""
        return f"{self.state:<8} {self.name:<{width}}  {self.value}: {self.verdict}"

    def to_json(self) -> dict[str, Any]:
        """All of it, as JSON has it."""
        return asdict(self)


def size(n_bytes: float) -> str:
    """A number of bytes in words: `3.2 GiB`."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if n_bytes < 1024:
            return f"{n_bytes:.0f} bytes" if unit == "bytes" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1024
    return f"{n_bytes:.1f} TiB"
