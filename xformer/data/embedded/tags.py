"""One tag for one language: packages name the same language with a region, a script or neither."""

from __future__ import annotations

from functools import lru_cache

from xformer.data.languages import likely_script

_ONE_REGION = (
    "af-ZA ar-SA az-AZ bg-BG bn-BD ca-ES cs-CZ da-DK de-DE el-GR es-ES et-EE eu-ES fa-IR fi-FI fr-FR gl-ES "
    "he-IL hi-IN hr-HR hu-HU hy-AM id-ID is-IS it-IT ja-JP ka-GE ko-KR mn-MN nb-NO ne-NP nl-NL pl-PL ro-RO "
    "ru-RU si-LK sk-SK sl-SI sv-SE th-TH tr-TR uk-UA vi-VN"
)
# Tags of the same language in these packages: with a region although there is only one, older, or wider.
# Variants with translations of their own (es-AR, pt-BR, zh-Hant) keep their tags. pt is European Portuguese
# here, because all packages that have it also have pt-BR; ku-IQ is Central Kurdish.
_SAME = {tag: tag.partition("-")[0] for tag in _ONE_REGION.split()} | {
    "ca-ES-valencia": "ca-valencia",
    "en-US": "en",
    "ku-IQ": "ckb",
    "no": "nb",
    "pt": "pt-PT",
    "zh": "zh-Hans",
    "zh-CN": "zh-Hans",
    "zh-Hans-CN": "zh-Hans",
    "zh-Hant-TW": "zh-Hant",
    "zh-TW": "zh-Hant",
}


def same_language() -> dict[str, str]:
    """Tags that are read as others, all as `normalize_language` gives them."""
    return dict(_SAME)


def is_variant_of_english(language: str) -> bool:
    """Whether a tag is one of English with a region or a script: nearly the same text as English itself."""
    return language.startswith("en-")


@lru_cache(maxsize=4096)
def with_usual_script(language: str) -> str:
    """A tag without the script that its language is mostly written in: `sr-Cyrl` → `sr`.

    Chinese has its script always: `zh-HK` → `zh-Hant-HK`.
    """
    code, *rest = language.split("-")
    script = next((part for part in rest if len(part) == 4 and part.isalpha()), None)
    if code == "zh":
        return language if script else "-".join(("zh", likely_script(language) or "Hans", *rest))
    if script is None or likely_script(code) != script:
        return language
    return "-".join((code, *(part for part in rest if part != script)))
