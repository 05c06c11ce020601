"""Imports point one way, and each part stands on nothing it doesn't need."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "xformer"

# What each part of the package may import from the rest of it, lowest first. A new part needs a line here:
# that is the moment to ask where it belongs. The files of `model` have a line each.
BASE = {"version", "errors", "progress", "storage"}
MODEL = {
    "config",
    "families",
    "packed",
    "positions",
    "int8_linear",
    "cpu",
    "bigrams",
    "init",
    "norms",
    "context",
    "probe",
    "layers",
    "encoder",
    "heads",
    "projection",
    "multilingual",
    "seq2seq_config",
    "cache",
    "cache_step",
    "decoder",
    "seq2seq",
    "init_seq2seq",
}
ABOVE_ENCODER = {
    "heads",
    "projection",
    "multilingual",
    "seq2seq_config",
    "cache",
    "cache_step",
    "decoder",
    "seq2seq",
    "init_seq2seq",
}
ABOVE_ENCODER = {f"model.{name}" for name in ABOVE_ENCODER}
MODEL = {f"model.{name}" for name in MODEL}
RUNS = {"model.config", "tokenizer", "data", "distributed", "plotting", "runs"}
MAY_IMPORT: dict[str, set[str]] = {
    "version": set(),
    "kernels": set(),
    "tokenizer": set(),
    "plotting": set(),
    "geometry": set(),
    "errors": set(),
    "ended": set(),
    "threads": set(),
    "progress": {"errors"},
    "storage": {"errors"},
    "distributed": {"errors"},
    "model": set(),
    "model.config": {"storage"},
    "model.families": {"model.config", "errors"},
    "model.packed": set(),
    "model.positions": set(),
    "model.int8_linear": {"errors"},
    "model.cpu": {"model.packed", "model.int8_linear", "kernels"},
    "model.bigrams": {"model.packed", "model.cpu"},
    "model.init": {"model.positions", "model.cpu"},
    "model.norms": {"model.config", "kernels"},
    "model.context": {"model.config", "model.packed", "model.positions"},
    "model.probe": {"model.context", "kernels"},
    "model.layers": MODEL - ABOVE_ENCODER - {"model.layers", "model.encoder"} | {"kernels"},
    "model.encoder": MODEL - ABOVE_ENCODER - {"model.encoder"} | {"kernels"},
    "model.exportable": {"model.encoder", "model.packed"},
    "model.heads": MODEL - ABOVE_ENCODER - {"model.encoder"} | {"kernels"},
    "model.int8": {"model.cpu", "model.encoder", "model.int8_linear", "model.layers", "model.seq2seq"},
    "model.projection": set(),
    "model.multilingual": MODEL - ABOVE_ENCODER | {"model.heads", "model.projection", "kernels"},
    "model.seq2seq_config": {"model.config", "storage"},
    "model.cache": {"model.config", "model.packed"},
    "model.cache_step": {"model.cache", "model.context", "model.layers", "model.packed", "kernels"},
    "model.decoder": MODEL - ABOVE_ENCODER | {"model.cache", "model.cache_step", "kernels"},
    "model.init_seq2seq": {"model.encoder", "model.seq2seq", "errors"},
    "model.seq2seq": MODEL - {"model.seq2seq", "model.init_seq2seq", "model.multilingual", "model.heads"}
    | {"kernels"},
    # The padded twin shares the settings and nothing else: what defines "correct" borrows from nobody.
    "model.reference": {"model.config"},
    "data": {"version", "errors", "storage"},
    "runs": BASE | RUNS - {"runs"},
    # The loop trains any task: of models it knows the embeddings whose gradients it is given by rows.
    # What says why an installation is broken stands on as little of it as it can.
    "doctor": {"version", "model.config", "training"},
    "training": BASE | {"threads", "model.cpu", "distributed", "runs"},
    "objectives": MODEL | {"data", "runs", "tokenizer", "training"},
    "pretraining": BASE | MODEL | RUNS | {"training", "objectives"},
    "embedding": MODEL | {"model.int8", "data", "errors", "storage", "tokenizer"},
    "prediction": MODEL | {"errors", "tokenizer", "embedding"},
    "generation": BASE | MODEL | {"data"},
    "interop": BASE | MODEL | {"tokenizer", "kernels"},
    "interop.importing": BASE | MODEL | RUNS | {"interop", "pretraining", "finetuning"},
    "interop.export": BASE
    | MODEL
    | RUNS
    | {"interop", "pretraining", "finetuning", "evaluation", "translation", "generation"},
    "inspect": BASE
    | MODEL
    | RUNS
    | {"geometry", "kernels", "objectives", "pretraining", "embedding", "interop"},
    "finetuning": BASE | MODEL | RUNS | {"training", "pretraining", "embedding", "evaluation", "kernels"},
    "translation": BASE | MODEL | RUNS | {"training", "pretraining", "generation", "evaluation"},
    "evaluation": BASE
    | MODEL
    | RUNS
    | {"generation", "summarization", "geometry", "training", "objectives", "pretraining", "embedding"},
    "api": BASE
    | MODEL
    | RUNS
    | {"embedding", "prediction", "pretraining", "evaluation", "inspect", "summarization"}
    | {"finetuning", "generation", "translation", "model.int8"},
    "inspect.page": BASE | MODEL | RUNS | {"inspect", "kernels", "plotting"},
    # The names of `import xformer`, for type checkers; at run time they wait until they are used.
    "__init__": {"version", "threads", "api", "inspect", "kernels", "tokenizer"},
    "report": BASE | RUNS | {"pretraining", "evaluation", "finetuning"},
    "auto": BASE | MODEL | RUNS | {"embedding", "pretraining", "finetuning"},
    "summarization": set(),
    "localization": {"errors", "storage"},
    "vocabulary": BASE | MODEL | RUNS | {"pretraining", "finetuning", "embedding", "evaluation"},
    "benchmarks": BASE
    | {"ended", "threads"}
    | MODEL
    | RUNS
    | {"__init__", "kernels", "model.int8", "training", "objectives", "pretraining", "embedding"}
    | {"evaluation", "finetuning", "inspect", "inspect.page", "interop", "interop.export"}
    | {"generation", "summarization"},
}
# The command line stands on everything; `python -m xformer` on the command line.
MAY_IMPORT["cli"] = set(MAY_IMPORT) - {"model.reference"}
MAY_IMPORT["__main__"] = {"cli", "doctor"}

# What may come from outside the standard library; parts not named here are not held to a list.
THIRD_PARTY: dict[str, set[str]] = {
    "kernels": {"torch", "triton"},
    "tokenizer": {"sentencepiece", "numpy", "matplotlib", "tokenizers"},
    "plotting": {"matplotlib"},
    "errors": set(),
    "doctor": {"torch", "triton"},
    "storage": {"docstring_parser", "tomli_w", "numpy"},
    "cli": {"tyro", "rich"},
}


EXTRAS = {"matplotlib", "transformers", "sklearn", "tensorboard", "pyarrow"}
EXTRAS |= {"onnx", "onnxruntime", "tensorflow", "tokenizers"}


@dataclass(frozen=True)
class Import:
    """One import: who, where, of what; `lazy` is inside a function, `typing_only` under TYPE_CHECKING."""

    file: str
    line: int
    module: str
    names: tuple[str, ...]
    relative: bool
    lazy: bool
    typing_only: bool

    @property
    def top(self) -> str:
        return self.module.split(".")[0]

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.module}"


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


@cache
def imports_of(path: Path, module: str) -> tuple[Import, ...]:
    """Every import in a file, relative ones resolved; `module` is the file's own dotted name."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    file = str(path.relative_to(ROOT))

    def visit(node: ast.AST, lazy: bool, typing_only: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            names: list[str] = []
            inner_names: list[str] = []
            relative = False
            if isinstance(child, ast.Import):
                names = [alias.name for alias in child.names]
            elif isinstance(child, ast.ImportFrom):
                relative = child.level > 0
                base = child.module or ""
                if relative:
                    parts = package.split(".")
                    base = ".".join([*parts[: len(parts) - child.level + 1], *filter(None, [base])])
                names = [base]
                inner_names = [alias.name for alias in child.names]
                if base == "xformer":  # `from xformer import data` names a part
                    names = [f"{base}.{name}" for name in inner_names]
            line = getattr(child, "lineno", 0)
            for name in names:
                yield Import(file, line, name, tuple(inner_names), relative, lazy, typing_only)
            inner = lazy or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from visit(child, inner, typing_only or is_type_checking(child))

    return tuple(visit(ast.parse(path.read_text(encoding="utf-8"), filename=file), False, False))


def part_of(module: str) -> str:
    """`xformer.data.readers.tmx` → `data`; `xformer.model.packed` → `model.packed`, which has a line."""
    if "." not in module:
        return "__init__"
    _, top, *below = module.split(".")
    return f"{top}.{below[0]}" if below and f"{top}.{below[0]}" in MAY_IMPORT else top


@cache
def package_files() -> list[tuple[Path, str]]:
    """Each Python file of the package with its dotted name, the linked folders included."""
    roots = [PACKAGE, *(path for path in PACKAGE.iterdir() if path.is_symlink())]
    files: list[tuple[Path, str]] = []
    for root in roots:
        for path in sorted(root.rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            files.append((path, ".".join(parts[:-1] if parts[-1] == "__init__" else parts)))
    return sorted(set(files))


def parts() -> list[str]:
    return sorted({part_of(module) for _, module in package_files()})


def imports_by_part() -> dict[str, list[Import]]:
    found: dict[str, list[Import]] = {}
    for path, module in package_files():
        found.setdefault(part_of(module), []).extend(imports_of(path, module))
    return found


def test_the_linked_folders_are_seen() -> None:
    assert {"kernels", "tokenizer", "benchmarks"} <= set(parts())
    for name in ("kernels", "tokenizer", "benchmarks"):
        assert (PACKAGE / name).readlink() == Path("..") / name, f"xformer/{name}: expected a relative link"


@pytest.mark.parametrize("part", parts())
def test_imports_point_one_way(part: str) -> None:
    assert part in MAY_IMPORT, f"xformer.{part} is new: say in {Path(__file__).name} what it may import"
    allowed = MAY_IMPORT[part] | {part}
    inside = [found for found in imports_by_part()[part] if found.top == "xformer"]
    wrong = [str(found) for found in inside if part_of(found.module) not in allowed]
    assert not wrong, f"xformer.{part} may import {sorted(MAY_IMPORT[part]) or 'nothing of the package'}"


def test_the_rules_have_no_circle() -> None:
    done: set[str] = set()
    rules = {part: set(allowed) for part, allowed in MAY_IMPORT.items()}
    while rules:
        free = [part for part, allowed in rules.items() if allowed <= done]
        assert free, f"these import one another: {rules}"
        done.update(free)
        rules = {part: allowed for part, allowed in rules.items() if part not in done}


def imports_by_file() -> dict[str, set[str]]:
    """Which modules of the package each of its modules imports, lazily or for types alone too."""
    files = {module: path for path, module in package_files()}
    found: dict[str, set[str]] = {}
    for module, path in files.items():
        # A name that is a module of its own is that file; any other lies in the file it is taken from.
        named = [
            f"{one.module}.{name}" if f"{one.module}.{name}" in files else one.module
            for one in imports_of(path, module)
            for name in one.names or ("",)
        ]
        found[module] = (set(named) & set(files)) - {module}
    return found


def test_no_two_files_import_one_another() -> None:
    """Nor any three, and so on. Lazy imports count, and those for types alone."""
    left = imports_by_file()
    # Remove what imports nothing that is left, again and again; then what nothing left imports.
    while free := [module for module, imported in left.items() if not imported & set(left)]:
        for module in free:
            del left[module]
    while free := [module for module in left if not any(module in imported for imported in left.values())]:
        for module in free:
            del left[module]
    circles = {module: sorted(imported & set(left)) for module, imported in left.items()}
    assert not circles, "these files import one another"


@pytest.mark.parametrize("part", sorted(THIRD_PARTY))
def test_third_party_imports(part: str) -> None:
    known = set(sys.stdlib_module_names) | {"xformer"} | THIRD_PARTY[part]
    wrong = [str(found) for found in imports_by_part().get(part, []) if found.top not in known]
    assert not wrong, f"xformer.{part} may import {sorted(THIRD_PARTY[part]) or 'the standard library only'}"


@pytest.mark.parametrize("part", ["kernels", "tokenizer"])
def test_stands_alone(part: str) -> None:
    """It names its own files relatively, so that the folder works under any name."""
    wrong = [str(found) for found in imports_by_part()[part] if found.top == "xformer" and not found.relative]
    assert not wrong


def test_heavy_drawing_libraries_wait_until_needed() -> None:
    eager = [
        str(found)
        for imports in imports_by_part().values()
        for found in imports
        if found.top in EXTRAS and not (found.lazy or found.typing_only)
    ]
    assert not eager, "import these inside the function that uses them: they are extras"


def test_nothing_uses_the_generic_top_level_names() -> None:
    """`kernels` at top level is another project's package, which transformers imports."""
    places = [(path, "tests") for path in sorted((ROOT / "tests").rglob("*.py"))]
    wrong = [
        str(found)
        for path, module in [*package_files(), *places]
        for found in imports_of(path, module)
        if found.top in ("kernels", "tokenizer", "benchmarks")
    ]
    assert not wrong, "spell it xformer.kernels, xformer.tokenizer, xformer.benchmarks"


def python(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter that doesn't see this folder."""
    command = [sys.executable, "-P", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT / "tests", timeout=120)


@pytest.mark.parametrize(
    "module", ["xformer", "xformer.runs.config", "xformer.storage.toml", "xformer.tokenizer", "xformer.cli"]
)
def test_starts_without_torch(module: str) -> None:
    """`xformer --help` and the tokenizer answer at once."""
    done = python(f"import sys, {module}; print(*{{'torch', 'triton', 'matplotlib'}} & set(sys.modules))")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_data_is_read_without_torch() -> None:
    """Reading, splitting and counting text answers as fast as Python itself."""
    done = python("""
import importlib, pkgutil, sys, xformer.data
for module in pkgutil.walk_packages(xformer.data.__path__, "xformer.data."):
    importlib.import_module(module.name)
    assert "torch" not in sys.modules, module.name
print(len([name for name in sys.modules if name.startswith("xformer.data.")]))
""")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 10


def test_help_comes_up_without_torch() -> None:
    """`xformer --help` lists the commands and imports nothing heavy."""
    code = (
        "import sys\nsys.argv = ['xformer', '--help']\nfrom xformer.cli import main\n"
        "try:\n    main()\nexcept SystemExit as done:\n    assert not done.code, done.code\n"
        "print('torch' in sys.modules, file=sys.stderr)"
    )
    done = python(code)
    assert done.returncode == 0, done.stderr
    assert done.stderr.split()[-1:] == ["False"], done.stderr
    assert "pretrain" in done.stdout
    assert "evaluate" in done.stdout


def test_the_kernels_are_not_registered_under_a_second_name() -> None:
    """Where Python looks into the checkout, transformers imports `kernels/` as the package of that name."""
    code = (
        "import sys, torch, xformer.kernels as k\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "import kernels\n"
        "print(hasattr(kernels, 'attention'))\n"
        "x, starts = torch.ones(2, 1, 4), torch.tensor([0, 2])\n"
        "print(k.attention_rows(x, x, torch.zeros(2, 1), torch.arange(2), starts).shape)\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["False", "torch.Size([2, 1, 2])"]
