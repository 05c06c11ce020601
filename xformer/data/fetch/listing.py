"""What a source has to fetch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xformer.data.fetch.errors import FetchError
from xformer.data.fetch.http import Client
from xformer.data.fetch.opus import Opus
from xformer.data.fetch.sources import pairs_of
from xformer.data.fetch.tatoeba import manythings_languages, tatoeba_languages
from xformer.data.fetch.wikimatrix import wikimatrix_languages
from xformer.data.languages import language_name


def list_source(
    client: Client, source: str, base: str, names: Sequence[str], *, mirrored: bool = False
) -> list[dict[str, Any]]:
    """Rows about what a source has.

    Args:
        client: makes the requests.
        source: `tatoeba`, `manythings`, `wikimatrix` or `opus`.
        base: its address.
        names: for `opus`: nothing, for the names of all corpora; a corpus, for its pairs; a pair, for the
            corpora that have it.
        mirrored: whether `base` is a mirror's.

    Raises:
        FetchError: the list does not come.
    """
    if source == "opus":
        return _opus(Opus(client, base, mirrored=mirrored), names)
    if source == "wikimatrix":
        codes: list[str] | None = wikimatrix_languages()
    else:
        codes = (tatoeba_languages if source == "tatoeba" else manythings_languages)(client, base)
    if codes is None:
        raise FetchError(f"{base}: has no list of languages")
    return [{"code": code, "language": language_name(code)} for code in codes]


def _opus(opus: Opus, names: Sequence[str]) -> list[dict[str, Any]]:
    if not names:
        return [{"corpus": name} for name in opus.corpora()]
    # A name may have a hyphen, as pairs have: `bible-uedin`.
    if len(names) == 1 and (names[0].count("-") != 1 or names[0] in opus.corpora()):
        files = opus.files(None, names[0])
    else:
        files = [file for pair in pairs_of(names, "OPUS") for file in opus.files(pair)]
    rows = [
        {
            "size": file.size,
            "pairs": file.pairs,
            "corpus": file.corpus,
            "version": file.version,
            "languages": "-".join(file.languages),
        }
        for file in files
    ]
    if not rows:
        raise FetchError(f"{' '.join(names)}: OPUS has no such corpus, or none for this pair")
    return rows
