"""Extended runs compute the same for earlier texts, and are whole runs. Covers `check`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import xformer
from xformer.data.corpus import open_corpus
from xformer.errors import InputError
from xformer.pretraining import pretrain
from xformer.progress import Progress
from xformer.runs.directory import RunDirectory
from xformer.runs.opening import open_checkpoint
from xformer.runs.origin import Origin
from xformer.runs.settings import with_training
from xformer.tokenizer import Tokenizer
from xformer.vocabulary import check
from xformer.vocabulary.extend import ExtendedRun, extend_run
from xformer.vocabulary.source import Source, Texts

pytestmark = pytest.mark.usefixtures("_no_picture")

WORDS = ["вода", "дома", "стол", "окно", "река", "гора"]
LINES = [f"{a} {b} {c}" for a in WORDS for b in WORDS for c in WORDS] * 2


@pytest.fixture(scope="module")
def extended(
    plain_run: RunDirectory, tmp_path_factory: pytest.TempPathFactory, listening: type[Progress]
) -> ExtendedRun:
    out = tmp_path_factory.mktemp("extended") / "run"
    return extend_run(Source.open(plain_run.path), Texts.of_lines(LINES, "lines"), out, listening(), 8)


def test_earlier_texts_have_the_same_vectors(
    plain_run: RunDirectory, extended: ExtendedRun, corpus: Path
) -> None:
    texts = [record.text for record in open_corpus(corpus).records("test")]
    before, after = xformer.load(plain_run.path), xformer.load(extended.run)
    np.testing.assert_array_equal(before.encode(texts), after.encode(texts))
    assert extended.earlier is not None
    assert (extended.earlier.texts, extended.earlier.share) == (len(texts), 1.0)
    assert extended.output_difference is not None
    assert extended.output_difference < 1e-6
    assert extended.left == ()  # the corpus stays
    assert extended.top1 is None


def test_new_rows_are_means(plain_run: RunDirectory, extended: ExtendedRun) -> None:
    run = RunDirectory(extended.run)
    old, new = Tokenizer.load(plain_run.tokenizer), Tokenizer.load(run.tokenizer)
    assert extended.pieces == (old.vocab_size, new.vocab_size) == (old.vocab_size, old.vocab_size + 8)
    assert run.load_config().model.rows == new.vocab_size
    assert extended.unseen.tokens < extended.unseen.tokens_before
    before, after = open_checkpoint(plain_run), open_checkpoint(run)
    for kind in ("model", "optimizer"):
        had, has = before.whole(kind), after.whole(kind)
        changed = [name for name in had if had[name].shape != has[name].shape]
        assert any("tok_embeddings" in name for name in changed)
        assert any("masked_lm.bias" in name for name in changed)
        for name in had:
            if name not in changed:
                assert torch.equal(has[name], had[name]), name
                continue
            assert torch.equal(has[name][: old.vocab_size], had[name][: old.vocab_size]), name
            for i in range(old.vocab_size, new.vocab_size):
                parts = old.encode_continued(new.piece(i).replace("\u2581", " "))
                mean = had[name][torch.from_numpy(parts).long()].double().mean(0)
                torch.testing.assert_close(has[name][i].double(), mean, rtol=1e-6, atol=1e-9)


def test_it_says_where_it_comes_from_and_trains_on(
    plain_run: RunDirectory, extended: ExtendedRun, listening: type[Progress]
) -> None:
    run = RunDirectory(extended.run)
    origin = Origin.load(run)
    assert origin is not None
    assert (origin.made_by, origin.run) == ("xformer tokenizer extend", str(plain_run.path))
    assert "`xformer tokenizer extend`" in run.model_card.read_text(encoding="utf-8")
    assert pretrain.pretrain(run.path, with_training(run.load_config(), steps=9), listening())
    assert open_checkpoint(run).state.step == 9


def test_what_cannot_be_extended_is_refused(
    plain_run: RunDirectory, tmp_path: Path, listening: type[Progress], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = Source.open(plain_run.path), tmp_path / "out"
    with pytest.raises(InputError, match=r"nothing: texts: expected at least one text"):
        extend_run(source, Texts.of_lines([], "nothing"), out, listening())
    with pytest.raises(InputError, match="lone surrogate"):
        extend_run(source, Texts.of_lines(["\ud800"] * 2, "lines"), out, listening())
    monkeypatch.setattr(check, "output_difference", lambda *arguments: float("nan"))
    with pytest.raises(InputError, match="outputs on texts with the same pieces differ by nan"):
        extend_run(source, Texts.of_lines(LINES, "lines"), out, listening(), 8)
    assert not list(tmp_path.iterdir())
