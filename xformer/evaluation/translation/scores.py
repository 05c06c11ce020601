"""Scores of translations, all of them sacreBLEU's own (Post 2018): BLEU, chrF++, bootstrap, paired test.

BLEU counts words. Chinese, Japanese, Korean, Thai and others are written without spaces, where sacreBLEU's
default finds no words, and gives low scores without a word about it. For them another tokenizer is taken,
which the signature names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any

from xformer.errors import InputError

BOOTSTRAP = 1_000
"""Resamples of an interval and of a paired test."""

_DEFAULT = "13a"
_FLORES = "flores200"
_NAMED = {"zh": "zh", "yue": "zh", "ja": "ja-mecab", "ko": "ko-mecab"}
_UNSPACED = ("th", "lo", "km", "my", "bo", "dz")
"""Languages without spaces for which sacreBLEU has only the subwords of FLORES-200 (NLLB Team 2022)."""


@dataclass(frozen=True)
class Score:
    """A score with its interval.

    Attributes:
        value: 0 to 100.
        low: lower end of the 95% interval, over resampled texts.
        high: upper end.
        signature: how sacreBLEU computed it.
    """

    value: float
    low: float
    high: float
    signature: str


@dataclass(frozen=True)
class Scores:
    """The scores of a system in a direction.

    Attributes:
        bleu: cased BLEU of detokenised text.
        chrf: chrF++, chrF with words and pairs of words.
    """

    bleu: Score
    chrf: Score


@dataclass(frozen=True)
class PairedScore:
    """Two systems on the same texts, by paired bootstrap resampling (Koehn 2004).

    Attributes:
        ours: score of the first system.
        theirs: of the second.
        p_value: how often resampled differences are at least as large, if the systems were the same.
        signature: how sacreBLEU computed it.
    """

    ours: float
    theirs: float
    p_value: float
    signature: str


def bleu_tokenizer(language: str) -> str:
    """The name of sacreBLEU's tokenizer for a language."""
    primary = language.partition("-")[0]
    return _FLORES if primary in _UNSPACED else _NAMED.get(primary, _DEFAULT)


def require_scorers(languages: Sequence[str]) -> None:
    """Check that translations into these languages can be scored.

    Raises:
        InputError: sacreBLEU, or what it needs for a language, is not installed; the message says how it is.
    """
    _require_sacrebleu()
    for language in languages:
        _bleu(language)


def scores(translations: Sequence[str], references: Sequence[str], language: str) -> Scores:
    """Score a system.

    Args:
        translations: one for each text.
        references: what they should be.
        language: of both.

    Raises:
        InputError: as `require_scorers`.
    """
    found = _tested({"model": translations}, references, language)
    return Scores(
        *(
            Score(float(one.score), float(one.mean - one.ci), float(one.mean + one.ci), signature)
            for (one,), signature in found.values()
        )
    )


def paired(
    ours: Sequence[str], theirs: Sequence[str], references: Sequence[str], language: str
) -> dict[str, PairedScore]:
    """Compare two systems on the same texts: `bleu` and `chrf`.

    Raises:
        InputError: as `require_scorers`.
    """
    # The first is sacreBLEU's baseline, beside which the other has a p-value.
    found = _tested({"theirs": theirs, "ours": ours}, references, language)
    return {
        name: PairedScore(float(mine.score), float(other.score), float(mine.p_value), signature)
        for name, ((other, mine), signature) in found.items()
    }


def _tested(
    systems: dict[str, Sequence[str]], references: Sequence[str], language: str
) -> dict[str, tuple[list[Any], str]]:
    """Of each metric sacreBLEU's result of each system, with resampled mean and interval, and the signature.

    `corpus_score(n_bootstrap=…)` would do for one system, but raises a TypeError where some resamples have a
    score of 0 and others not.
    """
    metrics = _metrics(language)
    from sacrebleu.significance import PairedTest

    named = [(name, list(translations)) for name, translations in systems.items()]
    test = PairedTest(named, metrics, [list(references)], test_type="bs", n_samples=BOOTSTRAP)
    signatures, found = test()
    # They come in the order of the metrics, under sacreBLEU's names of these.
    return {
        name: (list(found[theirs]), str(signatures[theirs]))
        for name, theirs in zip(metrics, signatures, strict=True)
    }


def _metrics(language: str) -> dict[str, Any]:
    _require_sacrebleu()
    from sacrebleu.metrics import CHRF

    return {"bleu": _bleu(language), "chrf": CHRF(word_order=2)}


def _require_sacrebleu() -> None:
    if find_spec("sacrebleu") is None:
        raise InputError(
            "BLEU and chrF++ need sacrebleu (extra `translate`): pip install 'xformer[translate]'"
        )


def _bleu(language: str) -> Any:
    from sacrebleu.metrics import BLEU

    name = bleu_tokenizer(language)
    if name == _FLORES:
        _require_flores(language)
    try:
        return BLEU(tokenize=name)
    except RuntimeError as error:  # MeCab or its dictionary is missing
        extra = language.partition("-")[0]
        raise InputError(
            f"BLEU in {language} needs sacreBLEU's tokenizer {name}: pip install 'sacrebleu[{extra}]'"
        ) from error


def _require_flores(language: str) -> None:
    """Check that sacreBLEU's file of subwords is there; sacreBLEU fetches it from the net, once."""
    from sacrebleu.tokenizers.tokenizer_spm import SPM_MODELS
    from sacrebleu.utils import SACREBLEU_DIR

    path = Path(SACREBLEU_DIR) / "models" / PurePosixPath(SPM_MODELS[_FLORES]["url"]).name
    if not path.is_file():
        raise InputError(
            f"BLEU in {language} needs sacreBLEU's tokenizer {_FLORES}: expected its file {path}. `echo . |"
            f" sacrebleu --tokenize {_FLORES} <(echo .)` fetches it once"
        )
