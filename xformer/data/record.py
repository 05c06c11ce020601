"""Records: what every reader yields, a text with its language and its group."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from xformer.data.languages import canonical_language
from xformer.errors import InputError

# Script names of POSIX locales, in ISO 15924.
_SCRIPTS = {"latin": "Latn", "cyrillic": "Cyrl", "arabic": "Arab", "devanagari": "Deva"}

_TAG = re.compile(r"[A-Za-z]{2,8}([-_@][A-Za-z0-9]{1,8})*")


@dataclass(frozen=True, slots=True)
class Record:
    """One text.

    Attributes:
        text: the text, unchanged from its source; never empty.
        language: BCP-47 tag (`de`, `pt-BR`, `zh-Hans`), see `normalize_language`.
        group: records of one group say the same thing (translations, paraphrases). All records of a group are
            in one split.
        source: where the text comes from, for people: `django-5.1.whl:django/conf/locale/de/…/django.mo`.
        id: the name of the record in its source, if it has one.
        label: a class label (topic, sentiment), if it has one.
    """

    text: str
    language: str
    group: str
    source: str
    id: str | None = None
    label: str | None = None


def normalize_language(tag: str) -> str:
    """Convert a language tag to BCP-47: `pt_BR` → `pt-BR`, `sr@latin` → `sr-Latn`, `ZH_hans` → `zh-Hans`.

    Three-letter codes become two-letter ones where these exist (`deu` → `de`), see `canonical_language`.

    Raises:
        InputError: `tag` is not a language tag.
    """
    if not _TAG.fullmatch(tag):
        raise InputError(f"language tag: expected something like 'de' or 'pt-BR', got {tag!r}")
    language, *rest = re.split(r"[-_@]", tag)
    scripts: list[str] = []
    others: list[str] = []
    for part in rest:
        if part.lower() in _SCRIPTS:
            scripts.append(_SCRIPTS[part.lower()])
        elif len(part) == 4 and part.isalpha():
            scripts.append(part.title())
        elif len(part) == 2 or part.isdigit():
            others.append(part.upper())
        else:
            others.append(part.lower())
    # A locale has the script last (sr_RS@latin); a tag has it before the region.
    return canonical_language("-".join([language, *scripts, *others]))


def content_group(*texts: str) -> str:
    """The group of records without a group of their own: a hash of `texts`.

    It does not depend on file names or line numbers. So the splits of groups stay the same when files are
    moved, and equal texts are in one split.
    """
    joined = "\0".join(texts).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(joined, digest_size=12).hexdigest()
