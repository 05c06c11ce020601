"""House rules that no linter knows: what would hurt someone's text or safety, what keeps files readable."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ("xformer", "kernels", "tokenizer", "benchmarks")
LONGEST_FILE = 400  # lines
LONGEST_LOG_LINE = 160  # characters


def files(*folders: str) -> list[Path]:
    """The Python files of these folders, each once: the links inside `xformer` are not followed."""
    found = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return sorted(path for path in found if not any(parent.is_symlink() for parent in path.parents))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Each call in a file, under the name it is written with: `np.load`, `open`, `.read_text`."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            function = node.func
            if isinstance(function, ast.Name):
                yield function.id, node
            elif isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
                yield f"{function.value.id}.{function.attr}", node
            elif isinstance(function, ast.Attribute):
                yield f".{function.attr}", node


def keywords(call: ast.Call) -> dict[str | None, ast.expr]:
    return {keyword.arg: keyword.value for keyword in call.keywords}


def place(path: Path, node: ast.expr | ast.stmt) -> str:
    return f"{path.relative_to(ROOT)}:{node.lineno}"


def test_there_is_something_to_check() -> None:
    for folder in (*LIBRARY, "tests"):
        assert files(folder), folder


def test_files_can_be_read_in_one_sitting() -> None:
    lengths = {path: path.read_bytes().count(b"\n") for path in files(*LIBRARY, "tests")}
    long = [f"{path.relative_to(ROOT)}: {lines}" for path, lines in lengths.items() if lines > LONGEST_FILE]
    assert not long, f"split what is longer than {LONGEST_FILE} lines"


def test_nothing_is_unpickled() -> None:
    """A checkpoint or a cache from somewhere else must not be able to run code here."""
    modules = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
    wrong: list[str] = []
    for path in files(*LIBRARY):
        for node in ast.walk(tree(path)):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            if {name.split(".")[0] for name in names} & modules:
                wrong.append(f"{path.relative_to(ROOT)}: {ast.unparse(node)}")
        for name, call in calls(path):
            if name == "torch.load" or "allow_pickle" in keywords(call):
                wrong.append(place(path, call))
    assert not wrong, "weights are safetensors, settings TOML or JSON, arrays plain .npy"


def opens_text_without_encoding(name: str, call: ast.Call) -> bool:
    """Whether a call reads or writes text in whatever encoding the machine happens to prefer."""
    given = keywords(call)
    if "encoding" in given or None in given:
        return False
    method = name.rpartition(".")[2]
    if method in ("read_text", "write_text"):
        return len(call.args) <= (method == "write_text")
    if name not in ("open", "io.open", "gzip.open", "bz2.open", "lzma.open", "os.fdopen"):
        return False
    mode = given.get("mode") or (call.args[1] if len(call.args) > 1 else None)
    if mode is None:
        return name in ("open", "io.open", "os.fdopen")
    compressed = name not in ("open", "io.open", "os.fdopen")
    letters = str(mode.value) if isinstance(mode, ast.Constant) else "b"  # a variable: not for us to say
    return "t" in letters if compressed else "b" not in letters


@pytest.mark.parametrize(
    ("code", "wrong"),
    [
        ("open(path)", True),
        ("open(path, 'w')", True),
        ("open(path, mode='r')", True),
        ("open(path, 'rb')", False),
        ("open(path, encoding='utf-8')", False),
        ("open(path, **options)", False),
        ("gzip.open(path)", False),
        ("gzip.open(path, 'rt')", True),
        ("path.read_text()", True),
        ("Path(path).read_text()", True),
        ("path.read_text('utf-8')", False),
        ("path.write_text(text)", True),
        ("path.write_text(text, 'utf-8')", False),
        ("path.write_text(text, encoding='utf-8')", False),
    ],
)
def test_the_encoding_rule(code: str, wrong: bool, tmp_path: Path) -> None:
    path = tmp_path / "code.py"
    path.write_text(code, encoding="utf-8")
    assert any(opens_text_without_encoding(name, call) for name, call in calls(path)) == wrong


def test_text_is_utf8_everywhere() -> None:
    """Fifty languages, and a machine's locale that may be ASCII."""
    wrong = [
        place(path, call)
        for path in files(*LIBRARY)
        for name, call in calls(path)
        if opens_text_without_encoding(name, call)
    ]
    assert not wrong, 'say encoding="utf-8"'


def test_lines_break_at_newline_only() -> None:
    """`str.splitlines` also breaks at U+2028 and U+0085, which are text, and the pairs slip out of step."""
    wrong = [
        place(path, call)
        for path in files("xformer/data", "tokenizer")
        for name, call in calls(path)
        if name.endswith(".splitlines")
    ]
    assert not wrong, 'split at "\\n"'


def test_no_promises() -> None:
    """What is not done is an issue, not a comment."""
    marks = ("TO" + "DO", "FIX" + "ME", "XX" + "X")
    texts = [*files(*LIBRARY, "tests"), *ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "Makefile"]
    wrong = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in texts
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1)
        if any(mark in line for mark in marks)
    ]
    assert not wrong


def test_lines_of_the_log_can_be_compared() -> None:
    """A paragraph on one line hides in a diff what has changed."""
    wrong = [
        f"{path.relative_to(ROOT)}:{number}: {len(line)}"
        for path in ROOT.glob("docs/log/*.md")
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1)
        if len(line) > LONGEST_LOG_LINE
    ]
    assert not wrong


def test_legends_have_letters() -> None:
    """A file without shapes needs no legend that says so."""
    empty = "Shapes: none " + "here"
    wrong = [
        path.relative_to(ROOT)
        for path in files(*LIBRARY, "tests")
        if empty in path.read_text(encoding="utf-8")
    ]
    assert not wrong
