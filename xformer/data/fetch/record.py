"""What is known of a fetched file: `NAME.fetched.json` beside it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

from xformer.data.fetch.part import Origin
from xformer.storage.files import atomic_write, sha256_of


@dataclass(frozen=True)
class FetchRecord:
    """Where a file came from, and what it was then.

    Attributes:
        url: its address.
        fetched: date and time in UTC, as in ISO 8601.
        size: its bytes.
        sha256: its SHA-256, in hexadecimal.
        licence: of the text in it.
        etag: the server's, if it sent one.
        modified: the server's `Last-Modified`.
    """

    url: str
    fetched: str
    size: int
    sha256: str
    licence: str
    etag: str | None = None
    modified: str | None = None

    @classmethod
    def of(cls, path: Path, origin: Origin, licence: str) -> FetchRecord:
        """Describe a file that has arrived now."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        size = path.stat().st_size
        return cls(origin.url, now, size, sha256_of(path), licence, origin.etag, origin.modified)

    def write(self, target: Path) -> None:
        """Write it beside the file `target`."""
        with atomic_write(record_path(target)) as file:
            json.dump(asdict(self), file, indent=1, ensure_ascii=False)
            file.write("\n")

    @classmethod
    def read(cls, target: Path) -> FetchRecord | None:
        """The record of the file `target`; None if there is none that can be used."""
        try:
            found = json.loads(record_path(target).read_text(encoding="utf-8"))
            record = cls(**{field.name: found[field.name] for field in fields(cls)})
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return record if isinstance(record.size, int) and isinstance(record.sha256, str) else None

    def describes(self, target: Path) -> bool:
        """Whether `target` is still the file that arrived."""
        return target.stat().st_size == self.size and sha256_of(target) == self.sha256


def record_path(target: Path) -> Path:
    """Where the record of a file lies."""
    return target.with_name(f"{target.name}.fetched.json")
