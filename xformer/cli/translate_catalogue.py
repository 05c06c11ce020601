"""`xformer translate RUN messages.po`: fills what a catalogue lacks."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from xformer.errors import InputError

if TYPE_CHECKING:
    from xformer.localization.catalogue import Catalogue
    from xformer.localization.fill import Filled
    from xformer.progress import Progress
    from xformer.translation.translator import Search, Translator

ENDINGS = (".po", ".pot")
_AT_ONCE = 256
_SHOWN = 20
"""Messages that stay untranslated, of which so many are shown."""


def open_catalogue(files: Sequence[Path], out: Path | None, to: str) -> Catalogue:
    """Open the one catalogue of a command, before a model is loaded.

    Raises:
        InputError: there are other files beside it, no file to write is named or it cannot be written, or the
            catalogue is damaged or of another language.
    """
    from xformer.data.record import normalize_language
    from xformer.localization.catalogue import Catalogue
    from xformer.storage.outputs import check_output_file

    if len(files) > 1:
        raise InputError(f"{files[0]}: a catalogue; expected it alone, got {len(files)} files")
    if out is None:
        raise InputError(f"{files[0]}: a catalogue; say with -o which file to write")
    check_output_file(out)
    opened = Catalogue(files[0])
    opened.plural_forms()
    if opened.language and normalize_language(opened.language) != normalize_language(to):
        raise InputError(f"{files[0]}: its header says Language: {opened.language}, and --to says {to}")
    return opened


def fill(
    catalogue: Catalogue,
    translator: Translator,
    to: str,
    source: str | None,
    search: Search,
    progress: Progress,
) -> Filled:
    """Fill a catalogue by a translator, some hundred lines at a time."""
    from xformer.localization.fill import fill_catalogue

    def translate(lines: Sequence[str]) -> Iterator[Sequence[str]]:
        rest, done = iter(lines), 0
        while block := list(islice(rest, _AT_ONCE)):
            short = [line for line in block if _fits(translator, line)]
            found = iter(translator.translate(short, to, source, search, first=done))
            fitting = set(short)
            for line in block:
                yield [one.text for one in next(found)] if line in fitting else ()
            done += len(block)
            progress("translate", done, len(lines))

    return fill_catalogue(catalogue, translate)


def report(catalogue: Catalogue, out: Path, done: Filled, as_json: bool) -> str:
    """What was done, for people or as a JSON object."""
    if as_json:
        row = {"file": str(out), "before": catalogue.counts(), **dataclasses.asdict(done)}
        return json.dumps(row, ensure_ascii=False)
    lines = [f"{out}: filled {done.filled:,} messages, marked fuzzy for a person to look at"]
    if done.kept:
        lines.append(f"{len(done.kept):,} stay untranslated:")
        lines += [
            f"  line {one.line}: {one.why}: {' '.join(one.text.split())[:60]}" for one in done.kept[:_SHOWN]
        ]
        if len(done.kept) > _SHOWN:
            lines.append(f"  and {len(done.kept) - _SHOWN:,} more")
    return "\n".join(lines)


def _fits(translator: Translator, line: str) -> bool:
    try:
        translator.check([line])
    except InputError:
        return False
    return True
