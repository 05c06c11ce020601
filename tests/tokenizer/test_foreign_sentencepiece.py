"""SentencePiece models and vocabularies of other libraries, beside `transformers` on the same files.

Covers `wordpiece`.
"""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

from xformer.interop.export.fuzz import fuzzed_lines
from xformer.tokenizer.errors import TokenizerError
from xformer.tokenizer.folder import open_folder
from xformer.tokenizer.interface import TextTokenizer

WORDS = ["the", "dog", "sees", "a", "house", "and", "cat", "katze", "maus", "γάτα", "βλέπει", "猫が", "見る"]
WORDS += ["дом", "собака", "हिन्दी", "ภาษาไทย"]
TEXTS = ["the dog", "", " ", " the  dog ", "a <mask> b", "a<mask>b", "<s> x </s>", "ﬁne ①", "日本 x"]
TEXTS += ["x\u200by", "\t <", "<unk>"]


@pytest.fixture(scope="module")
def lines() -> list[str]:
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(WORDS, 8)) for _ in range(300)]


@pytest.fixture(scope="module")
def xlm_r(lines: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with XLM-R's older file alone."""
    folder, model = tmp_path_factory.mktemp("xlm-r"), io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, vocab_size=64, model_type="unigram",
        normalization_rule_name="nmt_nfkc", minloglevel=2, num_threads=1,
    )  # fmt: skip
    (folder / "sentencepiece.bpe.model").write_bytes(model.getvalue())
    (folder / "config.json").write_text('{"model_type": "xlm-roberta"}')
    return folder


@pytest.fixture(scope="module")
def t5(lines: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with T5's older file alone."""
    folder, model = tmp_path_factory.mktemp("t5"), io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, vocab_size=64, model_type="unigram",
        pad_id=0, eos_id=1, unk_id=2, bos_id=-1, minloglevel=2, num_threads=1,
    )  # fmt: skip
    (folder / "spiece.model").write_bytes(model.getvalue())
    (folder / "config.json").write_text('{"model_type": "t5"}')
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "T5Tokenizer", "extra_ids": 100}')
    return folder


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with BERT's older file alone."""
    folder = tmp_path_factory.mktemp("bert")
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, "##s", "##e", *"adeghostuxy猫見日本"]
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    (folder / "config.json").write_text('{"model_type": "bert"}')
    return folder


def theirs(folder: Path) -> Any:
    transformers = pytest.importorskip("transformers", reason="needs the extra `hf`: transformers")
    return transformers.AutoTokenizer.from_pretrained(folder)


def differing(ours: TextTokenizer, theirs: Any, texts: list[str]) -> list[str]:
    rows, _ = ours.sequences(texts, num_threads=1)
    assert [row.tolist() for row in rows] == [
        ours.encode_masked(text).tolist() for text in texts
    ] or ours.mask is None
    found = theirs(texts, verbose=False)["input_ids"]
    return [text for text, row, other in zip(texts, rows, found, strict=True) if row.tolist() != other]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["xlm_r", "t5"])
def test_sentencepiece_has_the_ids_of_transformers(
    kind: str, request: pytest.FixtureRequest, lines: list[str]
) -> None:
    folder = request.getfixturevalue(kind)
    ours, peer = open_folder(folder), theirs(folder)
    assert ours.vocab_size == len(peer)
    texts = [*TEXTS, *lines[:50], *fuzzed_lines(0, 400, lines)]
    different = differing(ours, peer, texts)
    processor = SentencePieceProcessor(model_file=str(next(folder.glob("*.model"))))
    offset, unknown = (1, 3) if kind == "xlm_r" else (0, 2)
    for text in different:
        # `tokenizers` splits at U+0085, and normalises some combining marks in other groups. Ours are the ids
        # of SentencePiece itself, whose model it is.
        ids = [unknown if i == processor.unk_id() else i + offset for i in processor.encode(text)]
        assert "<" in text or ours.encode(text).tolist() == ids
    assert len(different) < 0.05 * len(texts)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings", [{}, {"do_lower_case": False}, {"do_lower_case": False, "strip_accents": True}]
)
def test_a_vocabulary_of_bert_has_the_ids_of_transformers(
    bert: Path, tmp_path: Path, lines: list[str], settings: dict[str, Any]
) -> None:
    for file in bert.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "tokenizer_config.json").write_text(
        json.dumps(settings | {"tokenizer_class": "BertTokenizer"})
    )
    texts = [*TEXTS, "The DOG's Häuser", "[CLS] x [MASK]", *lines[:50], *fuzzed_lines(0, 400, lines)]
    ours = open_folder(tmp_path)
    assert ours.mask == "[MASK]"
    texts = [text for text in texts if "<mask>" not in text]
    assert not differing(ours, theirs(tmp_path), texts)


