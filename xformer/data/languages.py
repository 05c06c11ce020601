"""What is known of a language: its English name, its shortest tag, and the script that it is written in.

All of it comes from Unicode's CLDR, as the library Babel has it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

# Codes of ISO 639-1 that CLDR gives up for another tag (`fil`, `ak`, `sr-Latn`).
_KEPT = {"tgl": "tl", "twi": "tw", "tw": "tw", "hbs": "sh"}
# Names that are no codes: the Valencian of Battle for Wesnoth, by the rules of the Real Acadèmia de Cultura.
_NAMES = {"racv": "ca-valencia"}
_NO_LANGUAGE = {"und", "mul", "zxx", "mis"}
_SCRIPT = re.compile(r"[A-Z][a-z]{3}")
_REGION = re.compile(r"[A-Z]{2}|[0-9]{3}")


@lru_cache(maxsize=4096)
def canonical_language(tag: str) -> str:
    """Replace the language of a tag by its two-letter code, if it has one: `deu` → `de`, `ger` → `de`.

    Where ISO 639-3 divides a language into several, the one that CLDR uses for it gets its code too (`cmn` →
    `zh`, `pes` → `fa`, `arb` → `ar`), and codes that were given up get their successor (`iw` → `he`). Scripts
    and regions stay: `zho-Hant-HK` → `zh-Hant-HK`.

    Args:
        tag: BCP-47 tag.

    Returns:
        The tag; where there is no two-letter code, the one that was given.
    """
    from babel.core import get_global

    language, hyphen, rest = tag.partition("-")
    code = language.lower()
    short = _KEPT.get(code) or get_global("language_aliases").get(code, "")
    return f"{short if len(short) == 2 else _NAMES.get(code, code)}{hyphen}{rest}"


def find_language(languages: Sequence[str], wanted: str) -> str | None:
    """The language of a corpus that a tag or an English name means.

    Args:
        languages: the tags of the corpus.
        wanted: what someone calls the language: `en` finds `eng`, `eng` finds `en`, `English` finds either.

    Returns:
        The first of the tags that is the same, then that has the same canonical form, then that has the name.
        None if the corpus has no such language; `en` does not find `en-GB`.
    """
    if wanted in languages:
        return wanted
    shape = canonical_language(wanted.replace("_", "-")).casefold()
    same = [tag for tag in languages if canonical_language(tag).casefold() == shape]
    named = [tag for tag in languages if language_name(tag).casefold() == wanted.casefold()]
    return next(iter(same or named), None)


@lru_cache(maxsize=4096)
def language_name(tag: str) -> str:
    """The English name of a language: `de` → "German", `zh-Hant` → "Chinese (Traditional)".

    Args:
        tag: BCP-47 tag, as `normalize_language` gives it; three-letter codes are known too.

    Returns:
        The name, with script, region and variants in brackets. The tag itself if the language is not known.
    """
    from babel import Locale
    from babel.core import get_global

    english = Locale("en")
    language, *rest = canonical_language(tag).split("-")
    successor = get_global("language_aliases").get(language, language)
    name = english.languages.get(language) or english.languages.get(successor)
    if name is None:
        return tag
    known = [english.scripts.get(part) or english.territories.get(part) for part in rest]
    variants = [english.variants.get(part.upper()) for part in rest]
    details = [a or b or part for a, b, part in zip(known, variants, rest, strict=True)]
    return f"{name} ({', '.join(details)})" if details else name


def counted(languages: int) -> str:
    """A number of languages in words: `1 language`, `53 languages`."""
    return "1 language" if languages == 1 else f"{languages} languages"


def named(tag: str) -> str:
    """A tag with the language's name, for sentences: `de (German)`; the tag alone if it is not known."""
    name = language_name(tag)
    return tag if name == tag else f"{tag} ({name})"


@lru_cache(maxsize=4096)
def likely_script(tag: str) -> str | None:
    """The script that a language is mostly written in: `de` → `Latn`, `zh-TW` → `Hant`, `sr-Latn` → `Latn`.

    Args:
        tag: BCP-47 tag, as `normalize_language` gives it.

    Returns:
        The script of the tag, else the likeliest, in ISO 15924. None if it is not known. `Jpan` and `Kore`
        stand for the scripts that Japanese and Korean mix; Chinese is `Hans` or `Hant`.
    """
    from babel.core import get_global

    language, *rest = canonical_language(tag).split("-")
    for part in rest:
        if _SCRIPT.fullmatch(part):
            return part
    if language in _NO_LANGUAGE:
        return None
    likely = get_global("likely_subtags")
    regions = [part for part in rest if _REGION.fullmatch(part)]
    language = get_global("language_aliases").get(language, language).replace("_", "-")
    if "-" in language:
        return likely_script(language)
    for key in (*(f"{language}_{region}" for region in regions), language):
        if key in likely:
            return str(likely[key]).split("_")[1]
    return None


@lru_cache(maxsize=256)
def language_named(name: str) -> str | None:
    """The tag of a language by its English name, in any case: `german` → `de`; None if there is none."""
    from babel import Locale

    names = {known.casefold(): tag for tag, known in Locale("en").languages.items()}
    found = names.get(name.casefold())
    return None if found is None else found.replace("_", "-")


@lru_cache(maxsize=256)
def script_named(name: str) -> str | None:
    """The ISO 15924 code of a script by its English name, in any case: `devanagari` → `Deva`."""
    from babel import Locale

    names = {known.casefold(): code for code, known in Locale("en").scripts.items()}
    return names.get(name.casefold())
