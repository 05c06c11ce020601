"""A tokenizer of the library `tokenizers` without the pieces that some texts do not need.

It cuts these texts as before. Unigram and BPE: as in `trim`. WordPiece takes the longest piece at each place,
which is still there, and pieces that were never the longest are not missed; but a word that ends as unknown
went through pieces that no id shows, so those of each beginning of it stay.

Shapes: V pieces before, K pieces after.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import TokenizerError
from .fast import JSON, FastTokenizer
from .wordpiece import VOCABULARY

_BATCH = 4096
_LETTERS = 256
"""Of byte-level BPE: a piece for each byte."""


def pieces_in_fast(
    tokenizer: FastTokenizer, texts: Iterable[str], progress: Callable[[int], None] = lambda done: None
) -> NDArray[np.int64]:
    """How often each piece stands in texts, (V,), those on the way to an unknown word among them."""
    counts, done, iterator = np.zeros(tokenizer.vocab_size, dtype=np.int64), 0, iter(texts)
    while batch := list(islice(iterator, _BATCH)):
        rows = tokenizer.encode_batch(batch)
        counts += np.bincount(np.concatenate(rows), minlength=len(counts))
        if tokenizer.kind == "WordPiece":
            for text, row in zip(batch, rows, strict=True):
                if tokenizer.unknown_id in row:
                    for part in _on_the_way(tokenizer, text):
                        counts[tokenizer.encode(part)] += 1
        done += len(batch)
        progress(done)
    return counts


def trim_fast(tokenizer: FastTokenizer, counts: NDArray[np.int64]) -> tuple[FastTokenizer, NDArray[np.int64]]:
    """The tokenizer without pieces that do not occur.

    Args:
        tokenizer: V pieces, with a `tokenizer.json`.
        counts: (V,) of `pieces_in_fast`.

    Returns:
        The tokenizer, and for each of its K ids the id before, ascending. Added tokens stay, and with byte
        pieces all bytes.

    Raises:
        TokenizerError: it has no `tokenizer.json`, or cuts words in another way than WordPiece, BPE or
            Unigram.
    """
    if JSON not in tokenizer.files():
        raise TokenizerError(
            f"expected a tokenizer with {JSON}, which transformers writes:"
            " AutoTokenizer.from_pretrained(…).save_pretrained(…)"
        )
    content = json.loads(tokenizer.files()[JSON])
    model, kind = content["model"], tokenizer.kind
    if kind not in ("WordPiece", "BPE", "Unigram"):
        raise TokenizerError(f"{JSON}: model.type: expected WordPiece, BPE or Unigram, got {kind}")
    pieces = (
        {name: number for number, (name, _) in enumerate(model["vocab"])}
        if kind == "Unigram"
        else model["vocab"]
    )
    stays = counts > 0
    stays[[token["id"] for token in content["added_tokens"]]] = True
    stays[[*tokenizer.special_ids, *_always(model, pieces)]] = True
    _keep_parts(pieces, stays, characters=kind != "BPE")
    kept = np.flatnonzero(stays & _there(tokenizer))
    new = {int(old): number for number, old in enumerate(kept)}
    _renumber(content, pieces, new)
    files = dict(tokenizer.files()) | {JSON: json.dumps(content, ensure_ascii=False, indent=2).encode()}
    if VOCABULARY in files:
        names = sorted((new[number], name) for name, number in pieces.items() if number in new)
        files[VOCABULARY] = "".join(f"{name}\n" for _, name in names).encode()
    files = {
        name: value for name, value in files.items() if name in (JSON, VOCABULARY) or name.endswith(".json")
    }
    for name in ("vocab.json", "added_tokens.json"):
        files.pop(name, None)
    return FastTokenizer(_with_settings(files, new)), kept


def _on_the_way(tokenizer: FastTokenizer, text: str) -> Iterator[str]:
    """The beginnings of each unknown word of a text."""
    located = tokenizer.locate(text)
    for number, (begin, end) in zip(located.ids, located.offsets, strict=True):
        if number == tokenizer.unknown_id:
            yield from (text[begin:place] for place in range(int(begin) + 1, int(end)))


def _always(model: Mapping[str, Any], pieces: Mapping[str, int]) -> Iterator[int]:
    """Ids that any text may need: the unknown piece, bytes, and of Unigram the least probable piece."""
    if isinstance(model.get("unk_token"), str) and model["unk_token"] in pieces:
        yield pieces[model["unk_token"]]
    yield from (number for name, number in pieces.items() if len(name) == 6 and name.startswith("<0x"))
    if model.get("type") == "Unigram":
        if model.get("unk_id") is not None:
            yield int(model["unk_id"])
        scores = [score for _, score in model["vocab"]]
        yield int(np.argmin(scores))
    elif model.get("type", "BPE") == "BPE":
        yield from sorted(number for name, number in pieces.items() if len(name) == 1)[:_LETTERS]


def _keep_parts(pieces: Mapping[str, int], stays: NDArray[np.bool_], *, characters: bool) -> None:
    """Keep all pieces that lie inside a kept one, or only its characters."""
    for piece, number in pieces.items():
        if stays[number]:
            for begin in range(len(piece)):
                for end in range(begin + 1, (begin + 1 if characters else len(piece)) + 1):
                    if (part := pieces.get(piece[begin:end])) is not None:
                        stays[part] = True


def _there(tokenizer: FastTokenizer) -> NDArray[np.bool_]:
    """The ids (V,) that have a piece; some files leave some out."""
    found = np.zeros(tokenizer.vocab_size, dtype=np.bool_)
    found[list(tokenizer.vocabulary().values())] = True
    return found


def _renumber(content: dict[str, Any], pieces: Mapping[str, int], new: Mapping[int, int]) -> None:
    """Write new ids wherever a `tokenizer.json` has one."""
    model = content["model"]
    if isinstance(model["vocab"], list):
        model["vocab"] = [one for number, one in enumerate(model["vocab"]) if number in new]
        if model.get("unk_id") is not None:
            model["unk_id"] = new[model["unk_id"]]
    else:
        model["vocab"] = {name: new[number] for name, number in pieces.items() if number in new}
    if "merges" in model:
        pairs = [(one, one.split(" ") if isinstance(one, str) else one) for one in model["merges"]]
        known = model["vocab"]
        model["merges"] = [one for one, (a, b) in pairs if a in known and b in known and a + b in known]
    for token in content["added_tokens"]:
        token["id"] = new[token["id"]]
    _renumber_around(content.get("post_processor"), new)
    content["padding"] = content["truncation"] = None


def _renumber_around(node: Any, new: Mapping[int, int]) -> None:
    """New ids of the tokens around a text."""
    if not isinstance(node, dict):
        return
    for one in node.get("processors", []):
        _renumber_around(one, new)
    special = node.get("special_tokens")
    for token in special.values() if isinstance(special, dict) else ():
        token["ids"] = [new[number] for number in token["ids"]]
    for name in ("sep", "cls"):
        if isinstance(node.get(name), list):
            node[name][1] = new[node[name][1]]


def _with_settings(files: dict[str, bytes], new: Mapping[int, int]) -> dict[str, bytes]:
    """Settings that name the new ids, and have transformers read the whole of `tokenizer.json`."""
    name = "tokenizer_config.json"
    settings = json.loads(files.get(name, b"{}"))
    decoder = settings.get("added_tokens_decoder")
    if isinstance(decoder, dict):
        kept = {str(new[int(number)]): token for number, token in decoder.items() if int(number) in new}
        settings["added_tokens_decoder"] = kept
    settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    # transformers 4 would give this class's ids of segments to models that have none.
    settings.setdefault("model_input_names", ["input_ids", "attention_mask"])
    return files | {name: json.dumps(settings, ensure_ascii=False, indent=2).encode()}
