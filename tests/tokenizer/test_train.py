"""Training: reproducible, bounded, with errors that name the option.

Covers xformer.tokenizer.options and training_process, too.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from xformer.tokenizer import LanguageShare, Tokenizer, TokenizerError, TokenizerOptions, train_tokenizer
from xformer.tokenizer.train import SCORE_STEP, _sentences
from xformer.tokenizer.training_process import Rounds, train_apart

Texts = list[tuple[str, str]]


@pytest.mark.parametrize(("model", "size"), [("unigram", 700), ("bpe", 1100)])
def test_the_vocabulary_has_the_size_that_was_asked_for(sentences: Texts, model: Any, size: int) -> None:
    tokenizer = train_tokenizer(sentences, TokenizerOptions(vocabulary_size=size, model=model))
    assert tokenizer.vocab_size == size
    assert tokenizer.model == model


IN_ANOTHER_PROCESS = """
import os, sys
sys.path[:0] = [{repository!r}, {here!r}]
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
from conftest import labelled
from xformer.tokenizer import TokenizerOptions, train_tokenizer
options = TokenizerOptions(vocabulary_size={size}, model={model!r}, sample_bytes=4000)
print(train_tokenizer(labelled(), options, {path!r}).fingerprint())
"""


@pytest.mark.parametrize(("model", "size"), [("unigram", 680), ("bpe", 700)])
def test_the_same_bytes_in_any_process_under_any_name_on_any_number_of_cores(
    sentences: Texts, repository: Path, tmp_path: Path, model: Any, size: int
) -> None:
    options = TokenizerOptions(vocabulary_size=size, model=model, sample_bytes=4000)
    here = train_tokenizer(sentences, options, tmp_path / "here.model").fingerprint()
    code = IN_ANOTHER_PROCESS.format(
        repository=str(repository),
        here=str(Path(__file__).parent),
        size=size,
        model=model,
        path=str(tmp_path / "elsewhere" / "another name.spm"),
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.split() == [here]
    written = (tmp_path / "elsewhere" / "another name.spm").read_bytes()
    assert written == (tmp_path / "here.model").read_bytes()


def test_the_file_does_not_say_where_it_was_made(sentences: Texts, tmp_path: Path) -> None:
    path = tmp_path / "a-name-to-look-for.model"
    train_tokenizer(sentences, TokenizerOptions(vocabulary_size=720), path)
    assert b"look-for" not in path.read_bytes()


def test_another_seed_draws_another_sample(sentences: Texts) -> None:
    prints = {
        train_tokenizer(
            sentences, TokenizerOptions(vocabulary_size=680, model="bpe", sample_bytes=3000, seed=seed)
        ).fingerprint()
        for seed in (0, 1)
    }
    assert len(prints) == 2


def test_balance_gives_a_small_language_pieces() -> None:
    """Forty texts against eight: the more equal the shares, the fewer pieces the small language needs."""
    big = [("en", f"a rather ordinary sentence, number {i} of its kind") for i in range(400)]
    small = [("eu", f"etxe zuri handiaren {i} leihoak itxita zeuden") for i in range(8)]
    costs = []
    for alpha in (1.0, 0.0):
        options = TokenizerOptions(vocabulary_size=330, model="bpe", alpha=alpha, max_repeats=100)
        tokenizer = train_tokenizer(big + small, options)
        costs.append(len(tokenizer.encode("etxe zuri handiaren leihoak itxita zeuden")))
    assert costs[1] < costs[0]


def test_the_plan_and_the_progress_are_told(sentences: Texts) -> None:
    plans: list[Mapping[str, LanguageShare]] = []
    stages: list[tuple[str, int, int | None]] = []
    train_tokenizer(
        sentences,
        TokenizerOptions(vocabulary_size=720),
        progress=lambda *event: stages.append(event),
        on_plan=plans.append,
    )
    assert len(plans) == 1
    assert sorted(plans[0]) == sorted({language for language, _ in sentences})
    drawn = sum(share.draws for share in plans[0].values())
    assert stages == [
        ("counting texts", len(sentences), len(sentences)),
        ("sampling texts", drawn, drawn),
        ("training vocabulary", 0, None),
        ("training vocabulary", 720, 720),
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("model", "size", "least"), [("unigram", 720, 2), ("bpe", 1_100, 1)])
def test_a_process_of_its_own_gives_the_same_model_and_tells_its_rounds(
    sentences: Texts, model: Any, size: int, least: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = TokenizerOptions(vocabulary_size=size, model=model, threads=1)
    here = train_tokenizer(sentences, options)
    monkeypatch.setattr("xformer.tokenizer.train._APART", 1)
    told: list[tuple[str, int, int | None]] = []
    apart = train_tokenizer(sentences, options, progress=lambda *event: told.append(event))
    assert apart.fingerprint() == here.fingerprint()
    rounds = [(done, total) for stage, done, total in told if stage == "training vocabulary"]
    assert [done for done, _ in rounds] == sorted(done for done, _ in rounds)
    assert len(rounds) >= least
    assert all(total is not None and 0 < done <= total for done, total in rounds)
    assert (model == "unigram") == ("finding seed pieces" in {stage for stage, _, _ in told})


@pytest.mark.slow
def test_failures_of_another_process_are_those_of_this_one(
    sentences: Texts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xformer.tokenizer.train._APART", 1)
    with pytest.raises(TokenizerError, match=r"vocabulary_size: 50000 is more .* at most \d+, or more text"):
        train_tokenizer(sentences, TokenizerOptions(vocabulary_size=50_000))
    with pytest.raises(RuntimeError, match="no_such_setting"):
        train_apart(["a"], {"vocab_size": 10, "no_such_setting": 1}, lambda *event: None)

    def broken() -> Iterator[str]:
        yield "one"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        train_apart(broken(), {"vocab_size": 10}, lambda *event: None)


def test_rounds_are_read_from_lines_of_several_releases() -> None:
    rounds = Rounds(1_000)
    lines = [
        b"unigram_model_trainer.cc(301) LOG(INFO) Initialized 10000 seed sentencepieces",
        b"unigram_model_trainer.cc(505) LOG(INFO) EM sub_iter=0 size=4400 obj=10.3 num_tokens=480000",
        b"I0000 00:00:1 1 unigram_model_trainer.cc:903] EM sub_iter=1 size=4400 obj=8.5 num_tokens=480000",
        b"trainer_interface.cc(466) LOG(INFO) Normalizing sentences...",
        b"I0000 00:00:1 1 unigram_model_trainer.cc:903] EM sub_iter=0 size=1100 obj=8.5 num_tokens=480000",
        b"bpe_model_trainer.cc(268) LOG(INFO) Added: freq=94 size=400 all=20 active=10 piece=ab",
        b"I0000 00:00:1 1 bpe_model_trainer.cc:421] Merged: freq=94 merges=500 piece=size=7 allx",
    ]
    train = "training vocabulary"
    # From 4,400 to 1,100 pieces it is five times a quarter less.
    assert [rounds.read(line) for line in lines] == [
        ("finding seed pieces", 10_000, 10_000), (train, 1, 12), (train, 2, 12), None, (train, 3, 4),
        (train, 400, 1_000), (train, 500, 1_000),
    ]  # fmt: skip


@pytest.mark.parametrize("model", ["unigram", "bpe"])
def test_a_vocabulary_too_large_for_the_text(sentences: Texts, model: Any, tmp_path: Path) -> None:
    options = TokenizerOptions(vocabulary_size=50_000, model=model)
    path = tmp_path / "never.model"
    with pytest.raises(TokenizerError, match=r"vocabulary_size: 50000 is more .* at most \d+, or more text"):
        train_tokenizer(sentences, options, path)
    assert not path.exists()


@pytest.mark.parametrize("model", ["unigram", "bpe"])
def test_a_vocabulary_too_small_for_the_characters(sentences: Texts, model: Any) -> None:
    with pytest.raises(TokenizerError, match=r"vocabulary_size: 300 cannot hold .* at least 656, or a char"):
        train_tokenizer(sentences, TokenizerOptions(vocabulary_size=300, model=model))


def test_no_text_and_text_that_is_not_unicode() -> None:
    with pytest.raises(TokenizerError, match="at least one text"):
        train_tokenizer([], TokenizerOptions(vocabulary_size=300))
    with pytest.raises(TokenizerError, match=r"U\+DFFF at character 1"):
        train_tokenizer([("en", "a\udfff")], TokenizerOptions(vocabulary_size=300))


def test_an_error_in_the_texts_passes_through() -> None:
    passes = 0

    def texts() -> Any:
        nonlocal passes
        passes += 1
        yield "en", "one text"
        if passes == 2:
            raise FileNotFoundError("gone between the passes")

    with pytest.raises(FileNotFoundError, match="gone between the passes"):
        train_tokenizer(texts, TokenizerOptions(vocabulary_size=300))


def test_a_space_has_a_piece_even_where_it_is_rare() -> None:
    """Long lines without spaces, coverage below 1: SentencePiece alone leaves the space to the bytes."""
    han = [chr(0x4E00 + i) for i in range(80)]
    texts = [("zh", "".join(han[(i * k) % 80] for i in range(3000))) for k in range(1, 20)]
    tokenizer = train_tokenizer(
        texts, TokenizerOptions(vocabulary_size=500, model="bpe", character_coverage=0.99)
    )
    assert tokenizer.decode(tokenizer.encode("一 二")) == "一 二"


def test_awkward_lines_are_learnt_from_all_the_same() -> None:
    """Reserved characters end words; they do not end the line for SentencePiece, which drops such lines."""
    texts = [("en", "alpha\tbeta\x00gamma\u2581delta\u2585omega\nnext line\r")] * 3
    assert list(_sentences((text for _, text in texts[:1]), "identity", 4096)) == [
        "alpha beta gamma delta omega",
        "next line",
    ]
    tokenizer = train_tokenizer(texts, TokenizerOptions(vocabulary_size=290, model="bpe"))
    assert tokenizer.decode(tokenizer.encode(texts[0][1])) == texts[0][1]


@pytest.mark.parametrize(
    "text",
    ["word " * 500, "字" * 500, "e\u0301" * 300, "👍🏽" * 200, "x" * 3 + " " * 300 + "y"],
    ids=["spaces", "no spaces", "marks", "emoji", "a gap"],
)
def test_long_lines_are_cut_and_not_lost(text: str) -> None:
    parts = list(_sentences([text], "identity", 128))
    assert len(parts) > 1
    assert all(len(part.encode()) <= 128 for part in parts)
    assert "".join(parts).replace(" ", "") == text.replace(" ", "")
    if "word" in text:
        assert {word for part in parts for word in part.split(" ")} == {"word"}
    assert not any(part.startswith("\u0301") for part in parts)


def test_sentences_are_normalised() -> None:
    assert list(_sentences(["e\u0301 ﬁ"], "nfc", 128)) == ["é ﬁ"]
    assert list(_sentences(["e\u0301 ﬁ"], "nfkc", 128)) == ["é fi"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("vocabulary_size", 261),
        ("vocabulary_size", 1000.0),
        ("vocabulary_size", True),
        ("model", "word"),
        ("normalization", "nfd"),
        ("alpha", -0.1),
        ("alpha", 1.1),
        ("alpha", float("nan")),
        ("max_repeats", 0),
        ("sample_bytes", 0),
        ("max_sentence_bytes", 8),
        ("character_coverage", 0.5),
        ("character_coverage", 1.1),
        ("max_piece_characters", 0),
        ("seed", -1),
        ("threads", 0),
        ("threads", 1000),
    ],
)
def test_wrong_options_are_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(TokenizerError, match=rf"^{field}: expected .*, got {value!r}$"):
        TokenizerOptions(**{field: value})  # type: ignore[arg-type]


def test_importing_is_light(repository: Path) -> None:
    """Data workers and `--help` import this: no torch, no matplotlib, no protobuf."""
    code = (
        "import sys, xformer.tokenizer; "
        "print(*sorted({'torch', 'matplotlib', 'google', 'rich'} & {m.split('.')[0] for m in sys.modules}))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == []


def test_the_result_is_ready_to_use(sentences: Texts, tmp_path: Path) -> None:
    path = tmp_path / "t.model"
    made = train_tokenizer(lambda: iter(sentences), TokenizerOptions(vocabulary_size=720), path)
    assert Tokenizer.load(path).fingerprint() == made.fingerprint()


def test_sums_of_scores_are_exact_in_float32(sentences: Texts) -> None:
    """So rounding never decides between cuts that are equally probable."""
    steps = train_tokenizer(sentences, TokenizerOptions(vocabulary_size=700)).piece_scores() / SCORE_STEP
    assert (steps == steps.round()).all()
    assert len(set(steps.tolist())) > 100
