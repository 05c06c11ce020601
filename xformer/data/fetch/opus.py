"""Corpora of OPUS in the Moses format, found through its API.

https://opus.nlpl.eu/opusapi/ answers `?corpus=Books&source=de&target=en&preprocessing=moses&version=latest`
with a list of files, and `?corpora=True` with the names of all corpora. The files lie elsewhere, under
`OPUS-Books/v1/moses/de-en.txt.zip`. A zip has a README, which names the licence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from xformer.data.fetch.errors import FetchError
from xformer.data.fetch.files import Remote
from xformer.data.fetch.http import Client
from xformer.data.fetch.sources import Plan, pairs_of
from xformer.data.languages import canonical_language
from xformer.data.readers.lines import input_errors, open_zip
from xformer.errors import InputError
from xformer.storage.suggest import did_you_mean

OPUS = "https://opus.nlpl.eu"
_STORAGE = "https://object.pouta.csc.fi"
_LICENCE = re.compile(r"^[ \t]*licen[sc]e[ \t]*:[ \t]*(.*)$", re.IGNORECASE | re.MULTILINE)
_LINK = re.compile(r"<a\s[^>]*href\s*=\s*[\"']?([^\s\"'>]+)[^>]*>(.*?)</a>", re.IGNORECASE | re.DOTALL)
_LONGEST_README = 1 << 22


@dataclass(frozen=True)
class OpusFile:
    """A zip of OPUS.

    Attributes:
        corpus: its name.
        version: its release.
        languages: the two codes, in their order.
        url: its address.
        pairs: number of sentence pairs; None if unknown.
        size: bytes, to the next thousand; None if unknown.
    """

    corpus: str
    version: str
    languages: tuple[str, str]
    url: str
    pairs: int | None = None
    size: int | None = None


class Opus:
    """The API of OPUS.

    Args:
        client: makes the requests.
        base: where `opusapi/` is.
        mirrored: whether the files are under `base`, too.
    """

    def __init__(self, client: Client, base: str = OPUS, *, mirrored: bool = False) -> None:
        self._client, self._base, self._mirrored = client, base, mirrored

    def corpora(self) -> list[str]:
        """The names of all corpora."""
        return sorted(str(name) for name in self._ask(corpora="True"))

    def files(
        self, pair: tuple[str, str] | None, corpus: str | None = None, version: str | None = "latest"
    ) -> list[OpusFile]:
        """The zips of a pair, of a corpus, or of both.

        Args:
            pair: codes of languages; None: all.
            corpus: its name; None: all.
            version: a release, `latest`, or None for all.
        """
        query = {"corpus": corpus, "source": pair and pair[0], "target": pair and pair[1]}
        query |= {"preprocessing": "moses", "version": version}
        found = self._ask(**{name: value for name, value in query.items() if value})
        try:
            files = [self._file(entry) for entry in found]
        except (KeyError, TypeError, ValueError) as error:
            raise FetchError(f"{self._base}: expected a list of files of OPUS, got {error!r}") from error
        # Some entries are texts in one language.
        return [file for file in files if all(file.languages) and pair in (None, file.languages)]

    def direct(self, corpus: str, version: str, pair: tuple[str, str]) -> OpusFile:
        """The zip of a release by the way in which OPUS names files, without the API."""
        path = f"OPUS-{quote(corpus)}/{quote(version)}/moses/{'-'.join(pair)}.txt.zip"
        return OpusFile(corpus, version, pair, f"{self._base if self._mirrored else _STORAGE}/{path}")

    def _ask(self, **query: str) -> list[Any]:
        url = f"{self._base}/opusapi/?{urlencode(query)}"
        text = self._client.text(url)
        try:
            return list(json.loads(text)["corpora"])
        except (ValueError, KeyError, TypeError) as error:
            raise FetchError(f"{url}: expected JSON with 'corpora', got {text[:60]!r}") from error

    def _file(self, entry: dict[str, Any]) -> OpusFile:
        """Read an entry of the API; counts are numbers, or empty texts where they are unknown."""
        url = str(entry["url"])
        if self._mirrored:
            url = self._base + urlsplit(url).path
        pairs, size = entry.get("alignment_pairs"), entry.get("size")
        return OpusFile(
            str(entry["corpus"]),
            str(entry["version"]),
            (str(entry["source"]), str(entry["target"])),
            url,
            pairs if isinstance(pairs, int) else None,
            size * 1000 if isinstance(size, int) else None,
        )


def plan_opus(opus: Opus, names: Sequence[str], release: str = "latest") -> Plan:
    """Plan the zips of a corpus for some pairs.

    Args:
        opus: the API.
        names: the corpus, and pairs such as `de-en`.
        release: such as `v1`; `latest`.

    Raises:
        InputError: there is no such corpus, pair or release; the message names what there is.
        FetchError: the API does not answer, and the release was not named.
    """
    if len(names) < 2:
        raise InputError("opus: expected a corpus and pairs, such as Books de-en; --list shows what there is")
    corpus, *rest = names
    files = [_find(opus, corpus, pair, release) for pair in pairs_of(rest, "OPUS")]
    remotes = [
        Remote(file.url, f"{file.corpus}-{file.version}.{'-'.join(file.languages)}.zip") for file in files
    ]
    return Plan("moses", tuple(remotes), licence_inside, {})


def _find(opus: Opus, corpus: str, pair: tuple[str, str], release: str) -> OpusFile:
    first, second = sorted(canonical_language(code) for code in pair)
    try:
        for languages in dict.fromkeys((pair, (first, second))):
            if found := opus.files(languages, corpus, release):
                return found[0]
    except FetchError:
        if release == "latest":
            raise
        return opus.direct(corpus, release, pair)
    raise _explained(opus, corpus, pair, release)


def _explained(opus: Opus, corpus: str, pair: tuple[str, str], release: str) -> InputError:
    """The error that says what there is instead of a file."""
    known = opus.corpora()
    if corpus not in known:
        same = [name for name in known if name.casefold() == corpus.casefold()]
        meant = f", did you mean {same[0]}?" if same else did_you_mean(corpus, known)
        return InputError(f"{corpus}: OPUS has no such corpus{meant or '; --list names all'}")
    wanted = "-".join(pair)
    releases = sorted({file.version for file in opus.files(pair, corpus, None)})
    if releases:
        raise InputError(
            f"--release: expected one of {', '.join(releases)} for {corpus} {wanted}, got {release}"
        )
    pairs = sorted({"-".join(file.languages) for file in opus.files(None, corpus)})
    near = [name for name in pairs if set(name.split("-")) & set(pair)]
    shown = ", ".join((near or pairs)[:12]) + (" …" if len(near or pairs) > 12 else "")
    return InputError(
        f"{wanted}: {corpus} of OPUS has no such pair{did_you_mean(wanted, near)}; it has {shown or 'none'}"
    )


def licence_inside(path: Path) -> str:
    """The licence that the README in a zip of OPUS names, or the first line of its LICENSE.

    `unknown`, if it has neither. A link in it is written as a text with an address in brackets.
    """
    with open_zip(path) as archive, input_errors(path):
        members = {Path(name).name.upper(): name for name in archive.namelist()}
        texts = {}
        for name in ("README", "LICENSE"):
            if name in members:
                with archive.open(members[name]) as file:
                    texts[name] = file.read(_LONGEST_README).decode("utf-8", "replace")
    match = _LICENCE.search(texts.get("README", ""))
    said = match[1] if match else texts.get("LICENSE", "").strip().split("\n")[0]
    said = _LINK.sub(lambda link: f"{link[2]} ({link[1]})", said)
    said = " ".join(unescape(re.sub(r"<[^>]+>", "", said)).split())
    return said if said.lower() not in ("", "empty", "unknown", "n/a") else "unknown"
