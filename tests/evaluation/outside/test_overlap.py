import pytest

from xformer.data.dedup_keys import DedupKeys
from xformer.data.record import Record
from xformer.data.trigrams import trigrams
from xformer.evaluation.outside.overlap import overlap_with


def record(text: str, language: str) -> Record:
    return Record(text, language, "g", "s:1")


TRAINING = [
    record("Two dogs run on the beach.", "en"),
    record("A man plays an old guitar in Berlin", "en-GB"),
    record("OK", "en"),
    record("Zwei Hunde rennen", "de"),
    record("两只狗在跑", "zh-Hans"),
    record("Una chica lee un libro", "es"),
]


@pytest.mark.parametrize(
    ("text", "language", "found"),
    [
        ("two dogs run on the BEACH", "en", "exact"),
        ("Two dogs ran on the beach.", "en", "near"),
        ("A man plays an old guitar in Berlin!", "en", "exact"),  # another region is the same language
        ("Zwei Hunde rennen", "en", None),  # in another language it is no help
        ("两只狗在跑。", "zho", "exact"),
        ("Three cats sleep in the sun", "en", None),
        ("Una chica lee un libro", "ca", None),
    ],
)
def test_one_text(text: str, language: str, found: str | None) -> None:
    one = overlap_with([record(text, language)], {"zho": "zh-Hans"}, TRAINING)
    assert (one.texts, one.exact, one.near) == (1, found == "exact", found == "near")
    assert list(one.by_language) == ([] if found is None else [{"zho": "zh-Hans"}.get(language, language)])


def test_equal_texts_count_once_and_exact_ones_are_not_near_too() -> None:
    texts = [record("Two dogs run on the beach.", "en")] * 3 + [record("Two dogs ran on the beach", "en")]
    found = overlap_with(texts, {}, TRAINING)
    assert (found.texts, found.exact, found.near, found.by_language) == (2, 1, 1, {"en": 2})
    assert found.training_texts == 3


def test_near_is_the_definition() -> None:
    """Beside all pairs, so that the lengths that are passed over lose nothing."""
    key = DedupKeys()
    texts = [record(f"{'lorem ipsum dolor sit amet '[: 4 + n]} {n % 3 * 'x'}", "en") for n in range(24)]
    training = [record(f"{'lorem ipsum dolor sit amet '[: 3 + n]} {n % 2 * 'y'}", "en") for n in range(24)]
    near = 0
    for mine in {key(one.text) for one in texts}:
        overlaps = []
        for other in (key(one.text) for one in training):
            a, b = trigrams(mine), trigrams(other)
            overlaps.append(1.0 if mine == other else len(a & b) / len(a | b))
        near += max(overlaps) >= 0.7
    found = overlap_with(texts, {}, training)
    assert found.exact + found.near == near > 3
