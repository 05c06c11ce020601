"""The JSON Schema of files of settings: what `xformer pretrain --config` takes, and a run's config.toml."""

from __future__ import annotations

from typing import Any

from xformer.runs.config import RunConfig
from xformer.runs.renamed_settings import RENAMED
from xformer.storage.json_schema import Schema, table_schema
from xformer.tokenizer import TokenizerOptions

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def settings_schema() -> Schema:
    """The schema; names of earlier versions are in it as deprecated.

    It allows whatever the dataclasses do. What they refuse and it allows: settings that do not fit one
    another (`model.d_model` and `model.n_heads`), and what JSON has no word for: a whole number that is
    written with a point, and NaN.
    """
    found = table_schema(RunConfig)
    tables: dict[str, Any] = found["properties"]
    meaning = tables["tokenizer"]["description"]
    bounds = {
        name: {"minimum": least} | ({} if most is None else {"maximum": most})
        for name, (least, most) in TokenizerOptions.bounds().items()
    }
    tables["tokenizer"] = table_schema(TokenizerOptions, bounds) | {"description": meaning}
    for old, new in RENAMED.items():
        (old_table, old_name), (table, name) = old.split("."), new.split(".")
        here = tables[table]["properties"][name]
        renamed = here | {"deprecated": True, "description": f"Earlier name of {new}. {here['description']}"}
        renamed.pop("default", None)
        tables[old_table]["properties"][old_name] = renamed
    return {"$schema": DIALECT, "title": "Settings of xformer pretrain"} | found
