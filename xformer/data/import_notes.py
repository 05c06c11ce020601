"""What an import leaves out and changes: kept beside the records, for people and for the manifest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from xformer.data.record import normalize_language

OVERLAPS = ("exact", "near", "n-gram")
"""How texts repeat a test set; see `Decontaminator`."""


def overlap(how: str, test_set: str) -> str:
    """The reason for which a text is left out that repeats a test set."""
    return f"{how} overlap with {test_set}"


@dataclass
class ImportNotes:
    """Notes of the readers and of `import_corpus`.

    Attributes:
        left_out: number of texts left out, by reason and language.
        unpaired: texts that stay but whose translations were left out, by language.
        examples: by reason, the first text left out and where it stands; by "unpaired", the first of those.
        tags: language tags as they were given, each with the tag it was read as.
        not_read: files of a folder or an archive that were left out as a whole, each with the reason.
        test_sets: number of texts of each test set that the corpus is kept apart from, by name.
    """

    left_out: dict[str, Counter[str]] = field(default_factory=dict)
    unpaired: Counter[str] = field(default_factory=Counter)
    examples: dict[str, tuple[str, str]] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    not_read: dict[str, str] = field(default_factory=dict)
    test_sets: dict[str, int] = field(default_factory=dict)

    def leave_out(self, reason: str, language: str, text: str, source: str) -> None:
        """Count one text that is left out.

        Args:
            reason: why, as a noun without article: "duplicate", "no text".
            language: its tag; `und` if it is not known.
            text: the text; may be empty.
            source: where it stands.
        """
        self.left_out.setdefault(reason, Counter())[language] += 1
        self.examples.setdefault(reason, (text, source))

    def leave_out_many(self, reason: str, counts: Mapping[str, int], text: str, source: str) -> None:
        """Count texts that are left out, by language; `text` and `source` are those of the first."""
        self.left_out.setdefault(reason, Counter()).update(counts)
        self.examples.setdefault(reason, (text, source))

    def leave_alone(self, counts: Mapping[str, int], text: str, source: str) -> None:
        """Count texts that stay although their translations are left out; as for `leave_out_many`."""
        self.unpaired.update(counts)
        self.examples.setdefault("unpaired", (text, source))

    def normalize(self, tag: str) -> str:
        """`normalize_language`, remembering what the tag was read as.

        Raises:
            InputError: `tag` is not a language tag.
        """
        if (found := self.tags.get(tag)) is None:
            found = self.tags[tag] = normalize_language(tag)
        return found

    @property
    def overlaps(self) -> dict[str, dict[str, int]]:
        """By test set its number of `texts`, and how many texts repeat it: `exact`, `near`, `n-gram`."""
        return {
            name: {"texts": texts}
            | {how: self.left_out.get(overlap(how, name), Counter()).total() for how in OVERLAPS}
            for name, texts in self.test_sets.items()
        }

    @property
    def renamed(self) -> dict[str, str]:
        """The tags that were not read as they were given, sorted."""
        return {given: tag for given, tag in sorted(self.tags.items()) if given != tag}
