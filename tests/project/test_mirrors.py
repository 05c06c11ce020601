"""Each module of the product has a test file: its mirror, or one whose docstring says that it covers it.

`xformer/data/split.py` is mirrored by `tests/data/test_split.py`. Otherwise a docstring has a sentence with
"covers", which names modules by their full names, by their last names beside their package ("Covers `config`
of `xformer.interop.huggingface`.") or in the package that the test file mirrors ("Covers `config`."), or as
all of a package ("Covers all of xformer.kernels.ladder.").
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINKED = ("kernels", "tokenizer", "benchmarks")
SENTENCE = re.compile(r"\b[Cc]overs\b.*?(?:\.(?=\s|$)|\Z)", re.DOTALL)


def modules() -> dict[str, Path]:
    """Each module of the product and its file; `__main__` files are commands, which other tests start."""
    found = {}
    for folder in ("xformer", *LINKED):
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            linked = len(parts) > 1 and parts[0] == "xformer" and parts[1] in LINKED
            if not linked and parts[-1] not in ("__init__", "__main__"):
                found[".".join(parts if parts[0] == "xformer" else ("xformer", *parts))] = path
    return found


MODULES = modules()


def mirror(module: str) -> Path:
    """Where its test file would lie."""
    _, *package, name = module.split(".")
    return ROOT.joinpath("tests", *package, f"test_{name}.py")


@cache
def sentences() -> tuple[tuple[str, str], ...]:
    """The sentences with "covers" in docstrings of test files, each after the package its file mirrors."""
    found: list[tuple[str, str]] = []
    for path in (ROOT / "tests").rglob("test_*.py"):
        if path != Path(__file__):
            docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            package = ".".join(("xformer", *path.parent.relative_to(ROOT / "tests").parts))
            found += ((package, " ".join(match[0].split())) for match in SENTENCE.finditer(docstring))
    return tuple(found)


def names(sentence: str) -> set[str]:
    """The dotted names of the package in a sentence."""
    return {name.rstrip(".") for name in re.findall(r"\bxformer(?:\.\w+)+", sentence)}


def covers(sentence: str, module: str, own: str = "") -> bool:
    """Whether a sentence names a module; `own` is the package that its file mirrors."""
    package, _, name = module.rpartition(".")
    plain = sentence.replace("`", "")
    dotted = names(plain)
    if module in dotted or (package == own and f"`{name}`" in sentence):
        return True
    packages = {one.rpartition(".")[0] for one in dotted if one in MODULES} | dotted
    if package in packages and re.search(rf"(?<![\w.])\.?{name}\b(?!\.\w)", plain) is not None:
        return True
    return any(module.startswith(f"{one}.") for one in re.findall(r"\ball of (xformer(?:\.\w+)+)", plain))


@pytest.mark.parametrize(
    ("sentence", "module", "covered"),
    [
        ("Covers xformer.data.readers.tsv, jsonl and fields.", "xformer.data.readers.tsv", True),
        ("Covers xformer.data.readers.tsv, jsonl and fields.", "xformer.data.readers.jsonl", True),
        ("Covers xformer.data.readers.tsv, jsonl and fields.", "xformer.data.readers.moses", False),
        ("Covers config of xformer.interop.huggingface.", "xformer.interop.huggingface.config", True),
        ("Covers config of xformer.interop.huggingface.", "xformer.runs.config", False),
        ("Covers all of xformer.kernels.ladder.", "xformer.kernels.ladder.exp2", True),
        ("Covers xformer.kernels.ladder.", "xformer.kernels.ladder.exp2", False),
        ("Covers `plan` and `spool`.", "xformer.data.plan", True),
        ("Covers `plan` and `spool`.", "xformer.pretraining.plan", False),
        ("Covers a plan.", "xformer.data.plan", False),
    ],
)
def test_what_a_sentence_covers(
    monkeypatch: pytest.MonkeyPatch, sentence: str, module: str, covered: bool
) -> None:
    monkeypatch.setitem(MODULES, "xformer.data.readers.tsv", Path())
    assert covers(sentence, module, own="xformer.data") == covered


@pytest.mark.parametrize("module", MODULES)
def test_each_module_is_tested(module: str) -> None:
    found = mirror(module).is_file() or any(covers(sentence, module, own) for own, sentence in sentences())
    assert found, (
        f"write {mirror(module).relative_to(ROOT)}, or say in a test file's docstring that it covers {module}"
    )


def test_what_is_covered_exists() -> None:
    packages = {module.rpartition(".")[0] for module in MODULES}
    unknown = {
        name
        for _, sentence in sentences()
        for name in names(sentence)
        if not any(part in MODULES or part in packages for part in (name, name.rpartition(".")[0]))
    }
    assert not unknown
