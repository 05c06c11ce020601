"""Which language of a run is meant by the code of a language in other data: `cmn`, `nob`, `ell`."""

from __future__ import annotations

from collections.abc import Sequence

from xformer.data.languages import canonical_language, find_language, language_name

_SAME = {"no": "nb", "fil": "tl"}
"""Codes of a language, and the one of the two that most text in it is tagged with."""


def match_language(tag: str, known: Sequence[str]) -> str | None:
    """The language of a run that a tag of other data means: `cmn` → `zh-Hans`, `nob` → `nb`, `pt` → `pt-BR`.

    Script and region that a tag leaves out are taken to be the likeliest ones (CLDR's likely subtags).

    Args:
        tag: as `normalize_language` gives it.
        known: the tags of the run.

    Returns:
        The tag of the run that `find_language` finds; else one of the same language, script and region; else
        one of the same language and script, whose tag is shortest. None if the run has none: `sr` is not
        `sr-Latn`.
    """
    if (found := find_language(known, tag)) is not None:
        return found
    wanted = _whole(tag)
    same = [one for one in known if _whole(one)[:2] == wanted[:2]]
    return min(same, key=lambda one: (_whole(one) != wanted, len(one), one), default=None)


def is_known_language(tag: str) -> bool:
    """Whether CLDR has a name for the language of a tag."""
    return language_name(tag) != tag


def _whole(tag: str) -> tuple[str, str, str]:
    """Language, script and region of a tag; the likeliest ones where it has none."""
    from babel.core import get_global

    language, *rest = canonical_language(tag).split("-")
    language = _SAME.get(language, language)
    script = next((part for part in rest if len(part) == 4 and part.isalpha()), "")
    region = next((part for part in rest if len(part) == 2 or part.isdigit()), "")
    likely = get_global("likely_subtags")
    for key in (f"{language}_{region}" if region else language, f"{language}_{script}", language):
        if key in likely:
            parts = str(likely[key]).split("_")
            return language, script or parts[1], region or parts[-1]
    return language, script, region
