"""SentencePiece models of XLM-R and T5, with the ids that these have.

A model file numbers its pieces itself. XLM-R has the numbers of fairseq: its special tokens first, all
other pieces one later, the mask last. T5 has those of the file, and a hundred sentinels behind them.
SentencePiece normalises by the rules in the file. Special tokens in a text are found before it is cut, as
`transformers` does, and what lies between two of them is cut by itself.

Shapes: V vocabulary size, n ids of one text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sentencepiece import SentencePieceProcessor

from .errors import TokenizerError, require_encodable, utf8_length
from .interface import MASK, Ids, LocatedIds, TextTokenizer
from .pieces import is_unspaced

_SENTINELS = 100
_SPACE_MARK = "\u2581"


@dataclass(frozen=True)
class Layout:
    """How the ids of a model file become those of a library.

    Attributes:
        offset: added to the id of a piece.
        special: ids of special tokens by name; pieces of these names have these ids.
        prefix: name of the token in front of a text; empty for none.
        suffix: name of the token behind it.
        mask: name of the mask; None where there is none.
    """

    offset: int
    special: Mapping[str, int]
    prefix: str
    suffix: str
    mask: str | None


def layout_of(library: str, pieces: int) -> Layout:
    """The layout of XLM-R (`xlm-roberta`) or T5 (`t5`).

    Args:
        library: its name.
        pieces: of the model file.
    """
    if library == "t5":
        special = {"<pad>": 0, "</s>": 1, "<unk>": 2}
        sentinels = {f"<extra_id_{n}>": pieces + _SENTINELS - 1 - n for n in range(_SENTINELS)}
        return Layout(0, special | sentinels, "", "</s>", None)
    special = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, MASK: pieces + 1}
    return Layout(1, special, "<s>", "</s>", MASK)


class ForeignSentencePiece(TextTokenizer):
    """A SentencePiece model with another library's ids. It is immutable; threads may share it."""

    def __init__(self, files: Mapping[str, bytes], name: str, library: str, source: str = "") -> None:
        """Open it.

        Args:
            files: those of the tokenizer, by name.
            name: of the model file among them.
            library: `xlm-roberta` or `t5`.
            source: the folder's name in error messages.

        Raises:
            TokenizerError: the file is no SentencePiece model, or not one of this library's.
        """
        place = f"{source}/{name}" if source else name
        self._files, self._made = dict(files), (name, library)
        try:
            self._processor = SentencePieceProcessor(model_proto=files[name])
        except RuntimeError as error:
            raise TokenizerError(f"{place}: expected a SentencePiece model; {error}") from None
        pieces = self._processor.get_piece_size()
        self._layout = layout_of(library, pieces)
        # The ids of the library by those of the file.
        ids = np.arange(pieces, dtype=np.int32) + self._layout.offset
        for number in range(pieces):
            if self._processor.is_control(number) or self._processor.is_unknown(number):
                piece = "<unk>" if self._processor.is_unknown(number) else self._processor.id_to_piece(number)
                if piece not in self._layout.special:
                    raise TokenizerError(f"{place}: expected special pieces of {library}, got {piece!r}")
                ids[number] = self._layout.special[piece]
        self._ids = ids
        names = sorted(self._layout.special, key=len, reverse=True)
        self._split = re.compile(f"({'|'.join(map(re.escape, names))})")

    def __reduce__(self) -> tuple[type[ForeignSentencePiece], tuple[Mapping[str, bytes], str, str]]:
        return ForeignSentencePiece, (self._files, *self._made)

    def __repr__(self) -> str:
        return f"ForeignSentencePiece({self._made[1]}, {self.vocab_size} pieces, {self.fingerprint()[:12]})"

    @cached_property
    def vocab_size(self) -> int:
        """V, with special tokens."""
        return 1 + max(int(self._ids.max()), *self._layout.special.values())

    @property
    def prefix(self) -> tuple[int, ...]:
        """`<s>` of XLM-R."""
        return (self._layout.special[self._layout.prefix],) if self._layout.prefix else ()

    @property
    def pad_id(self) -> int:
        """`<pad>`."""
        return self._layout.special["<pad>"]

    @property
    def suffix(self) -> tuple[int, ...]:
        """`</s>`."""
        return (self._layout.special[self._layout.suffix],)

    @property
    def special_ids(self) -> frozenset[int]:
        """Ids that stand for no text."""
        return frozenset(self._layout.special.values())

    @property
    def mask(self) -> str | None:
        """How a mask is written; None for T5."""
        return self._layout.mask

    @property
    def mask_id(self) -> int | None:
        """The id of a mask; None for T5."""
        return None if self.mask is None else self._layout.special[self.mask]

    def files(self) -> Mapping[str, bytes]:
        """The files that it was read from."""
        return self._files

    def encode_batch(self, texts: Sequence[str], num_threads: int | None = None) -> list[Ids]:
        """Ids of many texts, the same as each has alone."""
        require_encodable(texts, num_threads)
        odd = {n for n, text in enumerate(texts) if "<" in text and self._split.search(text)}
        plain = ["" if n in odd else text for n, text in enumerate(texts)]
        rows = self._processor.encode(plain, out_type=int, num_threads=num_threads or -1)
        return [
            self._cut(texts[n]) if n in odd else self._ids[np.array(row, dtype=np.int64)]
            for n, row in enumerate(rows)
        ]

    def encode_masked(self, text: str) -> Ids:
        """Ids of a text as the model reads it; `<mask>` is the mask."""
        return self.sequences([text], num_threads=1)[0][0]

    def locate(self, text: str) -> LocatedIds:
        """The ids of `encode_masked`, with the characters that each came from."""
        utf8_length(text)
        ids: list[int] = list(self.prefix)
        spans: list[tuple[int, int]] = [(0, 0)] * len(ids)
        begins = [True] * len(ids)
        place = 0
        for part in self._split.split(text):
            if part in self._layout.special:
                ids.append(self._layout.special[part])
                spans.append((place, place + len(part)))
                begins.append(True)
                place += len(part)
                continue
            for number, (own, piece, begin, end) in enumerate(self._located(part)):
                ids.append(int(self._ids[own]))
                spans.append((place + begin, place + end))
                begins.append(not number or piece[:1] == _SPACE_MARK or is_unspaced(piece[:1] or " "))
            place += len(part)
        ids += self.suffix
        spans += [(0, 0)] * len(self.suffix)
        begins += [True] * len(self.suffix)
        offsets = np.array(spans, dtype=np.int64).reshape(-1, 2)
        return LocatedIds(np.array(ids, dtype=np.int32), offsets, np.array(begins, dtype=np.bool_))

    def decode(self, ids: Iterable[int] | Ids) -> str:
        """The text of ids, without special ones, as SentencePiece writes it."""
        known = self._by_id
        return str(self._processor.decode([known[int(i)] for i in ids if int(i) in known]))

    def id(self, piece: str) -> int:
        """The id of a piece."""
        if piece in self._layout.special:
            return self._layout.special[piece]
        found = int(self._processor.piece_to_id(piece))
        if self._processor.id_to_piece(found) != piece:
            raise TokenizerError(f"piece: expected one of the vocabulary, got {piece!r}")
        return int(self._ids[found])

    def piece(self, id: int) -> str:
        """The piece of an id."""
        if not 0 <= id < self.vocab_size:
            raise TokenizerError(f"id: expected a number from 0 to {self.vocab_size - 1}, got {id}")
        if (name := self._special_by_id.get(int(id))) is not None:
            return name
        return str(self._processor.id_to_piece(self._by_id[int(id)])) if int(id) in self._by_id else f"<{id}>"

    def fill(self, before: str, id: int, after: str) -> str:
        """A text with a piece for a mask, which takes the space in front of it along."""
        before, text = before.removesuffix(" "), self._written(self.piece(id))
        return f"{before}{text if before else text.removeprefix(' ')}{after}"

    def fillable(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """The pieces (V,) that text can have, and those that are whole characters."""
        allowed = np.zeros(self.vocab_size, dtype=np.bool_)
        allowed[list(self._by_id)] = True
        allowed[list(self.special_ids)] = False
        shown = allowed.copy()
        for own, number in enumerate(self._ids):
            if self._processor.is_byte(own):
                shown[number] = int(self._processor.id_to_piece(own)[3:5], 16) < 0x80
        return allowed, shown

    def _cut(self, text: str) -> Ids:
        found: list[int] = []
        for part in self._split.split(text):
            if part in self._layout.special:
                found.append(self._layout.special[part])
            elif part:
                found += self._ids[
                    np.array(self._processor.encode(part, out_type=int), dtype=np.int64)
                ].tolist()
        return np.array(found, dtype=np.int32)

    def _located(self, text: str) -> list[tuple[int, str, int, int]]:
        """Ids of the file, pieces, and begin and end of each in characters."""
        processor: Any = self._processor
        if not hasattr(processor, "encode_as_immutable_proto"):  # gone in release 0.2.3, which has this
            found = processor.encode(text, out_type="offset_mapping")
            pairs = zip(found["ids"], found["pieces"], found["offsets"], strict=True)
            return [(own, piece, begin, end) for own, piece, (begin, end) in pairs]
        rows, place = [], 0
        for one in processor.encode_as_immutable_proto(text).pieces:
            # Its own offsets count characters or bytes, by the release.
            begin = text.find(one.surface, place)
            place = begin + len(one.surface)
            rows.append((one.id, one.piece, begin, place))
        return rows

    def _written(self, piece: str) -> str:
        if len(piece) == 6 and piece.startswith("<0x"):
            return chr(int(piece[3:5], 16))
        return piece.replace(_SPACE_MARK, " ")

    @cached_property
    def _by_id(self) -> dict[int, int]:
        """Ids of the file by ids of the library, special ones apart."""
        return {int(i): own for own, i in enumerate(self._ids) if int(i) not in self.special_ids}

    @cached_property
    def _special_by_id(self) -> dict[int, str]:
        return {number: name for name, number in self._layout.special.items()}
