"""The tokenizer: a lossless SentencePiece model with fixed special ids.

Text is normalised (`normalize.py`). A space is put in front, so that a word has the same piece at the start
of a text as inside it. Spaces become U+2581, and SentencePiece cuts the text into pieces. Characters without
a piece become byte pieces, one per UTF-8 byte. A U+2581 in the text also becomes byte pieces, which
distinguishes it from a space. Control pieces never match text: `"<s>"` typed by a user is three characters.

Shapes: V vocabulary size, n ids of one text.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import cast, get_args

import numpy as np
from numpy.typing import NDArray
from sentencepiece import SentencePieceProcessor

from .errors import TokenizerError
from .files import write_whole
from .fixed_ids import FixedIdsTokenizer
from .interface import Ids
from .normalize import normalize, normalize_with_alignment
from .options import ModelType, Normalization
from .pieces import PieceTable
from .proto import read_spec, with_normalization, without_dummy_prefix
from .sampling import sample_bpe, sample_unigram
from .special import BOS_ID, EOS_ID, FIRST_BYTE_ID, MASK_ID, SPECIAL_PIECES

FILE = "tokenizer.model"
"""The usual name of the file of a model."""

_SPACE_MARK = "\u2581"
_SPACE_MARK_IDS = [FIRST_BYTE_ID + byte for byte in _SPACE_MARK.encode()]


class Tokenizer(FixedIdsTokenizer):
    """Encodes text as subword ids and decodes it.

    Made by `train_tokenizer`, `Tokenizer.load` or `Tokenizer.from_bytes`. It is immutable, can be shared
    between threads, and is pickled as the bytes of its model.
    """

    def __init__(self, model: bytes, *, source: str = "the given bytes") -> None:
        """Check and open a serialised model.

        Args:
            model: bytes of a model that `train_tokenizer` wrote.
            source: its name in error messages.

        Raises:
            TokenizerError: not a SentencePiece model, or not one of this package's.
        """
        pieces = ", ".join(SPECIAL_PIECES)
        wanted = f"expected a SentencePiece model written by train_tokenizer ({pieces} as ids 0 to 4)"
        try:
            if not model:
                raise ValueError("it is empty")
            spec = read_spec(model)
            processor = SentencePieceProcessor(model_proto=model)
            table = PieceTable(processor)
        except (RuntimeError, ValueError) as error:
            raise TokenizerError(f"{source}: {wanted}; {error}") from None
        if spec.model not in get_args(ModelType) or spec.normalization not in get_args(Normalization):
            raise TokenizerError(
                f"{source}: {wanted}; it is a {spec.model} model with normalisation {spec.normalization!r}"
            )
        if spec.rewrites:
            raise TokenizerError(f"{source}: {wanted}; it rewrites text before cutting it")
        if not spec.lossless:
            raise TokenizerError(f"{source}: {wanted}; byte fallback, space prefix or space escaping is off")
        self._bytes = model
        self._processor = processor
        self._inner = SentencePieceProcessor(model_proto=without_dummy_prefix(model))
        self._table = table
        self.model = cast(ModelType, spec.model)
        """`"unigram"` or `"bpe"`."""
        self.normalization = cast(Normalization, spec.normalization)
        """`"identity"`, `"nfc"` or `"nfkc"`."""

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Tokenizer:
        """Read a `.model` file.

        Raises:
            TokenizerError: the file is missing, or is not a model of this package.
        """
        try:
            model = Path(path).read_bytes()
        except OSError as error:
            raise TokenizerError(f"{path}: expected a tokenizer model; {error.strerror}") from error
        return cls(model, source=str(path))

    @classmethod
    def from_bytes(cls, model: bytes, *, normalization: Normalization | None = None) -> Tokenizer:
        """Open a serialised model; `normalization` replaces the one in it.

        Raises:
            TokenizerError: `model` is not a model of this package.
        """
        if normalization is not None:
            # Loading and serialising again merges the appended field.
            model = SentencePieceProcessor(
                model_proto=with_normalization(model, normalization)
            ).serialized_model_proto()
        return cls(model)

    def to_bytes(self) -> bytes:
        """The serialised model, as `save` writes it."""
        return self._bytes

    def files(self) -> Mapping[str, bytes]:
        """The serialised model by its usual name."""
        return {FILE: self._bytes}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to one file, atomically; a missing folder is made."""
        write_whole(path, self._bytes)

    def __reduce__(self) -> tuple[type[Tokenizer], tuple[bytes]]:
        return Tokenizer, (self._bytes,)

    def __repr__(self) -> str:
        recipe = f"{self.model}, {self.vocab_size} pieces, {self.normalization}"
        return f"Tokenizer({recipe}, {self.fingerprint()[:12]})"

    @property
    def vocab_size(self) -> int:
        """V, with special and byte pieces."""
        return len(self._table.text)

    def fingerprint(self) -> str:
        """Hexadecimal SHA-256 of the model's bytes."""
        return hashlib.sha256(self._bytes).hexdigest()

    def encode(self, text: str, *, add_special: bool = False) -> Ids:
        """Ids of one text, `(n,)` int32.

        Args:
            text: Unicode text without lone surrogates.
            add_special: add `<s>` in front and `</s>` at the end.

        Raises:
            TokenizerError: `text` holds a lone surrogate.
        """
        return _array(self._cut(normalize(text, self.normalization)), add_special)

    def encode_batch(
        self, texts: Sequence[str], num_threads: int | None = None, *, add_special: bool = False
    ) -> list[Ids]:
        """Ids of many texts, the same as `encode` gives for each.

        Args:
            texts: the texts.
            num_threads: number of threads, by default one per core; does not change the result.
            add_special: add `<s>` in front of each and `</s>` at its end.

        Raises:
            TokenizerError: a text holds a lone surrogate, or `num_threads` is not positive.
        """
        if num_threads is not None and num_threads < 1:
            raise TokenizerError(f"num_threads: expected at least 1, got {num_threads}")
        ready = [normalize(text, self.normalization) for text in texts]
        # Texts with a U+2581 are encoded one by one; the batch has an empty text in their place.
        odd = {i: text for i, text in enumerate(ready) if _SPACE_MARK in text}
        plain = ["" if i in odd else text for i, text in enumerate(ready)] if odd else ready
        rows: list[list[int]] = self._processor.encode(plain, out_type=int, num_threads=num_threads or -1)
        for i, text in odd.items():
            rows[i] = self._cut(text)
        return [_array(row, add_special) for row in rows]

    def _cut(self, text: str) -> list[int]:
        first, mark, rest = text.partition(_SPACE_MARK)
        ids: list[int] = self._processor.encode(first, out_type=int)
        if not mark:
            return ids
        # SentencePiece puts no space in front of an empty text.
        return (ids or [self._table.learnt[" "]]) + _SPACE_MARK_IDS + self._continue(rest)

    def encode_continued(self, text: str) -> Ids:
        """Ids of a text that goes on after another, `(n,)` int32: no space is put in front of it.

        Raises:
            TokenizerError: `text` holds a lone surrogate.
        """
        return _array(self._continue(normalize(text, self.normalization)), False)

    def _continue(self, text: str) -> list[int]:
        """The ids of a normalised text that goes on after another."""
        first, *rest = text.split(_SPACE_MARK)
        ids: list[int] = self._inner.encode(first, out_type=int)
        for part in rest:
            ids += _SPACE_MARK_IDS
            ids += self._inner.encode(part, out_type=int)
        return ids

    def encode_masked(self, text: str) -> Ids:
        """Ids of a text in which each `<mask>` stands for one piece, `(n,)` int32.

        A mask takes the space in front of it along, because most pieces begin with their space: the mask of
        "open the <mask> now" stands for "▁file", not for "file". The text on each side of a mask is cut into
        pieces by itself.

        Raises:
            TokenizerError: `text` holds a lone surrogate.
        """
        first, *rest = text.split(SPECIAL_PIECES[MASK_ID])
        ids = self._cut(normalize(first.removesuffix(" ") if rest else first, self.normalization))
        for number, part in enumerate(rest, 1):
            ids.append(MASK_ID)
            shown = part.removesuffix(" ") if number < len(rest) else part
            ids += self._continue(normalize(shown, self.normalization))
        return _array(ids, False)

    def encode_stream(
        self, texts: Iterable[str], batch_size: int = 1024, num_threads: int | None = None
    ) -> Iterator[Ids]:
        """Ids of a stream of texts, with `batch_size` of them in memory.

        Raises:
            TokenizerError: `batch_size` is not positive, or a text holds a lone surrogate.
        """
        if batch_size < 1:
            raise TokenizerError(f"batch_size: expected at least 1, got {batch_size}")
        iterator = iter(texts)
        while batch := list(islice(iterator, batch_size)):
            yield from self.encode_batch(batch, num_threads)

    def encode_with_offsets(self, text: str) -> tuple[Ids, NDArray[np.int64]]:
        """Ids of one text, and the characters that each came from.

        A space belongs to the word after it. The space put in front of the text has no origin: a piece of it
        alone has the offsets (0, 0). All byte pieces of a character have the offsets of the character. If
        normalisation changed the text, the offsets contain all original characters of the piece.

        Returns:
            `ids (n,)` and `offsets (n, 2)`: begin and end (exclusive) in characters of the original text.

        Raises:
            TokenizerError: `text` holds a lone surrogate.
        """
        ids = self.encode(text)
        return ids, self._offsets(ids, text, hidden=1)

    def encode_masked_with_offsets(self, text: str) -> tuple[Ids, NDArray[np.int64]]:
        """As `encode_masked`, with the characters that each id came from; those of a mask are `<mask>`.

        Returns:
            `ids (n,)` and `offsets (n, 2)`, as `encode_with_offsets`.

        Raises:
            TokenizerError: `text` holds a lone surrogate.
        """
        mask = SPECIAL_PIECES[MASK_ID]
        ids, offsets = self.encode_masked(text), []
        parts, done, place = text.split(mask), 0, 0
        for number, part in enumerate(parts):
            n_tokens = np.append(np.flatnonzero(ids == MASK_ID), len(ids))[number] - done
            shown = part.removesuffix(" ") if number < len(parts) - 1 else part
            offsets.append(place + self._offsets(ids[done : done + n_tokens], shown, hidden=number == 0))
            place += len(part)
            offsets.append(np.array([[place, place + len(mask)]]))
            done, place = done + n_tokens + 1, place + len(mask)
        return ids, np.concatenate(offsets[:-1])

    def _offsets(self, ids: Ids, text: str, hidden: int) -> NDArray[np.int64]:
        """Begin and end of each id in the characters of the text that gave them.

        Args:
            ids: (n,).
            text: before normalisation.
            hidden: 1 where the first piece begins with a space that is not in the text.
        """
        normalized, begins, ends = normalize_with_alignment(text, self.normalization)
        # The character of each UTF-8 byte of the normalised text.
        owner = np.repeat(np.arange(len(normalized)), [len(c.encode()) for c in normalized])
        lengths = self._table.byte_lengths[ids]
        stop = np.cumsum(lengths) - hidden
        start = np.maximum(stop - lengths, 0)
        offsets = np.zeros((len(ids), 2), dtype=np.int64)
        filled = stop > start
        offsets[filled, 0] = begins[owner[start[filled]]]
        offsets[filled, 1] = ends[owner[stop[filled] - 1]]
        return offsets

    def decode(self, ids: Iterable[int] | Ids) -> str:
        """The text of ids, without special ids: the inverse of `encode` on normalised text.

        One leading space is removed, because `encode` adds it. Bytes that are not UTF-8 (a sequence cut
        inside a character) become U+FFFD.

        Raises:
            TokenizerError: an id is outside the vocabulary.
        """
        table = self._table.text
        try:
            pieces = [table[i] for i in _plain_ids(ids)]
        except IndexError:
            raise TokenizerError(f"ids: expected 0 to {self.vocab_size - 1}, got {ids!r}") from None
        return b"".join(pieces).removeprefix(b" ").decode(errors="replace")

    def decode_batch(self, rows: Iterable[Iterable[int] | Ids]) -> list[str]:
        """The texts of many rows of ids, the same as `decode` gives for each."""
        return [self.decode(row) for row in rows]

    def sample(self, text: str, *, alpha: float, seed: int) -> Ids:
        """A random segmentation of a text, for subword regularisation.

        A unigram model draws from all segmentations with probability ∝ P(segmentation)^alpha (Kudo 2018): 0
        is uniform, 1 the model's own distribution, large values give `encode`. A BPE model drops each
        possible merge with probability alpha at every step (Provilkov et al. 2020): 0 gives `encode`, 1
        single characters.

        The result depends on the arguments only; there is no shared random generator.

        Args:
            text: the text.
            alpha: strength, as above.
            seed: of the draw.

        Returns:
            `(n,)` int32; `decode` restores the text from any segmentation.

        Raises:
            TokenizerError: alpha is out of range, or `text` holds a lone surrogate.
        """
        if not alpha >= 0 or (self.model == "bpe" and alpha > 1):
            limit = "from 0 to 1" if self.model == "bpe" else "of at least 0"
            raise TokenizerError(f"alpha: expected a number {limit}, got {alpha!r}")
        ready = normalize(text, self.normalization)
        draw = sample_unigram if self.model == "unigram" else sample_bpe
        return np.array(draw(self._table, ready, alpha, seed), dtype=np.int32)

    def piece(self, id: int) -> str:
        """The piece of an id, as SentencePiece writes it (`▁` for a space).

        Raises:
            TokenizerError: the id is outside the vocabulary.
        """
        if not 0 <= id < self.vocab_size:
            raise TokenizerError(f"id: expected a number from 0 to {self.vocab_size - 1}, got {id}")
        return str(self._processor.id_to_piece(int(id)))

    def id(self, piece: str) -> int:
        """The id of a piece.

        Raises:
            TokenizerError: there is no such piece.
        """
        found = int(self._processor.piece_to_id(piece))
        if self._processor.id_to_piece(found) != piece:
            raise TokenizerError(f"piece: expected one of the vocabulary, got {piece!r}")
        return found

    def byte_lengths(self) -> NDArray[np.int64]:
        """UTF-8 bytes of each piece, `(V,)`: a space 1, a byte piece 1, a special piece 0.

        Their sum over the ids of a text is the UTF-8 bytes of the normalised text, plus 1 for the space in
        front. The empty text has no ids and no such space.
        """
        return self._table.byte_lengths.copy()

    def starts_word(self) -> NDArray[np.bool_]:
        """Whether each piece begins a word, `(V,)`, for whole-word masking.

        True for pieces with a leading space; pieces that begin in a script written without spaces (Han, kana,
        Thai, Lao, Khmer, Myanmar, …), where every piece is a word; punctuation, symbols and white space; byte
        pieces that begin a character of such a script or an emoji; and special pieces.
        """
        return self._table.starts_word.copy()

    def is_byte(self) -> NDArray[np.bool_]:
        """Whether each piece is a byte piece, `(V,)`."""
        return self._table.is_byte.copy()

    def piece_scores(self) -> NDArray[np.float64]:
        """Log probability of each piece (unigram) or the negative of its merge rank (BPE), `(V,)`."""
        return self._table.scores.copy()


def _array(ids: list[int], add_special: bool) -> Ids:
    return np.array([BOS_ID, *ids, EOS_ID] if add_special else ids, dtype=np.int32)


def _plain_ids(ids: Iterable[int] | Ids) -> list[int]:
    values = ids.tolist() if isinstance(ids, np.ndarray) else [int(i) for i in ids]
    if any(i < 0 for i in values):
        raise IndexError
    return values
