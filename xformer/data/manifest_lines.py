"""What a manifest says of small languages and of test sets, in lines for people."""

from __future__ import annotations

from collections.abc import Mapping

from xformer.data.languages import counted
from xformer.data.manifest import Manifest

_SHOWN = 10  # languages
_TAGS = 4
RARE = "rare language"


def joined_languages(manifest: Manifest) -> list[str]:
    """Which languages of few texts were joined into what."""
    if not manifest.merged:
        return []
    rows = sorted(manifest.merged.items(), key=lambda item: (-sum(item[1].values()), item[0]))
    size = counted(sum(map(len, manifest.merged.values())))
    lines = [f"joined into their kin: {size} with fewer than {_least(manifest):,} texts"]
    lines += [f"  into {kin}: {_first(counts, _TAGS)}" for kin, counts in rows[:_SHOWN]]
    if len(rows) > _SHOWN:
        lines.append(f"  and into {len(rows) - _SHOWN:,} more, which manifest.json names")
    return lines


def rare_languages(manifest: Manifest) -> list[str]:
    """Which languages of few texts were left out."""
    if not (rare := manifest.removed.get(RARE)):
        return []
    size = counted(len(rare))
    return [f"left out: {size} with fewer than {_least(manifest):,} texts: {_first(rare, _SHOWN)}"]


def kept_apart(manifest: Manifest) -> list[str]:
    """What the corpus is kept apart from."""
    lines = []
    for name, counts in manifest.test_sets.items():
        found = {how: count for how, count in counts.items() if how != "texts"}
        how = ", ".join(f"{count:,} {how}" for how, count in found.items())
        repeat = f"{_texts(sum(found.values()))} left out that repeat it ({how})"
        lines.append(f"kept apart from {name}, {_texts(counts['texts'])}: {repeat}")
    return lines


def _least(manifest: Manifest) -> int:
    return int(manifest.options.get("min_language_records", 1))


def _texts(count: int) -> str:
    return "1 text" if count == 1 else f"{count:,} texts"


def _first(counts: Mapping[str, int], most: int) -> str:
    """`de-AT 300, de-CH 12`: the largest first, and how many more there are."""
    rows = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    more = f" and {len(rows) - most:,} more" if len(rows) > most else ""
    return ", ".join(f"{tag} {count:,}" for tag, count in rows[:most]) + more
