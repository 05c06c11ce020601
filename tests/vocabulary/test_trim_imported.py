"""An imported run that is trimmed cuts and computes as before. Covers xformer.tokenizer.trim_fast."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

import xformer
from tests.huggingface_folders import SPECIAL, WORDS, write_bert, write_json
from xformer.cli.vocabulary import TokenizerTrim
from xformer.errors import InputError
from xformer.interop.export.folder import export_huggingface
from xformer.interop.importing.folder import import_huggingface
from xformer.prediction.fill_mask import Filling
from xformer.progress import Progress
from xformer.runs.directory import RunDirectory
from xformer.vocabulary.source import Texts
from xformer.vocabulary.trim_imported import ImportedSource, trim_imported

tokenizers = pytest.importorskip("tokenizers", reason="needs the extra `hf`: tokenizers")
transformers = pytest.importorskip("transformers", reason="needs the extra `hf`: transformers")

LINES = ["the dog sees houses", "katzen sehen häuser", "zzq 1987 öl", "", "sees the the cat. ω"] * 3
OTHER = "x-ray, jazz & ñandú ω!"


def write_tokenizer(folder: Path, kind: str) -> int:
    """A tokenizer that was trained on a few lines; the number of its pieces."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    lines = [
        "the dog sees the houses of the cat",
        "die katzen sehen die häuser",
        "jazz x-ray quartz 1987 öl",
    ] * 5
    special: dict[str, Any] = {"special_tokens": SPECIAL, "show_progress": False}
    trainer: Any
    if kind == "unigram":
        made = Tokenizer(models.Unigram())
        made.normalizer = normalizers.NFKC()
        made.pre_tokenizer, made.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
        trainer = trainers.UnigramTrainer(vocab_size=90, unk_token="[UNK]", **special)
    else:
        made = Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=330, initial_alphabet=alphabet, **special)
    made.train_from_iterator(lines, trainer)
    around = [(name, made.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    made.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=around)
    made.save(str(folder / "tokenizer.json"))
    names = {f"{token.strip('[]').lower()}_token": token for token in SPECIAL}
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"} | names)
    return int(made.get_vocab_size())


@pytest.fixture(scope="module", params=["wordpiece", "unigram", "bpe"])
def imported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a small BERT with a masked-LM head and one of the kinds of tokenizers."""
    place = tmp_path_factory.mktemp(request.param)
    folder = write_bert(place / "bert", head=True)
    if request.param != "wordpiece":
        size = write_tokenizer(folder, request.param)
        write_bert(folder, head=True, vocab_size=size)  # its own tokenizer comes with it
        write_tokenizer(folder, request.param)
    else:
        (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in WORDS), encoding="utf-8")
    import_huggingface(folder, place / "run", Progress())
    return place / "run"


def source_of(run: Path) -> ImportedSource:
    found = ImportedSource.open(run)
    assert found is not None
    return found


def test_kept_texts_are_cut_and_computed_as_before(imported: Path, tmp_path: Path) -> None:
    made = trim_imported(source_of(imported), Texts.of_lines(LINES, "lines"), tmp_path / "small", Progress())
    assert made.pieces[1] < made.pieces[0]
    assert made.kept_texts == len(LINES)
    assert made.output_difference is not None
    before, after = xformer.load(imported), xformer.load(tmp_path / "small")
    for line in LINES:
        ours, theirs = (model.tokenizer.encode_masked(line) for model in (after, before))
        assert list(map(after.tokenizer.piece, ours)) == list(map(before.tokenizer.piece, theirs))
    np.testing.assert_allclose(after.encode(LINES), before.encode(LINES), atol=1e-6)
    assert after.tokenizer.decode(after.tokenizer.encode(OTHER)) is not None
    text = "the <mask> sees"
    all_of, kept = (cast(list[Filling], model.fill_mask(text, k=400)) for model in (before, after))
    best = {one.piece: one.probability for one in all_of}
    # One factor for all: what the kept pieces had together.
    factor = kept[0].probability / best[kept[0].piece]
    assert factor >= 1
    for one in kept:
        assert one.probability == pytest.approx(best[one.piece] * factor, rel=1e-3)
    assert RunDirectory(tmp_path / "small").origin.is_file()


def test_its_export_is_opened_by_transformers(imported: Path, tmp_path: Path) -> None:
    trim_imported(source_of(imported), Texts.of_lines(LINES, "lines"), tmp_path / "small", Progress())
    export_huggingface(tmp_path / "small", tmp_path / "out", Progress())
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    ours = xformer.load(tmp_path / "small").tokenizer
    for line in LINES:
        assert theirs(line)["input_ids"] == ours.encode_masked(line).tolist()
    model = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path / "out")
    assert model.get_input_embeddings().weight.shape[0] == ours.vocab_size
    assert (theirs.pad_token_id, theirs.mask_token_id) == (ours.pad_id, ours.mask_id)
    assert model.config.pad_token_id == ours.pad_id


def test_texts_are_needed(imported: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="its corpus is not at hand; give a corpus, or files"):
        TokenizerTrim(imported, tmp_path / "small").run_command()
    with pytest.raises(InputError, match="expected texts, found none"):
        trim_imported(source_of(imported), Texts.of_lines([], "none"), tmp_path / "small", Progress())
    assert not (tmp_path / "small").exists()
