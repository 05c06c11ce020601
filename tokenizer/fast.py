"""A tokenizer of the library `tokenizers`, as Hugging Face's models bring it: `tokenizer.json`.

WordPiece of BERT, byte-level BPE of ModernBERT, Unigram of XLM-R and whatever else the file describes. The
library cuts the text; special tokens in a text are found as `transformers` finds them.

Shapes: V vocabulary size, n ids of one text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import TokenizerError, require_encodable, utf8_length
from .interface import MASK, Ids, LocatedIds, TextTokenizer

JSON = "tokenizer.json"
_PROBES = ("a", "1", "the end", ".")
_UNLIMITED = 10**9
_USUAL_MASKS = ("[MASK]", "<mask>")
_USUAL_PADDING = ("[PAD]", "<pad>")


class FastTokenizer(TextTokenizer):
    """A tokenizer that the library `tokenizers` runs. It is immutable, and can be shared between threads."""

    def __init__(self, files: Mapping[str, bytes], content: bytes | None = None, source: str = "") -> None:
        """Open it.

        Args:
            files: those that it is read from, by name; `tokenizer.json` among them unless `content` is given.
            content: of a `tokenizer.json` that was made from other files.
            source: the folder's name in error messages.

        Raises:
            TokenizerError: a file is broken, the library is not installed, or what the file describes cannot
                be used; the message names it.
        """
        try:
            import tokenizers
        except ImportError as error:
            raise TokenizerError("tokenizers: this package is needed; pip install 'xformer[hf]'") from error
        self._files, self._name = dict(files), f"{source}/{JSON}" if source else JSON
        given = files[JSON] if content is None else content
        try:
            self._fast = tokenizers.Tokenizer.from_str(given.decode())
            self._content: dict[str, Any] = json.loads(given)
        except Exception as error:  # the package raises bare Exceptions
            raise TokenizerError(f"{self._name}: expected a tokenizer of `tokenizers`: {error}") from None
        # Files often have the length of some training run in them; who encodes says where to cut.
        self._fast.no_padding()
        self._fast.no_truncation()
        self._settings = read_settings(files, source)
        self._prefix, self._suffix = self._around()
        self._mask = self._find_mask()

    def __reduce__(self) -> tuple[type[FastTokenizer], tuple[Any, ...]]:
        made = None if JSON in self._files else json.dumps(self._content).encode()
        return FastTokenizer, (self._files, made)

    def __repr__(self) -> str:
        return f"FastTokenizer({self.kind}, {self.vocab_size} pieces, {self.fingerprint()[:12]})"

    @cached_property
    def vocab_size(self) -> int:
        """V, with added tokens."""
        return 1 + max(self._fast.get_vocab(with_added_tokens=True).values())

    @property
    def prefix(self) -> tuple[int, ...]:
        """Ids in front of each text."""
        return self._prefix

    @property
    def suffix(self) -> tuple[int, ...]:
        """Ids behind each text."""
        return self._suffix

    @cached_property
    def special_ids(self) -> frozenset[int]:
        """Ids that the file calls special, and those around a text."""
        added = self._fast.get_added_tokens_decoder()
        return frozenset(i for i, token in added.items() if token.special) | {*self.prefix, *self.suffix}

    @property
    def mask(self) -> str | None:
        """How the tokenizer writes a mask; None if it has none."""
        return self._mask

    @property
    def mask_id(self) -> int | None:
        """The id of a mask; None if there is none."""
        return None if self._mask is None else self.id(self._mask)

    @property
    def max_length(self) -> int | None:
        """Longest sequence by `tokenizer_config.json`; files without a limit have a huge number there."""
        found = self._settings.get("model_max_length")
        return found if isinstance(found, int) and 0 < found < _UNLIMITED else None

    def files(self) -> Mapping[str, bytes]:
        """The files that it was read from."""
        return self._files

    def content(self) -> dict[str, Any]:
        """A copy of the content of `tokenizer.json`."""
        return dict(self._content)

    def padding(self) -> tuple[int, str]:
        """The id and the name of the token that fills up short texts; the first piece where none is named."""
        given = self._settings.get("pad_token")
        name = given.get("content") if isinstance(given, dict) else given
        for one in (name, *_USUAL_PADDING):
            if isinstance(one, str) and (found := self._fast.token_to_id(one)) is not None:
                return int(found), one
        return 0, self.piece(0)

    def encode_batch(self, texts: Sequence[str], num_threads: int | None = None) -> list[Ids]:
        """Ids of many texts; the library has its own threads, unless `num_threads` is 1."""
        require_encodable(texts, num_threads)
        if num_threads == 1:
            found = [self._fast.encode(text, add_special_tokens=False) for text in texts]
        else:
            found = self._fast.encode_batch(list(texts), add_special_tokens=False)
        return [np.array(one.ids, dtype=np.int32) for one in found]

    def encode_masked(self, text: str) -> Ids:
        """Ids of a text as the model reads it; `<mask>` and the tokenizer's own name of a mask are masks."""
        utf8_length(text)
        return np.array(self._fast.encode(self._native(text)).ids, dtype=np.int32)

    def locate(self, text: str) -> LocatedIds:
        """The ids of `encode_masked`, with the characters that each came from."""
        utf8_length(text)
        native = self._native(text)
        found = self._fast.encode(native)
        offsets = np.array(found.offsets, dtype=np.int64).reshape(-1, 2)
        if native != text:
            offsets = _places(text, len(self._mask or ""))[offsets]
        # None is a special token's word; a piece of the text that has none goes on with the last word.
        words = [(-1 if i in self.special_ids else -2) if w is None else w for w, i in _words(found)]
        begins = np.array([k == 0 or words[k] != words[k - 1] for k in range(len(words))], dtype=np.bool_)
        return LocatedIds(np.array(found.ids, dtype=np.int32), offsets, begins)

    def decode(self, ids: Iterable[int] | Ids) -> str:
        """The text of ids, without special ones, as the library writes it."""
        return str(self._fast.decode([int(i) for i in ids], skip_special_tokens=True))

    def id(self, piece: str) -> int:
        """The id of a piece."""
        if (found := self._fast.token_to_id(piece)) is None:
            raise TokenizerError(f"piece: expected one of the vocabulary, got {piece!r}")
        return int(found)

    def piece(self, id: int) -> str:
        """The piece of an id, as the library writes it."""
        if not 0 <= id < self.vocab_size:
            raise TokenizerError(f"id: expected a number from 0 to {self.vocab_size - 1}, got {id}")
        return self._fast.id_to_token(int(id)) or f"<{id}>"

    def fill(self, before: str, id: int, after: str) -> str:
        """A text with a piece in the place of a mask; a piece that goes on with a word joins it."""
        text, goes_on = self._written(self.piece(id))
        if self.kind == "WordPiece":
            return f"{before.rstrip(' ') if goes_on else before}{text}{after}"
        if self._mask_takes_space:
            before = before.removesuffix(" ")
        if not before or before[-1] == " ":
            text = text.removeprefix(" ")
        return f"{before}{text}{after}"

    def fillable(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """The pieces (V,) that text can have, and those of them that are whole characters."""
        allowed = np.zeros(self.vocab_size, dtype=np.bool_)
        shown = np.zeros(self.vocab_size, dtype=np.bool_)
        for piece, number in self._fast.get_vocab(with_added_tokens=True).items():
            allowed[number] = number not in self.special_ids
            shown[number] = allowed[number] and "\ufffd" not in self._written(piece)[0]
        return allowed, shown

    @property
    def kind(self) -> str:
        """What cuts words: WordPiece, BPE, Unigram or WordLevel."""
        return str(self._content["model"].get("type", "BPE"))

    @cached_property
    def unknown_id(self) -> int | None:
        """The id of a word or character that has no piece; None where there is none."""
        model = self._content["model"]
        if (number := model.get("unk_id")) is not None:
            return int(number)
        name = model.get("unk_token")
        return None if name is None else self._fast.token_to_id(name)

    @property
    def pad_id(self) -> int:
        """The id that fills rows up, by the folder's settings, or a usual name; else 0."""
        given = self._settings.get("pad_token")
        name = given.get("content") if isinstance(given, dict) else given
        found = (self._fast.token_to_id(one) for one in (name, "[PAD]", "<pad>") if isinstance(one, str))
        return next((int(number) for number in found if number is not None), 0)

    def vocabulary(self) -> Mapping[str, int]:
        """The id of each piece, added tokens among them."""
        found: dict[str, int] = self._fast.get_vocab(with_added_tokens=True)
        return found

    def _native(self, text: str) -> str:
        return text if self._mask is None else text.replace(MASK, self._mask)

    def _written(self, piece: str) -> tuple[str, bool]:
        """A piece as text, with its space in front; and whether it goes on with a word (WordPiece)."""
        if self.kind == "WordPiece":
            mark = self._content["model"].get("continuing_subword_prefix", "##")
            return piece.removeprefix(mark), bool(mark) and piece.startswith(mark)
        if self._byte_level:
            try:
                return bytes(map(_bytes_by_letter().__getitem__, piece)).decode(errors="replace"), False
            except KeyError:  # an added token, which is written as it is
                return piece, False
        if len(piece) == 6 and piece.startswith("<0x"):
            byte = int(piece[3:5], 16)
            return chr(byte) if byte < 0x80 else "\ufffd", False
        return piece.replace("\u2581", " "), False

    @cached_property
    def _byte_level(self) -> bool:
        return "ByteLevel" in _types(self._content.get("pre_tokenizer"))

    @cached_property
    def _mask_takes_space(self) -> bool:
        added = self._fast.get_added_tokens_decoder()
        return self.mask_id in added and bool(added[self.mask_id].lstrip)

    def _around(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The ids in front of a text and behind it, from what the library does with short texts."""
        for probe in _PROBES:
            plain = self._fast.encode(probe, add_special_tokens=False).ids
            full = self._fast.encode(probe).ids
            for begin in range(len(full) - len(plain) + 1) if plain else ():
                if full[begin : begin + len(plain)] == plain:
                    return tuple(full[:begin]), tuple(full[begin + len(plain) :])
        raise TokenizerError(
            f"{self._name}: post_processor: expected special tokens around the text and nothing else; "
            f"{_PROBES[0]!r} becomes {self._fast.encode(_PROBES[0]).tokens}"
        )

    def _find_mask(self) -> str | None:
        """The mask: by the folder's settings, or a usual name."""
        given = self._settings.get("mask_token")
        name = given.get("content") if isinstance(given, dict) else given
        found = [one for one in (name, *_USUAL_MASKS) if isinstance(one, str) and one]
        return next((one for one in found if self._fast.token_to_id(one) is not None), None)


def read_settings(files: Mapping[str, bytes], source: str) -> dict[str, Any]:
    """The settings beside `tokenizer.json`.

    Raises:
        TokenizerError: a file is broken, or a setting is not supported.
    """
    found: dict[str, Any] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        if name not in files:
            continue
        place = f"{source}/{name}" if source else name
        try:
            content = json.loads(files[name])
        except ValueError as error:
            raise TokenizerError(f"{place}: expected JSON: {error}") from None
        if not isinstance(content, dict):
            raise TokenizerError(f"{place}: expected a JSON object, got {type(content).__name__}")
        found |= content
    if (side := found.get("truncation_side", "right")) != "right":
        raise TokenizerError(f"truncation_side: expected 'right', got {side!r}")
    if found.get("auto_map"):
        raise TokenizerError(
            "tokenizer_config.json: auto_map: expected no code of the folder's own, which is never run, got"
            f" {found['auto_map']!r}"
        )
    return found


def _words(found: Any) -> Iterable[tuple[int | None, int]]:
    return zip(found.word_ids, found.ids, strict=True)


def _places(text: str, width: int) -> NDArray[np.int64]:
    """For each place in the text with masks of `width` characters, the place in `text`."""
    places: list[int] = []
    parts, done = text.split(MASK), 0
    for number, part in enumerate(parts):
        places += range(done, done + len(part))
        done += len(part)
        if number < len(parts) - 1:
            places += [done] * width
            done += len(MASK)
    return np.array([*places, done], dtype=np.int64)


def _types(node: Any) -> set[str]:
    """The types of a part of `tokenizer.json` and of those inside it."""
    if isinstance(node, dict):
        own = {node["type"]} if isinstance(node.get("type"), str) else set()
        return own.union(*map(_types, node.values()))
    return set().union(*map(_types, node)) if isinstance(node, list) else set()


@cache
def _bytes_by_letter() -> dict[str, int]:
    """The letters by which byte-level BPE writes bytes (Radford et al. 2019)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + k): byte for k, byte in enumerate(others)}
