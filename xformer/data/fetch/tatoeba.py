"""Tatoeba's weekly exports, and the pairs that ManyThings.org makes of them.

https://tatoeba.org/en/downloads describes the files; https://www.manythings.org/anki lists the pairs. Both
name languages by ISO 639-3.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations

from xformer.data.fetch.files import Remote
from xformer.data.fetch.http import Client
from xformer.data.fetch.sources import Plan, always, find_codes, linked_names
from xformer.errors import InputError

TATOEBA = "https://downloads.tatoeba.org/exports"
MANYTHINGS = "https://www.manythings.org/anki"

_LICENCE = "CC BY 2.0 FR"
_CODE = re.compile(r"[a-z]{3}")
_ZIP = re.compile(r"([a-z]{3})-eng\.zip")
_MOST_PAIRS = 10
"""Of more pairs, all links of the export are fetched: one file of some 150 MB, instead of many."""


def tatoeba_languages(client: Client, base: str) -> list[str] | None:
    """The codes that the exports have; None if the server does not list them."""
    names = linked_names(client, f"{base}/per_language/")
    codes = sorted({name for name in names or () if _CODE.fullmatch(name)})
    return codes or None


def plan_tatoeba(client: Client, base: str, languages: Sequence[str], *, cc0: bool = False) -> Plan:
    """Plan the sentences of some languages, or of all, and the links between them.

    Args:
        client: makes the requests.
        base: where the exports are.
        languages: `deu`, `de` or `German`; none: all.
        cc0: only sentences that their authors gave away under CC0.

    Raises:
        InputError: there is no such language.
        FetchError: the list of languages does not come.
    """
    licence = always("CC0-1.0" if cc0 else _LICENCE)
    end = "_CC0" if cc0 else ""
    links = Remote(f"{base}/links.tar.bz2", "links.tar.bz2")
    if not languages:
        name = f"sentences{end}.tar.bz2"
        return Plan("tatoeba", (Remote(f"{base}/{name}", name), links), licence, {})
    codes = sorted(find_codes(languages, tatoeba_languages(client, base), "Tatoeba"))
    folder = f"{base}/per_language"
    names = [(code, f"{code}_sentences{end}.tsv.bz2") for code in codes]
    pairs = list(combinations(codes, 2))
    remotes = [Remote(f"{folder}/{code}/{name}", name) for code, name in names]
    if len(pairs) > _MOST_PAIRS:
        return Plan("tatoeba", (*remotes, links), licence, {})
    for first, second in pairs:
        name = f"{first}-{second}_links.tsv.bz2"
        # Two languages without a link between them have no such file.
        remotes.append(Remote(f"{folder}/{first}/{name}", name, optional=True))
    return Plan("tatoeba", tuple(remotes), licence, {})


def manythings_languages(client: Client, base: str) -> list[str] | None:
    """The codes of languages that have pairs with English; None if the server does not list them."""
    names = linked_names(client, f"{base}/")
    return sorted({match[1] for name in names or () if (match := _ZIP.fullmatch(name))}) or None


def plan_manythings(client: Client, base: str, languages: Sequence[str]) -> Plan:
    """Plan the pairs of some languages with English.

    Raises:
        InputError: no language was named, or there is none of that name.
        FetchError: the list of languages does not come.
    """
    if not languages:
        raise InputError("manythings: expected languages, such as deu; --list shows what there is")
    names = [name.removesuffix("-eng") for name in languages]
    codes = find_codes(names, manythings_languages(client, base), "ManyThings.org")
    files = [f"{code}-eng.zip" for code in codes]
    return Plan("manythings", tuple(Remote(f"{base}/{name}", name) for name in files), always(_LICENCE), {})
