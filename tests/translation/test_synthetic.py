from __future__ import annotations

from pathlib import Path

from xformer.translation.synthetic import synthetic_texts, synthetic_translation


def test_settings_fit_the_texts(tmp_path: Path) -> None:
    texts, settings = synthetic_texts(), synthetic_translation(tmp_path / "run", 12)
    assert settings.training.steps == 12
    assert settings.training.evaluate_steps == 2
    for part in (texts.train, texts.dev):
        assert (part.pairs(settings.translation.pairs).counts > 0).all()
    assert not set(texts.train.groups) & set(texts.dev.groups)
