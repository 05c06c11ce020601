"""The embedded default corpus: the translations in six well-known Python packages, read from their wheels.

None of that text is in this project. The wheels are pinned by version and SHA-256, so the corpus is the same
everywhere: 4,655 source messages in English and their translations into more than 100 languages.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from xformer.data.download import Wheel, cache_folder, fetch_wheels, print_to_stderr
from xformer.data.readers.gettext import read_gettext
from xformer.data.record import Record

GETTEXT_WHEELS = (
    Wheel(
        name="django",
        version="5.2.19",
        filename="django-5.2.19-py3-none-any.whl",
        sha256="5965d974a5218a2b68a11dd1276434707f23886525c23f0598eccedaf4f4ca00",
        licence="BSD-3-Clause",
    ),
    Wheel(
        name="wagtail",
        version="8.0.1",
        filename="wagtail-8.0.1-py3-none-any.whl",
        sha256="1e6ad5c7891a54efce1400e168298b5a2cc343b642cee89c31bf5ec30c98b26c",
        licence="BSD-3-Clause",
    ),
    Wheel(
        name="sphinx",
        version="9.0.4",
        filename="sphinx-9.0.4-py3-none-any.whl",
        sha256="5bebc595a5e943ea248b99c13814c1c5e10b3ece718976824ffa7959ff95fffb",
        licence="BSD-2-Clause",
    ),
    Wheel(
        name="django-allauth",
        version="65.21.1",
        filename="django_allauth-65.21.1-py3-none-any.whl",
        sha256="7bdf018c9f3f0a32c80677f84e7777272d9c833b180bd6734314c4831c802a9e",
        licence="MIT",
    ),
    Wheel(
        name="django-cms",
        version="5.1.3",
        filename="django_cms-5.1.3-py3-none-any.whl",
        sha256="acf31919aab389d2bea253efa97a901bf55e96046a252f23a7a742e495848a5e",
        licence="BSD-3-Clause",
    ),
    Wheel(
        name="mezzanine",
        version="6.1.1",
        filename="mezzanine-6.1.1-py2.py3-none-any.whl",
        sha256="abb8a3d7ee91b724d8aa89fa971bad1cf8e368c21055da4913e20e1418a96d1b",
        licence="BSD-2-Clause",
    ),
)

# One language under two names, in these wheels: a region where only one is meant, an older or a wider tag.
# Regional variants that are translated apart (es-AR, pt-BR, zh-Hant) keep their own tags. Bare pt is European
# Portuguese here, as all six translate pt-BR beside it; ku-IQ is Central Kurdish.
_SAME_LANGUAGE = {
    "az-AZ": "az",
    "de-DE": "de",
    "fa-IR": "fa",
    "fi-FI": "fi",
    "fr-FR": "fr",
    "he-IL": "he",
    "hi-IN": "hi",
    "hr-HR": "hr",
    "id-ID": "id",
    "is-IS": "is",
    "ko-KR": "ko",
    "mn-MN": "mn",
    "nb-NO": "nb",
    "sk-SK": "sk",
    "sl-SI": "sl",
    "tr-TR": "tr",
    "uk-UA": "uk",
    "vi-VN": "vi",
    "ku-IQ": "ckb",
    "no": "nb",
    "pt": "pt-PT",
    "zh": "zh-Hans",
    "zh-CN": "zh-Hans",
    "zh-TW": "zh-Hant",
}


def fetch_gettext_corpus(
    folder: str | os.PathLike[str] | None = None, *, say: Callable[[str], None] = print_to_stderr
) -> tuple[Path, ...]:
    """Make sure that the six wheels (34 MB) are in `folder`, by default `cache_folder("gettext")`.

    Raises:
        InputError: one is missing and cannot be fetched; see `fetch_wheels`.
    """
    return fetch_wheels(GETTEXT_WHEELS, cache_folder("gettext") if folder is None else folder, say=say)


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
