"""Trimmed runs compute the same for kept texts, and are whole runs.

Covers `source`, `rows`, `measure`, `fit` and `new_run`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import xformer
from xformer.data.corpus import open_corpus
from xformer.data.labelled import LabelledText
from xformer.errors import InputError
from xformer.finetuning.base import base_of
from xformer.finetuning.config import FinetuningConfig
from xformer.finetuning.finetune import SourceExamples, finetune
from xformer.model.packed import pack
from xformer.pretraining import pretrain
from xformer.pretraining.load import load_model
from xformer.progress import Progress
from xformer.runs.checkpoint_folders import checkpoint_folders
from xformer.runs.directory import RunDirectory
from xformer.runs.opening import open_checkpoint
from xformer.runs.origin import Origin
from xformer.runs.settings import with_training
from xformer.tokenizer import Tokenizer
from xformer.vocabulary import trim as module
from xformer.vocabulary.measure import compare_cuts, top1_retrieval
from xformer.vocabulary.source import Source, Texts
from xformer.vocabulary.trim import Trimmed, trim_run

pytestmark = pytest.mark.usefixtures("_no_picture")


@pytest.fixture(scope="module")
def trimmed(
    plain_run: RunDirectory, corpus: Path, tmp_path_factory: pytest.TempPathFactory, listening: type[Progress]
) -> Trimmed:
    out = tmp_path_factory.mktemp("trimmed") / "run"
    texts = Texts.of_corpus(open_corpus(corpus), ("de", "en"))
    return trim_run(Source.open(plain_run.path), texts, out, listening())


def test_kept_texts_have_the_same_vectors_and_logits(
    plain_run: RunDirectory, trimmed: Trimmed, corpus: Path
) -> None:
    before, after = xformer.load(plain_run.path), xformer.load(trimmed.run)
    whole = open_corpus(corpus)
    texts = [record.text for record in whole.records("train") if record.language != "el"]
    np.testing.assert_array_equal(before.encode(texts), after.encode(texts))
    ids = [before.tokenizer.encode(texts[0]), after.tokenizer.encode(texts[0])]
    shown = [
        model.tokenizer.piece(int(i)) for model, row in zip((before, after), ids, strict=True) for i in row
    ]
    assert shown[: len(ids[0])] == shown[len(ids[0]) :]
    assert trimmed.kept_texts == sum(
        record.language != "el" for split in ("train", "dev") for record in whole.records(split)
    )
    logits = []
    for run, row in zip((plain_run, RunDirectory(trimmed.run)), ids, strict=True):
        model = load_model(run.load_config(), open_checkpoint(run)).double()
        with torch.no_grad():
            logits.append(model.token_logits(pack([row]), torch.arange(len(row))))
    old_ids = [before.tokenizer.id(after.tokenizer.piece(i)) for i in range(after.tokenizer.vocab_size)]
    torch.testing.assert_close(logits[1], logits[0][:, old_ids])
    # The softmax over fewer pieces: each probability is divided by what all kept ones had together.
    whole_softmax = logits[0].softmax(1)[:, old_ids]
    torch.testing.assert_close(logits[1].softmax(1), whole_softmax / whole_softmax.sum(1, keepdim=True))


def test_rows_and_moments_are_those_of_the_pieces(plain_run: RunDirectory, trimmed: Trimmed) -> None:
    run = RunDirectory(trimmed.run)
    assert trimmed.pieces == (320, Tokenizer.load(run.tokenizer).vocab_size)
    assert run.load_config().model.rows == trimmed.pieces[1] < 320  # 40 rows without a piece are gone, too
    (newest,) = checkpoint_folders(run.checkpoints)
    before, after = open_checkpoint(plain_run), open_checkpoint(run)
    old, new = Tokenizer.load(plain_run.tokenizer), Tokenizer.load(run.tokenizer)
    rows = torch.tensor([old.id(new.piece(i)) for i in range(new.vocab_size)])
    for kind in ("model", "optimizer"):
        had, has = before.whole(kind), after.whole(kind)
        assert had.keys() == has.keys()
        changed = {name for name in had if had[name].shape != has[name].shape}
        assert {name.split(".", 1)[1] for name in changed if kind == "optimizer"} <= {
            "encoder.embeddings.tok_embeddings.weight",
            "masked_lm.bias",
        }
        assert changed
        for name in had:
            assert torch.equal(has[name], had[name][rows] if name in changed else had[name]), name
    assert after.state.step == before.state.step
    assert trimmed.weight_bytes[1] < trimmed.weight_bytes[0]
    assert trimmed.parameters[1] == sum(t.numel() for t in after.whole("model").values())
    assert newest.name == "step-00000008"


def test_it_says_where_it_comes_from(plain_run: RunDirectory, trimmed: Trimmed) -> None:
    origin = Origin.load(RunDirectory(trimmed.run))
    assert origin is not None
    assert (origin.run, origin.step, origin.languages) == (str(plain_run.path), 8, ("de", "en"))
    assert (origin.pieces_before, origin.pieces) == trimmed.pieces
    card = RunDirectory(trimmed.run).model_card.read_text(encoding="utf-8")
    assert "## Origin" in card
    assert "`xformer tokenizer trim`" in card
    assert "| el |" not in card
    assert xformer.load(trimmed.run).languages == ("de", "en")


def test_pretraining_goes_on(trimmed: Trimmed, listening: type[Progress]) -> None:
    run = RunDirectory(trimmed.run)
    longer = with_training(run.load_config(), steps=10)
    assert pretrain.pretrain(run.path, longer, listening())
    assert open_checkpoint(run).state.step == 10


def test_one_language_learns_without_translations(
    plain_run: RunDirectory, corpus: Path, tmp_path: Path, listening: type[Progress]
) -> None:
    texts = Texts.of_corpus(open_corpus(corpus), ("el",))
    made = trim_run(Source.open(plain_run.path), texts, tmp_path / "greek", listening())
    assert made.top1 is None
    config = RunDirectory(made.run).load_config()
    assert (config.objectives.alignment_tokens, config.objectives.translation_lm_tokens) == (0, 0)
    assert pretrain.pretrain(made.run, with_training(config, steps=9), listening())


def test_lines_without_splits(plain_run: RunDirectory, tmp_path: Path, listening: type[Progress]) -> None:
    """Every tenth line shows what a vocabulary of the others does, and is kept as well in the end."""
    lines = ["dog sees house"] * 9 + ["cat buys \u0436 apple"]
    made = trim_run(
        Source.open(plain_run.path), Texts.of_lines(lines, "lines"), tmp_path / "new", listening()
    )
    assert (made.unseen.texts, made.unseen.same, made.unseen.first) == (1, 0, lines[-1])
    assert made.unseen.tokens > made.unseen.tokens_before
    assert made.kept_texts == 10
    new, old = (Tokenizer.load(RunDirectory(p).tokenizer) for p in (made.run, plain_run.path))
    assert [new.piece(i) for i in new.encode(lines[-1])] == [old.piece(i) for i in old.encode(lines[-1])]


def test_retrieval_is_that_of_the_whole_run_on_the_same_texts(
    plain_run: RunDirectory, corpus: Path, listening: type[Progress]
) -> None:
    """Measured with the vocabulary before, on all languages, it is what the evaluation of the run finds."""
    from xformer.evaluation.run import evaluate_run

    config, progress = plain_run.load_config(), listening()
    tokenizer, model = Tokenizer.load(plain_run.tokenizer), load_model(config, open_checkpoint(plain_run))
    report = evaluate_run(plain_run.path, progress, bag_seconds=0.1, device=torch.device("cpu"))
    assert report.retrieval is not None
    layer = report.retrieval.layer
    found = top1_retrieval(model, tokenizer, corpus, "en", layer, config.data.max_length, progress)
    assert found == pytest.approx(report.retrieval.mean_top1)


def test_what_cannot_be_trimmed_is_refused(
    plain_run: RunDirectory,
    trained: RunDirectory,
    tmp_path: Path,
    listening: type[Progress],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(InputError, match=r"model\.bigrams: expected 0, got 4"):
        Source.open(trained.path)
    source, out = Source.open(plain_run.path), tmp_path / "out"
    with pytest.raises(InputError, match=r"nothing: expected texts, found none"):
        trim_run(source, Texts.of_lines([], "nothing"), out, listening())
    with pytest.raises(InputError, match="lone surrogate"):
        trim_run(source, Texts.of_lines(["\ud800"], "lines"), out, listening())
    wrong = trim_run.__globals__["trim_tokenizer"]

    def too_few(tokenizer: Tokenizer, counts: np.ndarray) -> tuple[Tokenizer, np.ndarray]:
        counts[-100:] = 0
        return wrong(tokenizer, counts)

    monkeypatch.setattr(module, "trim_tokenizer", too_few)
    lines = [record.text for record in open_corpus(source.config.data.corpus).records("train")]  # type: ignore[union-attr]
    with pytest.raises(InputError, match=r"cuts .* texts in another way"):
        trim_run(source, Texts.of_lines(lines, "lines"), out, listening())
    assert not out.exists()
    assert not list(tmp_path.iterdir())


def test_cuts_are_compared_by_the_ids_before(plain_run: RunDirectory) -> None:
    tokenizer = Tokenizer.load(plain_run.tokenizer)
    same = np.arange(tokenizer.vocab_size)
    found = compare_cuts(["dog sees", "Hund"], tokenizer, tokenizer, same)
    assert (found.texts, found.same, found.share, found.first) == (2, 2, 1.0, "")
    other = compare_cuts(["dog sees", "Hund"], tokenizer, tokenizer, same[::-1])
    assert (other.same, other.first) == (0, "dog sees")
    assert replace(other, texts=0).share is None


def test_a_classifier_gives_the_same_labels(
    plain_run: RunDirectory,
    finetuning: FinetuningConfig,
    source_texts: SourceExamples[LabelledText],
    tmp_path: Path,
    listening: type[Progress],
) -> None:
    base, model = base_of(plain_run.path, tmp_path / "none")
    training = replace(finetuning.training, steps=2, evaluate_steps=1)
    config = replace(finetuning, base=base, model=model, training=training)
    assert finetune(tmp_path / "animals", config, source_texts, listening())
    lines = ["dog sees house", "cat paints book"]
    source = Source.open(tmp_path / "animals")
    assert source.corpus() is None
    made = trim_run(source, Texts.of_lines(lines, "lines"), tmp_path / "small", listening())
    assert (made.output_difference, made.top1) == (None, None)
    for text in lines:
        ours, theirs = (
            xformer.load(path).classify(text) for path in (tmp_path / "small", tmp_path / "animals")
        )
        assert ours == theirs
