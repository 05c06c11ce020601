"""Tokenizers of the library `tokenizers` behind our interface, beside the library itself.

Covers `folder`, `interface` and `fixed_ids`.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from xformer.tokenizer.errors import TokenizerError
from xformer.tokenizer.fast import FastTokenizer
from xformer.tokenizer.folder import open_folder

tokenizers = pytest.importorskip("tokenizers", reason="needs the extra `hf`: tokenizers")
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors  # noqa: E402

LINES = [
    "the dog sees",
    "",
    "  Ünï code",
    "猫が見る",
    "dog\tdog\n",
    "🫠 🇩🇪",
    "the <mask> [MASK] </s>",
    "ﬁ \u0301x",
]


def byte_level() -> Any:
    """As ModernBERT's: byte-level BPE, a mask that takes the space in front of it along."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]", *alphabet, "Ġd", "Ġdo", "Ġdog", "do", "dog"]
    merges = [("Ġ", "d"), ("Ġd", "o"), ("Ġdo", "g"), ("d", "o"), ("do", "g")]
    made = tokenizers.Tokenizer(models.BPE({piece: i for i, piece in enumerate(pieces)}, merges))
    made.normalizer = normalizers.NFC()
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([*pieces[:4], tokenizers.AddedToken("[MASK]", lstrip=True)])
    pair = [("[CLS]", 1), ("[SEP]", 2)]
    made.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=pair)
    return made


def unigram() -> Any:
    """As XLM-R's: Unigram, `<s>` and `</s>`, a mask that takes the space in front of it along."""
    pieces = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -1.0), ("▁dog", -2.0)]
    pieces += [(letter, -4.0) for letter in "thedogsxuni"] + [("<mask>", 0.0)]
    made = tokenizers.Tokenizer(models.Unigram(list(dict(pieces).items()), unk_id=3))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    made.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>", tokenizers.AddedToken("<mask>", lstrip=True)])
    pair = [("<s>", 0), ("</s>", 2)]
    made.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=pair)
    return made


