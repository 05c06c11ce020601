"""From texts and models to the page: what is asked is checked before any model runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack

from xformer.errors import InputError
from xformer.inspect.page.build import page_of
from xformer.inspect.page.collect import Extra
from xformer.inspect.subject import Subject
from xformer.inspect.tokenised import TokenisedText

LONGEST = 1024
"""Most tokens of a text on a page: the weights of a head are a million then, a megabyte of pixels."""

KEEP = ("layers.*.attn.weights",)


def make_page(
    subjects: Sequence[Subject],
    texts: Sequence[str],
    *,
    title: str = "",
    names: Sequence[str] = (),
    languages: Sequence[str] = (),
    layer: int | None = None,
    head: int | None = None,
    extras: Sequence[Extra] = (),
    keep: Sequence[str] = KEEP,
    command: str = "",
    say: Callable[[str], None] = lambda _: None,
) -> str:
    """The page of some models on the same texts.

    Args:
        subjects: at least one.
        texts: at least one.
        title: left out, the models' names.
        names: of the models on the page; left out, their own.
        languages: tags of the texts, as many or none.
        layer: which is open at first, from 0; left out, the first.
        head: which is open at first, from 0.
        extras: parts for other views; `keep` names the activations that they read.
        keep: names of activations; the attention weights are always among them.
        command: that makes this page.
        say: is told what happens.

    Raises:
        InputError: there is no text, a text is empty or too long for a page, there is no such layer or head,
            or there are more or fewer languages than texts.
    """
    check(subjects, texts, languages, layer, head)
    with ExitStack() as stack:
        traces = []
        for subject in subjects:
            say(f"{subject.name}: trace {len(texts)} {'text' if len(texts) == 1 else 'texts'}")
            traces.append(
                stack.enter_context(subject.trace(list(texts), keep=list(dict.fromkeys([*KEEP, *keep]))))
            )
        return page_of(
            *traces,
            title=title,
            names=names,
            languages=languages,
            layer=layer or 0,
            head=head or 0,
            extras=extras,
            command=command,
        )


def check(
    subjects: Sequence[Subject],
    texts: Sequence[str],
    languages: Sequence[str] = (),
    layer: int | None = None,
    head: int | None = None,
) -> list[list[TokenisedText]]:
    """Check what is asked of a page, and return each model's tokens of the texts.

    Raises:
        InputError: as `make_page`.
    """
    if not subjects or not texts:
        raise InputError("the page needs a model and a text")
    if languages and len(languages) != len(texts):
        raise InputError(f"languages: expected one for each of {len(texts)} texts, got {len(languages)}")
    for subject in subjects:
        for what, asked, there in (
            ("layer", layer, subject.config.n_layers),
            ("head", head, subject.config.n_heads),
        ):
            if asked is not None and not 0 <= asked < there:
                raise InputError(f"{what} {asked}: {subject.name} has {what}s 0 to {there - 1}")
    every = [subject.tokenised(list(texts)) for subject in subjects]
    for subject, tokenised in zip(subjects, every, strict=True):
        for number, one in enumerate(tokenised):
            if not len(one):
                raise InputError(
                    f"texts[{number}]: {one.text!r} has no tokens; expected a text of at least one"
                )
            if len(one) > LONGEST:
                raise InputError(
                    f"texts[{number}]: {len(one):,} tokens of {subject.name}; a page shows at most"
                    f" {LONGEST:,}. Give a part of the text, or ask in Python for some rows:"
                    f" trace['layers.0.attn.weights'].text({number}, heads=…, rows=…)"
                )
    return every
