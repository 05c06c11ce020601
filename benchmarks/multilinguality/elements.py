"""The elements that may make a model multilingual, and which of them each condition has."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace


@dataclass(frozen=True)
class Elements:
    """What the two languages have in common, or learn from. Each can be switched off.

    Attributes:
        specials: `<s>`, `</s>` and `<mask>` are the same tokens in both languages. Off: each language has its
            own (Dufter and Schütze 2020, "shift-special").
        positions: both languages have the same position embeddings. Off: each has its own (there "lang-pos").
        vocabulary: pieces without a letter (numerals, punctuation, symbols) are the same tokens in both, as
            they are in most real languages. Off: no piece of text is shared.
        anchors: in what the model reads, some tokens are replaced at random by their translation.
        parallel: some texts are known in both languages; the model reads them joined (translation LM, Lample
            and Conneau 2019) and learns to tell a text's translation from others (alignment).
    """

    specials: bool = True
    positions: bool = True
    vocabulary: bool = True
    anchors: bool = True
    parallel: bool = True


NAMES = {
    "specials": "special tokens",
    "positions": "positions",
    "vocabulary": "vocabulary",
    "anchors": "anchors",
    "parallel": "parallel data",
}
"""Name of each element for people."""

_NOTHING = Elements(*[False] * len(NAMES))
_SHARED = replace(Elements(), anchors=False, parallel=False)


def conditions() -> dict[str, Elements]:
    """Every condition by name: all elements, all but one, none, one alone, and sharing without translations.

    Sharing is what the two languages have without anyone who knows a translation: special tokens, positions,
    vocabulary. That is the setting of multilingual BERT, and of the papers.
    """
    every = [field.name for field in fields(Elements)]
    found = {"everything": Elements()}
    found |= {f"everything - {NAMES[name]}": replace(Elements(), **{name: False}) for name in every}
    found["sharing"] = _SHARED
    shared = [name for name in every if getattr(_SHARED, name)]
    found |= {f"sharing - {NAMES[name]}": replace(_SHARED, **{name: False}) for name in shared}
    found["nothing"] = _NOTHING
    found |= {f"nothing + {NAMES[name]}": replace(_NOTHING, **{name: True}) for name in every}
    return found


@dataclass(frozen=True)
class Contrast:
    """Two conditions that differ in one element alone.

    Attributes:
        element: its name in `NAMES`.
        beside: what else is on: a condition's name.
        on: the condition that has the element.
        off: the one that has not.
    """

    element: str
    beside: str
    on: str
    off: str

    @property
    def name(self) -> str:
        """For people."""
        return f"{NAMES[self.element]} ({_BESIDE[self.beside]})"


_BESIDE = {"everything": "beside all", "sharing": "beside sharing", "nothing": "alone"}


def contrasts() -> list[Contrast]:
    """Each element beside all others, beside those that need no translation, and alone."""
    every = conditions()
    name_of = {elements: name for name, elements in every.items()}
    return [
        Contrast(
            element,
            beside,
            on=name_of[replace(every[beside], **{element: True})],
            off=name_of[replace(every[beside], **{element: False})],
        )
        for element in NAMES
        for beside in _BESIDE
    ]