def wordpiece() -> Any:
    """As BERT's."""
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "dog", "##s", "the", "see"]
    made = tokenizers.Tokenizer(models.WordPiece({p: i for i, p in enumerate(pieces)}, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.add_special_tokens(pieces[:5])
    made.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return made


KINDS: dict[str, Callable[[], Any]] = {"wordpiece": wordpiece, "byte_level": byte_level, "unigram": unigram}


@pytest.fixture(params=KINDS)
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[FastTokenizer, Any]:
    """Ours and the library's."""
    theirs = KINDS[request.param]()
    theirs.save(str(tmp_path / "tokenizer.json"))
    ours = open_folder(tmp_path)
    assert isinstance(ours, FastTokenizer)
    return ours, theirs


def test_ids_are_the_librarys(pair: tuple[FastTokenizer, Any]) -> None:
    ours, theirs = pair
    for threads in (1, None):
        rows, cut = ours.sequences(LINES, num_threads=threads)
        assert [row.tolist() for row in rows] == [theirs.encode(line).ids for line in LINES]
        assert cut == 0
    assert [ours.encode(line).tolist() for line in LINES] == [
        theirs.encode(line, add_special_tokens=False).ids for line in LINES
    ]


@pytest.mark.parametrize("most", [2, 3, 5])
def test_cut_as_the_library_cuts(pair: tuple[FastTokenizer, Any], most: int) -> None:
    ours, theirs = pair
    whole = [len(theirs.encode(line).ids) for line in LINES]
    theirs.enable_truncation(most)
    rows, cut = ours.sequences(LINES, most)
    assert [row.tolist() for row in rows] == [theirs.encode(line).ids for line in LINES]
    assert cut == sum(n > most for n in whole)


def test_what_is_known_of_it(pair: tuple[FastTokenizer, Any]) -> None:
    ours, theirs = pair
    assert ours.vocab_size == theirs.get_vocab_size()
    assert ours.prefix == tuple(theirs.encode("").ids[:1])
    assert ours.suffix == tuple(theirs.encode("").ids[1:])
    assert ours.mask_id == theirs.token_to_id(ours.mask)
    assert {ours.mask_id, *ours.prefix, *ours.suffix} < ours.special_ids
    assert ours.id(ours.piece(5)) == 5
    assert ours.max_length is None
    again = pickle.loads(pickle.dumps(ours))  # noqa: S301 - our own bytes
    assert again.fingerprint() == ours.fingerprint()
    assert again.encode("the dog").tolist() == ours.encode("the dog").tolist()
    assert ours.decode(ours.encode("dog")) == "dog"
    for wrong in (-1, ours.vocab_size):
        with pytest.raises(TokenizerError, match="id: expected a number from 0"):
            ours.piece(wrong)
    with pytest.raises(TokenizerError, match="piece: expected one of the vocabulary"):
        ours.id("no such piece")
    with pytest.raises(TokenizerError, match="lone surrogate"):
        ours.encode("\ud800")
    with pytest.raises(TokenizerError, match="num_threads"):
        ours.encode_batch(["a"], 0)


def test_a_mask_has_one_name(pair: tuple[FastTokenizer, Any]) -> None:
    ours, theirs = pair
    text = "the <mask> dog <mask>"
    native = text.replace("<mask>", ours.mask or "")
    assert ours.encode_masked(text).tolist() == theirs.encode(native).ids
    found = ours.locate(text)
    assert found.ids.tolist() == theirs.encode(native).ids
    masks = [
        text[a:b].strip() for i, (a, b) in zip(found.ids, found.offsets, strict=True) if i == ours.mask_id
    ]
    assert masks == ["<mask>", "<mask>"]
    assert "".join(text[a:b] for a, b in found.offsets).replace(" ", "").count("dog") == 1
    assert found.begins_word[0]


@pytest.mark.parametrize(
    ("kind", "before", "piece", "expected"),
    [
        ("wordpiece", "the ", "dog", "the dog!"),
        ("wordpiece", "dog ", "##s", "dogs!"),
        ("byte_level", "the ", "Ġdog", "the dog!"),
        ("byte_level", "the ", "dog", "thedog!"),
        ("byte_level", "", "Ġdog", "dog!"),
        ("unigram", "the ", "▁dog", "the dog!"),
        ("unigram", "", "▁dog", "dog!"),
        ("unigram", "the", "x", "thex!"),
    ],
)
def test_a_piece_takes_the_place_of_a_mask(
    tmp_path: Path, kind: str, before: str, piece: str, expected: str
) -> None:
    KINDS[kind]().save(str(tmp_path / "tokenizer.json"))
    ours = open_folder(tmp_path)
    assert ours.fill(before, ours.id(piece), "!") == expected


def test_parts_of_characters_are_not_shown(tmp_path: Path) -> None:
    byte_level().save(str(tmp_path / "tokenizer.json"))
    ours = open_folder(tmp_path)
    allowed, shown = ours.fillable()
    assert allowed.sum() == ours.vocab_size - len(ours.special_ids)
    assert shown[ours.id("Ġdog")]
    assert allowed[ours.id("ç")]
    assert not shown[ours.id("ç")]  # the byte 0xE7, which begins a character of three


def test_lengths_of_training_are_not_those_of_use(tmp_path: Path) -> None:
    made = wordpiece()
    made.enable_truncation(3)
    made.enable_padding(length=9)
    made.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text('{"model_max_length": 512}')
    ours = open_folder(tmp_path)
    assert len(ours.encode("dog dog dog dog dog")) == 5
    assert ours.max_length == 512


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("tokenizer.json", "{", "tokenizer.json: expected a tokenizer of `tokenizers`"),
        ("tokenizer_config.json", "{", "tokenizer_config.json: expected JSON"),
        ("special_tokens_map.json", "[]", "special_tokens_map.json: expected a JSON object"),
        (
            "tokenizer_config.json",
            '{"truncation_side": "left"}',
            "truncation_side: expected 'right', got 'left'",
        ),
    ],
)
def test_broken_files_are_named(tmp_path: Path, file: str, content: str, message: str) -> None:
    wordpiece().save(str(tmp_path / "tokenizer.json"))
    (tmp_path / file).write_text(content)
    with pytest.raises(TokenizerError, match=message):
        open_folder(tmp_path)


def test_a_folder_without_a_tokenizer_is_told_how(tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match="expected a tokenizer, as"):
        open_folder(tmp_path)
