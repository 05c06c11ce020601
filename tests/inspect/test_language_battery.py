"""Languages beside one another: similarity by layer, and planted neurons of one language.

Covers `language_report` too.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.inspect.small_subject import small_subject
from xformer.errors import InputError
from xformer.geometry.space import alignment
from xformer.inspect.language_battery import LanguageTable, measure_languages
from xformer.inspect.language_report import LanguageReport
from xformer.inspect.texts import TextSample

WORDS = ["file", "open", "save", "read", "page", "text", "word", "line", "user", "name"]
# Spanish says what English says in words of its own; "xx" says it in another order.
TEXTS = [f"{WORDS[n % 10]} {WORDS[(n * 3 + n // 10) % 10]} {WORDS[(n * 7 + 1) % 10]}" for n in range(30)]
SAMPLE = TextSample(
    "by hand",
    {
        "en": {str(n): text for n, text in enumerate(TEXTS)},
        "es": {str(n): " ".join(f"{word}os" for word in text.split()) for n, text in enumerate(TEXTS)},
        "ru": {str(n): " ".join(f"ж{word}" for word in text.split()) for n, text in enumerate(TEXTS)},
    },
)


@pytest.fixture(scope="module")
def table() -> LanguageTable:
    return measure_languages(small_subject(), SAMPLE, left_out=("few",), shuffles=60)


def test_similarity_is_that_of_the_mean_states(table: LanguageTable) -> None:
    assert table.languages == ("en", "es", "ru")
    assert table.scripts == ("Latn", "Latn", "Cyrl")
    assert table.left_out == ("few",)
    assert table.messages == 30
    assert len(table.similarity) == 3
    subject, vectors = small_subject(), {}
    for tag in ("en", "ru"):
        with subject.trace(list(SAMPLE.texts[tag].values()), keep=["embeddings", "layers.1.resid_post"]) as t:
            # The first token is `<s>`, which doesn't count.
            vectors[tag] = [
                torch.stack([t[name][i][1:].double().mean(0) for i in range(30)])
                for name in ("embeddings", "layers.1.resid_post")
            ]
    for place, layer in ((0, 0), (2, 1)):
        expected = alignment(vectors["en"][layer], vectors["ru"][layer])
        assert float(table.similarity[place].cosine[0, 2]) == pytest.approx(expected, abs=1e-5)


def test_units_are_counted_by_language_and_by_script(table: LanguageTable) -> None:
    assert {kind: len(one.entropy) for kind, one in table.neurons.items()} == {"language": 20, "script": 20}
    assert {kind: len(one.entropy) for kind, one in table.heads.items()} == {"language": 6, "script": 6}
    assert table.labels("script") == ("Latn", "Cyrl")
    assert bool((table.neurons["language"].use <= 1).all())


@pytest.mark.parametrize("activation", ["gelu", "geglu"])
def test_a_neuron_that_only_one_language_uses_is_found(activation: str) -> None:
    subject = small_subject(activation=activation, norm="rmsnorm", d_ff=40)
    encoder = subject.network.encoder
    # The words of Russian, and no other, have a coordinate of their own, which neuron 7 of layer 0 reads.
    russian = {int(i) for text in SAMPLE.texts["ru"].values() for i in subject.tokenise(text).ids if i}
    others = {
        int(i)
        for tag in ("en", "es")
        for text in SAMPLE.texts[tag].values()
        for i in subject.tokenise(text).ids
    }
    table = encoder.token_embedding
    table[:, 0] = 0.0
    table[list(russian - others), 0] = 25.0
    parameters = dict(encoder.named_parameters())
    parameters["layers.0.attn.Wo.weight"].zero_()
    read = parameters["layers.0.mlp.Wi.weight"]
    read[7] = 0.0
    read[7, 0] = 3.0
    found = measure_languages(subject, SAMPLE, shuffles=60, block_bytes=4000)
    neurons = found.neurons["language"]
    assert bool(neurons.own[7])
    assert found.languages[int(neurons.label[7])] == "ru"
    assert float(neurons.shares[2, 7]) > 0.9
    assert found.labels("script")[int(found.neurons["script"].label[7])] == "Cyrl"


def test_blocks_change_nothing_but_the_gates_level(table: LanguageTable) -> None:
    other = measure_languages(small_subject(), SAMPLE, shuffles=60, block_bytes=2000)
    for one, two in zip(other.similarity, table.similarity, strict=True):
        torch.testing.assert_close(one.cka, two.cka, atol=1e-4, rtol=1e-4, equal_nan=True)
    torch.testing.assert_close(other.heads["language"].use, table.heads["language"].use)


def test_the_table_as_text_and_as_json(table: LanguageTable) -> None:
    report = LanguageReport(table)
    lines = list(report.lines())
    empty = lines.index("")
    assert [line.split()[0] for line in lines[:empty]] == ["layer", "embeddings", "block", "block"]
    assert [line.split()[0] for line in lines[empty + 1 :]] == ["language", "en", "es", "ru"]
    found = json.loads(report.object())
    assert [one["layer"] for one in found["layers"]] == ["embeddings", "block 0", "block 1"]
    assert found["layers"][2]["cka"][0][1] == pytest.approx(float(table.similarity[2].cka[0, 1]), abs=1e-5)
    assert found["layers"][2]["cka"][0][0] is None
    assert found["scripts"] == {"en": "Latn", "es": "Latn", "ru": "Cyrl"}
    for what in ("neurons", "heads"):
        for kind in ("language", "script"):
            count = int(getattr(table, what)[kind].own.sum())
            assert len(found[what][kind]["own"]) == count
    assert "few" in report.note()


def test_the_files_of_a_report(table: LanguageTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xformer.inspect.report_files.png", lambda figure: None)  # as without matplotlib
    files = {path.name: path.read_text("utf-8") for path in LanguageReport(table).write(tmp_path)}
    assert set(files) == {"languages.html", "languages.svg", "languages.json"}
    assert "CKA of languages" in files["languages.html"]
    assert "Distance of centroids" in files["languages.svg"]
    assert json.loads(files["languages.json"])["model"] == "small"


def test_what_is_not_parallel_is_said() -> None:
    with pytest.raises(InputError, match="here: expected two languages or more, with the same messages"):
        measure_languages(small_subject(), TextSample("here", {"en": {"1": "x"}, "de": {"2": "y"}}))
    with pytest.raises(InputError, match="here: expected two languages"):
        measure_languages(small_subject(), TextSample("here", {"": {"1": "x"}}))
    few = {"1": "x", "2": "y " * 40, "3": "z", "4": "a"}
    with pytest.raises(InputError, match=r"four messages or more of at most 32 tokens .* found 3"):
        measure_languages(small_subject(), TextSample("here", {"en": few, "de": few}))
