"""Where a run comes from that was made out of another one, by `xformer tokenizer trim | extend`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from xformer.errors import InputError
from xformer.runs.directory import RunDirectory
from xformer.storage.files import atomic_write
from xformer.storage.structure import structure


@dataclass(frozen=True)
class Origin:
    """What a run was made out of, and how.

    Attributes:
        made_by: the command, `xformer tokenizer trim`.
        run: path of the run that it was made out of.
        step (steps): of the checkpoint.
        weights: hash of the checkpoint's weights (`weights_hash`).
        tokenizer: fingerprint of that run's tokenizer.
        pieces_before (pieces): of that tokenizer.
        pieces (pieces): of the new one.
        texts: names of what the vocabulary was fitted to.
        languages: tags, where the texts have some.
        measured: numbers that were found, by name.
    """

    made_by: str
    run: str
    step: int
    weights: str
    tokenizer: str
    pieces_before: int
    pieces: int
    texts: tuple[str, ...]
    languages: tuple[str, ...] = ()
    measured: dict[str, Any] = field(default_factory=dict)

    def save(self, run: RunDirectory) -> None:
        """Write it into a run."""
        with atomic_write(run.origin) as file:
            json.dump(asdict(self), file, ensure_ascii=False, indent=2)
            file.write("\n")

    @classmethod
    def load(cls, run: RunDirectory) -> Origin | None:
        """What a run says about its origin; None where it says nothing.

        Raises:
            InputError: its file is damaged.
        """
        try:
            found = json.loads(run.origin.read_text(encoding="utf-8"))
            if not isinstance(found, Mapping):
                raise ValueError(f"expected a JSON object, got {type(found).__name__}")
            return structure(dict(found), cls)
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise InputError(f"{run.origin}: expected what made this run: {error}") from error

    def said(self) -> str:
        """The same as a sentence and a list, in Markdown."""
        of = ", ".join(self.languages) or ", ".join(self.texts)
        lines = [
            f"Made with `{self.made_by}` out of the run `{self.run}`, step {self.step:,}: {self.pieces:,}"
            f" pieces, which were {self.pieces_before:,}, for {of}.\n"
        ]
        return "\n".join([*lines, *(f"- {name}: {value}" for name, value in self.measured.items())]) + "\n"
