"""What an import makes of many texts, as a slower one made it, which took one text after the other.

The hashes below are those of commit afb1b29, the last before texts were compared by the thousand.
"""

from __future__ import annotations

import gzip
import hashlib
import random
from pathlib import Path

from xformer.data.corpus import import_corpus
from xformer.data.decontaminate import Decontaminator
from xformer.data.import_plan import ImportOptions
from xformer.data.manifest import Source
from xformer.data.record import Record
from xformer.data.split import SPLITS, SplitSizes

# A word in four languages each, so that texts repeat one another in some of them.
WORDS = [
    ("open", "öffnen", "ouvrir", "открыть"), ("file", "Datei", "fichier", "файл"),
    ("%s", "%s", "%s", "%s"), ("the", "die", "le", "этот"), ("save", "sichern", "enregistrer", "сохранить"),
    ("page", "Seite", "page", "страница"), ("{name}", "{name}", "{name}", "{name}"), ("7", "7", "7", "7"),
    ("address", "Adresse", "adresse", "адрес"), ("e-mail", "E-Mail", "courriel", "почта"),
    ("valid", "gültig", "valide", "верный"), ("window", "Fenster", "fenêtre", "окно"),
]  # fmt: skip
TAGS = ("en", "de", "fr", "ru")


def _records(seed: int, groups: int) -> list[Record]:
    draw = random.Random(seed)
    records = []
    for number in range(groups):
        words = draw.choices(WORDS, k=min(int(draw.expovariate(0.25)) + 1, 40))
        for place, tag in enumerate(TAGS):
            if draw.random() < 0.8:
                text = " ".join(word[place] for word in words if draw.random() < 0.97) + draw.choice(".! ")
                region = draw.choice(["", "", "", "-XX"])
                name = draw.choice([None, str(number)])
                records.append(Record(text, f"{tag}{region}", f"group {number}", f"by hand:{place}", name))
    return records


EXPECTED = (
    ["4d16ba9ec4e7f8ec", "cc751501f8c8ad3d", "c538a79898fc9df9"],
    {
        "duplicate": 642,
        "exact duplicate of dev": 8,
        "exact duplicate of test": 58,
        "exact overlap with one": 2093,
        "exact overlap with two": 583,
        "near duplicate of dev": 71,
        "near duplicate of test": 197,
        "near overlap with one": 239,
        "near overlap with two": 119,
        "no text": 26,
        "says the same as dev": 123,
        "says the same as test": 343,
    },
    7,
    {"groups": 2322, "sets": 1459, "largest": 64},
)


def test_the_same_records_make_the_same_corpus(tmp_path: Path) -> None:
    tests = [("one", _records(1, 40)), ("two", _records(2, 40))]
    options = ImportOptions(SplitSizes(dev=0.03, test=0.03), seed=3)
    source = Source("by hand", "CC0-1.0")
    manifest = import_corpus(
        _records(0, 3_000), tmp_path / "c", options, [source], decontaminator=Decontaminator(tests, n=8)
    )
    texts = [gzip.decompress((tmp_path / "c" / f"{split}.jsonl.gz").read_bytes()) for split in SPLITS]
    found = [hashlib.sha256(text).hexdigest()[:16] for text in texts]
    removed = {reason: sum(counts.values()) for reason, counts in manifest.removed.items()}
    assert (found, removed, sum(manifest.unpaired.values()), manifest.joined) == EXPECTED
