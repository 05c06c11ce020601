"""Dictionaries that FreeDict has as DICT and as TEI: one is made from the other, so their pairs are the same.

`XFORMER_DICTIONARIES` names a folder with `deu-tur.tei` beside `freedict-deu-tur.index` and `.dict.dz`, of
any number of dictionaries: `XFORMER_DICTIONARIES=words pytest -s tests/data/readers/test_dict_beside_tei.py`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

import pytest

from xformer.data.readers import read_dict, read_tei
from xformer.data.record import Record

NAMED = os.environ.get("XFORMER_DICTIONARIES")
# Members of lists that have commas themselves, and parts of speech without a mark around them (Breton).
MOST_DIFFERENT = 0.06


def pairs(records: Iterable[Record]) -> set[tuple[str, str]]:
    """Each word with each of its translations."""
    found = set()
    for _, members in groupby(records, key=lambda record: (record.group, record.source)):
        texts = [*members]
        words = [record.text for record in texts if record.language == texts[0].language]
        found |= {(word, record.text) for word in words for record in texts[len(words) :]}
    return found


@pytest.mark.slow
@pytest.mark.skipif(NAMED is None, reason="XFORMER_DICTIONARIES names no folder")
def test_both_forms_have_the_same_pairs() -> None:
    folder = Path(NAMED or "")
    shares = {}
    for path in sorted(folder.glob("*.tei")):
        if (index := path.with_name(f"freedict-{path.stem}.index")).is_file():
            shown, exact = pairs(read_dict([index])), pairs(read_tei(path))
            shares[path.stem] = max(len(shown - exact) / len(shown), len(exact - shown) / len(exact))
            print(f"{path.stem}: {len(exact):,} pairs, {shares[path.stem]:.2%} differ")
    assert shares, f"no dictionaries in both forms in {folder}"
    assert max(shares.values()) < MOST_DIFFERENT
