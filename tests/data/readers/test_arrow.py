from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from xformer.data.readers.arrow import (
    arrow_rows,
    class_names,
    dataset_licence,
    dataset_name,
    is_saved_dataset,
    one_split,
    saved_dataset_rows,
    splits_of,
)
from xformer.data.readers.parquet import parquet_rows
from xformer.errors import InputError

pyarrow = pytest.importorskip("pyarrow")

FEATURES = {
    "text": {"dtype": "string", "_type": "Value"},
    "label": {"names": ["neg", "pos"], "_type": "ClassLabel"},
    "tags": {"feature": {"names": ["a", "b"], "_type": "ClassLabel"}, "_type": "List"},
}
METADATA = {b"huggingface": json.dumps({"info": {"features": FEATURES}}).encode()}
COLUMNS = {"text": ["good", "bad", ""], "label": [1, 0, None], "tags": [[0, 1], [], None]}
NAMED: list[dict[str, Any]] = [
    {"text": "good", "label": "pos", "tags": ["a", "b"]},
    {"text": "bad", "label": "neg", "tags": []},
    {"text": "", "label": None, "tags": None},
]


def table(columns: dict[str, Any] = COLUMNS) -> Any:
    return pyarrow.table(columns).replace_schema_metadata(METADATA)


def write(path: Path, of: Any, whole: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    opened = pyarrow.ipc.new_file if whole else pyarrow.ipc.new_stream
    with pyarrow.OSFile(str(path), "wb") as sink, opened(sink, of.schema) as writer:
        writer.write_table(of, max_chunksize=2)
    return path


def saved(folder: Path, *parts: Any) -> Path:
    """A folder with the layout of `Dataset.save_to_disk`."""
    names = [f"data-{n:05d}-of-{len(parts):05d}.arrow" for n in range(len(parts))]
    for name, part in zip(names, parts, strict=True):
        write(folder / name, part)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": one} for one in names]}))
    (folder / "dataset_info.json").write_text(json.dumps({"features": FEATURES, "license": "cc-by-4.0"}))
    return folder


@pytest.mark.parametrize("whole", [False, True])
def test_rows_have_the_names_of_their_classes(whole: bool, tmp_path: Path) -> None:
    path = write(tmp_path / "a.en.arrow", table(), whole)
    found = list(arrow_rows(path, ["text", "label", "tags"]))
    assert [row for _, _, row in found] == NAMED
    assert [place for place, _, _ in found] == [f"{path}: row {n}" for n in (1, 2, 3)]
    assert [row for _, _, row in arrow_rows(path, ["label"])] == [{"label": one["label"]} for one in NAMED]


def test_parquet_keeps_them_too(tmp_path: Path) -> None:
    import pyarrow.parquet

    pyarrow.parquet.write_table(table(), tmp_path / "a.parquet")
    found = parquet_rows(tmp_path / "a.parquet", ["text", "label", "tags"])
    assert [row for _, _, row in found] == NAMED


def test_a_saved_dataset_is_its_files_in_their_order(tmp_path: Path) -> None:
    folder = saved(tmp_path / "topics.en", table(), table())
    assert is_saved_dataset(folder)
    assert not is_saved_dataset(tmp_path)
    found = list(saved_dataset_rows(folder, ["text", "label", "tags"]))
    assert [row for _, _, row in found] == NAMED * 2
    assert found[-1][0] == f"{folder}: row 6"
    assert dataset_licence(folder) == "cc-by-4.0"
    assert dataset_licence(tmp_path) is None
    assert dataset_name(folder) == "topics.en"


def test_a_split_is_a_folder_of_its_own(tmp_path: Path) -> None:
    whole = tmp_path / "topics.en"
    saved(whole / "train", table())
    saved(whole / "validation", table())
    (whole / "dataset_dict.json").write_text('{"splits": ["train", "validation"]}')
    assert splits_of(whole) == ("train", "validation")
    assert splits_of(whole / "train") is None
    assert one_split(whole, ["dev", "validation"]) == whole / "validation"
    assert one_split(whole / "train", ["test"]) == whole / "train"
    assert dataset_name(whole / "validation") == "topics.en"
    with pytest.raises(InputError, match=rf"has no split test; name one of its splits: {whole / 'train'}"):
        one_split(whole, ["test"])


def truncated(folder: Path) -> None:
    path = folder / "data-00000-of-00001.arrow"
    path.write_bytes(path.read_bytes()[:-200])


def secret(folder: Path) -> None:
    write(folder / "data-00000-of-00001.arrow", table({"text": ["x"], "label": [-1], "tags": [[]]}))


BROKEN: dict[str, Callable[[Path], object]] = {
    r"state\.json: expected the names of the dataset's files": lambda folder: (
        folder / "state.json"
    ).write_text('{"_data_files": [{"filename": "../x.arrow"}]}'),
    r"state\.json: expected a JSON object": lambda folder: (folder / "state.json").write_text("[]"),
    r"saved by an old version": lambda folder: (folder / "state.json").write_text(
        '{"_data_files": [{"filename": "a"}], "_indices_data_files": [{"filename": "b"}]}'
    ),
    r"data-00000-of-00001\.arrow: no such file": lambda folder: (
        folder / "data-00000-of-00001.arrow"
    ).unlink(),
    r"arrow: expected an Arrow file, it is empty": lambda folder: (
        folder / "data-00000-of-00001.arrow"
    ).write_bytes(b""),
    r"arrow: not a valid Arrow file, after row 0": lambda folder: (
        folder / "data-00000-of-00001.arrow"
    ).write_bytes(b"text\tlabel\nthis is a table of another kind\n"),
    r"arrow: not a valid Arrow file, after row 2": truncated,
    r"row 1: field 'label': expected a class from 0 to 1, got -1; -1 stands for": secret,
    r"arrow: no column 'label'; there are 'text'": lambda folder: write(
        folder / "data-00000-of-00001.arrow", pyarrow.table({"text": ["a"]})
    ),
}


@pytest.mark.parametrize("expected", BROKEN)
def test_what_is_broken_is_named(expected: str, tmp_path: Path) -> None:
    folder = saved(tmp_path / "topics.en", table())
    BROKEN[expected](folder)
    with pytest.raises(InputError, match=expected):
        list(saved_dataset_rows(folder, ["text", "label"]))


@pytest.mark.parametrize("metadata", [None, {}, {b"huggingface": b"{"}, {b"huggingface": b'{"info": 3}'}])
def test_others_metadata_name_no_class(metadata: dict[bytes, bytes] | None) -> None:
    assert class_names(metadata) == {}


@pytest.mark.skipif(
    importlib.util.find_spec("datasets") is None, reason="needs datasets: pip install 'xformer[datasets]'"
)
@pytest.mark.filterwarnings("ignore")  # of `datasets` and what it imports
def test_it_reads_what_the_library_itself_saves(tmp_path: Path) -> None:
    import datasets

    label = datasets.ClassLabel(names=["neg", "pos"])
    features = datasets.Features({"text": datasets.Value("string"), "label": label})
    rows = {"text": [f"text {n}" for n in range(9)], "label": [n % 2 for n in range(9)]}
    made = datasets.Dataset.from_dict(rows, features=features).shuffle(seed=1)
    datasets.DatasetDict({"train": made, "test": made.select([4, 2])}).save_to_disk(tmp_path / "d.en")
    made.save_to_disk(tmp_path / "parts.en", num_shards=3)
    expected = [{"text": one["text"], "label": label.int2str(one["label"])} for one in made]
    assert splits_of(tmp_path / "d.en") == ("train", "test")
    for folder, wanted in (("d.en/train", expected), ("parts.en", expected)):
        assert [row for _, _, row in saved_dataset_rows(tmp_path / folder, ["text", "label"])] == wanted
    test = [row for _, _, row in saved_dataset_rows(tmp_path / "d.en/test", ["text", "label"])]
    assert test == [expected[4], expected[2]]