def test_places_of_pieces(xlm_r: Path) -> None:
    ours = open_folder(xlm_r)
    text = "  ﬁne  the dog <mask> <s>猫が"
    found = ours.locate(text)
    assert found.ids.tolist() == ours.encode_masked(text).tolist()
    shown = [text[a:b].strip() for a, b in found.offsets]
    assert "".join(shown) == text.replace(" ", "")
    assert shown.count("<mask>") == shown.count("<s>") == 1
    assert found.ids[shown.index("<mask>")] == ours.mask_id
    assert found.begins_word[0]
    assert ours.prefix == (0,)
    assert ours.suffix == (2,)


def test_pieces_have_the_ids_of_fairseq(xlm_r: Path) -> None:
    ours = open_folder(xlm_r)
    assert [ours.piece(i) for i in range(4)] == ["<s>", "<pad>", "</s>", "<unk>"]
    assert ours.piece(ours.vocab_size - 1) == "<mask>"
    assert ours.mask_id == ours.vocab_size - 1 == 65
    own = SentencePieceProcessor(model_file=str(xlm_r / "sentencepiece.bpe.model"))
    assert ours.id(own.id_to_piece(10)) == 11
    allowed, shown = ours.fillable()
    assert allowed.sum() == 61
    assert (allowed == shown).all()
    piece = next(piece for piece in map(ours.piece, range(4, 65)) if piece[0] == "▁" and len(piece) > 1)
    assert ours.fill("the ", ours.id(piece), "!") == f"the {piece[1:]}!"
    assert ours.fill("", ours.id(piece), "!") == f"{piece[1:]}!"
    assert ours.decode(ours.encode_masked("the dog")) == "the dog"
    again = pickle.loads(pickle.dumps(ours))  # noqa: S301 - our own bytes
    assert again.encode("the dog").tolist() == ours.encode("the dog").tolist()
    with pytest.raises(TokenizerError, match="piece: expected"):
        ours.id("no such piece")
    with pytest.raises(TokenizerError, match="id: expected"):
        ours.piece(66)
    with pytest.raises(TokenizerError, match="lone surrogate"):
        ours.encode("\ud800")


def test_what_is_not_theirs_is_named(xlm_r: Path, t5: Path, bert: Path, tmp_path: Path) -> None:
    (tmp_path / "sentencepiece.bpe.model").write_bytes((xlm_r / "sentencepiece.bpe.model").read_bytes())
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "CamembertTokenizer"}')
    with pytest.raises(TokenizerError, match="tokenizer_class: expected one of XLMRobertaTokenizer"):
        open_folder(tmp_path)
    (tmp_path / "tokenizer_config.json").unlink()
    (tmp_path / "sentencepiece.bpe.model").write_bytes(b"no model")
    with pytest.raises(TokenizerError, match="expected a SentencePiece model"):
        open_folder(tmp_path)
    (tmp_path / "sentencepiece.bpe.model").unlink()
    (tmp_path / "spiece.model").write_bytes((t5 / "spiece.model").read_bytes())
    with pytest.raises(TokenizerError, match="tokenizer_class: expected one of T5Tokenizer, MT5Tokenizer"):
        open_folder(tmp_path)
    (tmp_path / "vocab.txt").write_text("dog\n")
    with pytest.raises(TokenizerError, match=r"vocab\.txt: expected the piece '\[UNK\]'"):
        open_folder(tmp_path)
    (tmp_path / "vocab.txt").write_bytes(b"\xff")
    with pytest.raises(TokenizerError, match="expected UTF-8"):
        open_folder(tmp_path)
