"""Tokens know where they lie in their text, for our tokenizers and for those of Hugging Face."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xformer.errors import InputError
from xformer.inspect.tokenised import TextTokens, tokens_of, tokens_of_huggingface
from xformer.runs.directory import RunDirectory
from xformer.tokenizer import Tokenizer
from xformer.tokenizer.special import MASK_ID


@pytest.fixture(scope="module")
def ours(trained: RunDirectory) -> TextTokens:
    return tokens_of(Tokenizer.load(trained.tokenizer))


TEXTS = st.text(st.sampled_from("dog cat sees Hund βλέπει <mask>\u3000xé日本🙂\n"), max_size=12).flatmap(
    lambda a: st.sampled_from([a, f"{a}<mask>", f"{a} <mask> {a}", f"<mask>{a}"])
)


@given(text=TEXTS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_ids_are_those_of_the_tokenizer_and_spans_cover_the_text(ours: TextTokens, text: str) -> None:
    found = ours.tokenise(text)
    assert len(found.ids) == len(found.pieces) == len(found.spans) == len(found.special) == len(found.words)
    covered = {i for begin, end in found.spans for i in range(begin, end)}
    assert {i for i, c in enumerate(text) if not c.isspace()} <= covered
    assert list(found.spans) == sorted(found.spans)
    for (begin, end), i, special in zip(found.spans, found.ids, found.special, strict=True):
        assert special == (i == MASK_ID)
        if special:
            assert text[begin:end] == "<mask>"
    words = [word for word in found.words if word >= 0]
    assert words == sorted(words)
    assert set(words) == set(range(len(set(words))))


def test_ids_are_those_that_fill_mask_reads(ours: TextTokens, trained: RunDirectory) -> None:
    tokenizer = Tokenizer.load(trained.tokenizer)
    for text in ("dog sees house", "dog <mask> house", "<mask>", "Hund<mask> <mask>"):
        assert ours.tokenise(text).ids.tolist() == tokenizer.encode_masked(text).tolist()
    hidden = ours.tokenise("dog <mask> house")
    mask = hidden.ids.tolist().index(MASK_ID)
    assert hidden.spans[mask] == (4, 10)
    assert hidden.words[mask] == -1
    assert hidden.words[mask + 1] == hidden.words[mask - 1] + 1


def test_other_ids_in_the_same_places(ours: TextTokens) -> None:
    text = ours.tokenise("dog sees house")
    hidden = text.with_ids([MASK_ID] * len(text))
    assert hidden.spans == text.spans
    assert hidden.ids.tolist() == [MASK_ID] * len(text)
    with pytest.raises(InputError, match="expected"):
        text.with_ids([1, 2, 3] * 9)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small WordPiece tokenizer, as BERT has."""
    tokenizers = pytest.importorskip("tokenizers", reason="the package tokenizers is not installed")
    path = tmp_path_factory.mktemp("hf")
    names = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "the",
        "cat",
        "sleep",
        "##s",
        "file",
        "##name",
        ".",
    ]
    fast = tokenizers.Tokenizer(
        tokenizers.models.WordPiece(dict(zip(names, range(12), strict=True)), unk_token="[UNK]")
    )
    fast.normalizer = tokenizers.normalizers.BertNormalizer()
    fast.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    fast.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    fast.add_special_tokens(names[:5])
    fast.enable_padding(length=32, pad_id=0)
    fast.enable_truncation(6)
    fast.save(str(path / "tokenizer.json"))
    return path


def test_a_tokenizer_of_hugging_face(folder: Path) -> None:
    tokens = tokens_of_huggingface(folder)
    found = tokens.tokenise("The cat sleeps. The [MASK] filename")
    assert found.pieces == (
        "[CLS]",
        "the",
        "cat",
        "sleep",
        "##s",
        ".",
        "the",
        "[MASK]",
        "file",
        "##name",
        "[SEP]",
    )
    assert found.spans[3:6] == ((8, 13), (13, 14), (14, 15))
    assert found.special == (True, *[False] * 6, True, False, False, True)
    assert found.words == (-1, 0, 1, 2, 2, 3, 4, -1, 5, 5, -1)
    assert (tokens.mask_id, tokens.vocab_size, tokens.piece(6)) == (4, 12, "cat")
    assert tokens.special_ids == {0, 1, 2, 3, 4}


def test_what_is_no_tokenizer_is_named(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(InputError, match=r"expected a tokenizer, as tokenizer\.json"):
        tokens_of_huggingface(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(InputError, match="expected a tokenizer"):
        tokens_of_huggingface(tmp_path)
    (tmp_path / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())
    (tmp_path / "tokenizer_config.json").write_text("[]")
    with pytest.raises(InputError, match="expected a JSON object"):
        tokens_of_huggingface(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"mask_token": {"content": "[UNK]"}}))
    assert tokens_of_huggingface(tmp_path).mask_id == 1
