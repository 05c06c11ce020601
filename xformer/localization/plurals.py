"""The plural forms of a catalogue: how many there are, and for which numbers each stands."""

from __future__ import annotations

import gettext
import re
from dataclasses import dataclass

_HEADER = re.compile(r"\s*nplurals\s*=\s*(\d+)\s*;\s*plural\s*=\s*(.+?)\s*;?\s*$", re.DOTALL)
_MOST, _LAST = 16, 1000


@dataclass(frozen=True)
class PluralForms:
    """Plural forms.

    Attributes:
        numbers: of each form the numbers up to 1,000 that it stands for.
    """

    numbers: tuple[frozenset[int], ...]

    @classmethod
    def parse(cls, header: str) -> PluralForms:
        """Read the field `Plural-Forms` of a catalogue's header.

        Raises:
            ValueError: it is not one that can be evaluated.
        """
        found = _HEADER.match(header)
        if found is None:
            raise ValueError(f"expected `nplurals=2; plural=(n != 1);`, got {header!r}")
        count = int(found[1])
        if not 1 <= count <= _MOST:
            raise ValueError(f"expected 1 to {_MOST} forms, got {count}")
        form_of = gettext.c2py(found[2])
        forms: list[set[int]] = [set() for _ in range(count)]
        for number in range(_LAST + 1):
            form = int(form_of(number))
            if not 0 <= form < count:
                raise ValueError(f"form {form} of the number {number} is none of {count}: {header!r}")
            forms[form].add(number)
        return cls(tuple(map(frozenset, forms)))

    def __len__(self) -> int:
        return len(self.numbers)

    def is_singular(self, form: int) -> bool:
        """Whether a form stands for 1 alone, so that it need not say the number."""
        return self.numbers[form] == {1}

    def has_one(self, form: int) -> bool:
        """Whether a form stands for 1, and maybe for others."""
        return 1 in self.numbers[form]
