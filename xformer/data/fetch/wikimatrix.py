"""WikiMatrix: sentence pairs that were found in Wikipedia by their vectors, each with a score.

Schwenk, Chaudhary, Sun, Gong and Guzmán, 2021 (https://arxiv.org/abs/1907.05791): 1,620 pairs of languages;
the authors train with pairs from a margin of 1.04 on. OPUS has them too, without scores.
"""

from __future__ import annotations

from collections.abc import Sequence

from xformer.data.fetch.files import Remote
from xformer.data.fetch.sources import Plan, always, find_codes, pairs_of

WIKIMATRIX = "https://dl.fbaipublicfiles.com/laser/WikiMatrix/v1"

_LANGUAGES = """
an ar arz as az azb ba bar be bg bn br bs ca ceb cs da de el en eo es et eu fa fi fo fr fy gl gom he hi hr hu
hy id io is it ja jv ka kk ko la lb lmo lt mg mk ml mr mwl nds nds_nl ne nl no oc pl pt rm ro ru scn sh si
simple sk sl sq sr sv sw ta te tg tl tr tt ug uk vi wuu zh
"""


def wikimatrix_languages() -> list[str]:
    """The codes of its languages: those of Wikipedias. Not every pair of them has a file."""
    return _LANGUAGES.split()


def plan_wikimatrix(base: str, names: Sequence[str], *, threshold: float) -> Plan:
    """Plan the files of some pairs.

    Args:
        base: where the files are.
        names: `de-en`, in either order.
        threshold: least score of what is imported.

    Raises:
        InputError: there is no such language.
    """
    known = wikimatrix_languages()
    remotes = []
    for pair in pairs_of(names, "WikiMatrix"):
        first, second = sorted(find_codes(pair, known, "WikiMatrix"))
        name = f"WikiMatrix.{first}-{second}.tsv.gz"
        remotes.append(Remote(f"{base}/{name}", name))
    return Plan("wikimatrix", tuple(remotes), always("CC-BY-SA-4.0"), {"min_score": threshold})
