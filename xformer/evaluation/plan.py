"""What an evaluation compares, settled before any work begins: pivot, texts, and the parts that are possible.

Shapes: E texts, C vector width.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from xformer.data.held_out import ENOUGH
from xformer.data.languages import find_language, named
from xformer.data.shards import TokenShards
from xformer.errors import InputError
from xformer.evaluation.bits_per_byte import HiddenTokens
from xformer.evaluation.parallel_texts import language_number, one_text_per_group, text_numbers
from xformer.evaluation.retrieval import Retrieval, Similarity, retrieval

_USUAL_LEAST = 100
_MORE_HELD_OUT = "`xformer data import --{0} N` holds out more (data.{0}_groups for the default corpus)"


@dataclass(frozen=True)
class RetrievalTexts:
    """The texts of a split that retrieval compares.

    Attributes:
        shards: the split.
        examples: (E,) whole texts, one per group and language.
        numbers: (E,) equal for texts that are the same.
        pivot: number of the pivot language.
        messages: most messages that a language has together with the pivot.
        min_messages: a language with fewer is left out.
    """

    shards: TokenShards
    examples: NDArray[np.int64]
    numbers: NDArray[np.int64]
    pivot: int
    messages: int
    min_messages: int

    @classmethod
    def of(cls, shards: TokenShards, pivot: str, min_messages: int | None = None) -> RetrievalTexts:
        """Choose the texts.

        Args:
            shards: the split.
            pivot: tag of the pivot language.
            min_messages: None: 100, or half of the messages in the pivot language if that is less. If no
                language has so many, half of the most that one has.

        Raises:
            InputError: no language has enough messages that are also in the pivot.
        """
        number, examples = language_number(shards, pivot), one_text_per_group(shards)
        group, language = shards.group[examples], shards.language[examples]
        in_pivot = group[language == number]
        shared = np.isin(group, in_pivot) & (language != number)
        most = int(np.bincount(language[shared], minlength=len(shards.languages)).max())
        split = shards.info.split
        if not most:
            raise InputError(
                f"--pivot: expected a language with messages that are also in another language in the {split}"
                f" split; {named(pivot)} has none"
            )
        if min_messages is None:
            usual = max(1, min(_USUAL_LEAST, len(in_pivot) // 2))
            min_messages = usual if most >= usual else max(1, most // 2)
        if most < min_messages:
            raise InputError(
                f"--min-messages: expected at most {most}, the most messages of the {split} split that a"
                f" language shares with {named(pivot)}; got {min_messages}"
            )
        return cls(shards, examples, text_numbers(shards.take(examples)), number, most, min_messages)

    def sequences(self) -> list[NDArray[np.int32]]:
        """The E texts as token ids."""
        return self.shards.take(self.examples)

    def retrieval(self, vectors: Tensor | Similarity) -> Retrieval:
        """Compare the texts by their vectors (E, C), or by what gives their similarities."""
        group, language = self.shards.group[self.examples], self.shards.language[self.examples]
        return retrieval(
            vectors, group, language, self.pivot, text=self.numbers, min_messages=self.min_messages
        )


@dataclass(frozen=True)
class EvaluationPlan:
    """What is evaluated, and what cannot be.

    Attributes:
        held_out: the split to measure on.
        pivot: tag of the language that the others are compared with.
        texts: what retrieval compares; None where the split has no translations.
        dev_texts: the same of the split that chooses the layer; None where it cannot.
        left_out: by part of the evaluation, why it is left out or uncertain, and what gives more.
        notes: what was replaced, in sentences.
    """

    held_out: TokenShards
    pivot: str
    texts: RetrievalTexts | None
    dev_texts: RetrievalTexts | None = None
    left_out: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        held_out: TokenShards,
        configured: str,
        *,
        dev: TokenShards | None = None,
        pivot: str | None = None,
        min_messages: int | None = None,
    ) -> EvaluationPlan:
        """Settle what can be evaluated.

        Args:
            held_out: the split to measure on.
            configured: tag of the pivot in the run's settings. Another replaces it where it has no
                translations in the split.
            dev: the split that chooses the layer; None for no choice.
            pivot: tag of another pivot that the caller asks for; it is not replaced.
            min_messages: languages with fewer messages are left out of retrieval; None as in
                `RetrievalTexts.of`.

        Raises:
            InputError: the split has no text, or the pivot or the number of messages that were asked for do
                not exist in it.
        """
        split = held_out.info.split
        if not any(len(batch.targets) for batch in HiddenTokens(held_out).batches()):
            raise InputError(
                f"{split} split: expected text to measure on, found {len(held_out)} texts, too short to hide"
                f" a token; {_MORE_HELD_OUT.format(split)}"
            )
        if min_messages is not None and min_messages < 1:
            raise InputError(f"--min-messages: expected a whole number from 1, got {min_messages}")
        shared = shared_messages(held_out)
        if pivot is None and not shared:
            why = f"no message of the {split} split is in two languages; text with translations gives more"
            tag = find_language(held_out.languages, configured) or configured
            return cls(held_out, tag, None, left_out={"retrieval": why})
        tag, notes = settle_pivot(held_out, configured, pivot, shared)
        texts = RetrievalTexts.of(held_out, tag, min_messages)
        left_out = {}
        if texts.messages < ENOUGH:
            left_out["certainty of retrieval"] = (
                f"only {texts.messages} messages of the {split} split are in {named(tag)} and another"
                f" language; {_MORE_HELD_OUT.format(split)}"
            )
        dev_texts = None
        if dev is not None:
            try:
                dev_texts = RetrievalTexts.of(dev, tag)
            except InputError:
                left_out["choice of the layer"] = (
                    f"no message of the {dev.info.split} split is in {named(tag)} and another language, so"
                    f" vectors are taken after the last block; {_MORE_HELD_OUT.format('dev')}"
                )
        return cls(held_out, tag, texts, dev_texts, left_out, notes)


def shared_messages(shards: TokenShards) -> dict[str, int]:
    """By tag, the number of messages that a language shares with any other; the commonest first."""
    examples = one_text_per_group(shards)
    _, place, counts = np.unique(shards.group[examples], return_inverse=True, return_counts=True)
    language = np.asarray(shards.language)[examples][counts[place] > 1]
    messages = np.bincount(language, minlength=len(shards.languages))
    order = np.argsort(-messages, kind="stable")
    return {shards.languages[number]: int(messages[number]) for number in order if messages[number]}


def settle_pivot(
    shards: TokenShards, configured: str, asked: str | None, shared: dict[str, int]
) -> tuple[str, tuple[str, ...]]:
    """The pivot's tag in the shards, and what is to be said about it.

    Args:
        shards: the split.
        configured: tag of the pivot in the run's settings.
        asked: tag of the pivot that the caller asks for; None for no wish.
        shared: `shared_messages` of the split, not empty.

    Raises:
        InputError: the split does not have the pivot that was asked for.
    """
    split, tag = shards.info.split, asked or configured
    found = find_language(shards.languages, tag)
    if asked is not None and (found is None or (shared and found not in shared)):
        known = ", ".join(map(named, shared or shards.languages))
        has = " that has translations" if shared else ""
        raise InputError(f"--pivot: expected a language of the {split} split{has} ({known}); got {asked!r}")
    if found is not None and (asked is not None or found in shared):
        return found, () if found == tag else (f"pivot: {tag!r} is {found!r} in this corpus",)
    other = next(iter(shared))
    what = "is not in this corpus" if found is None else f"has no translations in the {split} split"
    note = f"pivot: {tag!r} {what}; {named(other)} is the pivot, with most of them (--pivot takes another)"
    return other, (note,)
