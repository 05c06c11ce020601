"""Records: what every reader yields, a text with its language and its group."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from xformer.data.languages import canonical_language, script_named
from xformer.errors import InputError

# What the modifiers of POSIX locales are in a tag, beside names of scripts: other names of variants, a script
# and a variant at once (KDE has both alphabets of Serbian's two forms), and a currency, which is no language.
_MODIFIERS = {
    "ije": ["ijekavsk"],
    "ijekavian": ["ijekavsk"],
    "ijekavianlatin": ["Latn", "ijekavsk"],
    "ekavian": ["ekavsk"],
    "ekavianlatin": ["Latn", "ekavsk"],
    "iqtelif": ["Latn"],
    "bengali": ["Beng"],  # CLDR calls it Bangla
    "euro": [],
}

_TAG = re.compile(r"[A-Za-z]{2,8}([-_@][A-Za-z0-9]{1,8})*")
_LONG_TAG = re.compile(r"[A-Za-z]{2,8}([-_@][A-Za-z0-9]+)*")


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
    Modifiers of locales become scripts or variants: `sd@devanagari` → `sd-Deva`, `sr@ijekavian` →
    `sr-ijekavsk`.

    Raises:
        InputError: `tag` is not a language tag.
    """
    if not _LONG_TAG.fullmatch(tag):
        raise _not_a_tag(tag)
    language, *rest = re.split(r"[-_@]", tag)
    scripts: list[str] = []
    others: list[str] = []
    for part in (known for given in rest for known in _MODIFIERS.get(given.lower(), [given])):
        if len(part) == 4 and part.isalpha():
            scripts.append(part.title())
        elif len(part) > 4 and part.isalpha() and (script := script_named(part)):
            scripts.append(script)
        elif len(part) == 2 or part.isdigit():
            others.append(part.upper())
        else:
            others.append(part.lower())
    # A locale has the script last (sr_RS@latin); a tag has it before the region.
    joined = "-".join([language, *scripts, *others])
    if not _TAG.fullmatch(joined):
        raise _not_a_tag(tag)
    return canonical_language(joined)


def _not_a_tag(tag: str) -> InputError:
    return InputError(f"language tag: expected something like 'de' or 'pt-BR', got {tag!r}")


def content_group(*texts: str) -> str:
    """The group of records without a group of their own: a hash of `texts`.

    It does not depend on file names or line numbers. So the splits of groups stay the same when files are
    moved, and equal texts are in one split.
    """
    joined = "\0".join(texts).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(joined, digest_size=12).hexdigest()
