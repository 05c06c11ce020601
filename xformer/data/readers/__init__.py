"""Readers: functions that stream `Record`s from files of one format.

A reader takes paths and options, and yields records in the order of the files, in bounded memory. For a
damaged file it raises an `InputError` that names the file and the line.
"""

from xformer.data.readers.cldr import read_cldr
from xformer.data.readers.csv import read_csv
from xformer.data.readers.dict import read_dict
from xformer.data.readers.gettext import read_gettext
from xformer.data.readers.hf_datasets import read_datasets
from xformer.data.readers.iwslt import read_iwslt
from xformer.data.readers.man import read_man
from xformer.data.readers.messages import read_messages
from xformer.data.readers.moses import read_moses
from xformer.data.readers.parquet import read_parquet
from xformer.data.readers.qm import read_qm
from xformer.data.readers.rows import Fields, ParallelFields, read_jsonl, read_tsv
from xformer.data.readers.tatoeba import read_manythings, read_tatoeba
from xformer.data.readers.tei import read_tei
from xformer.data.readers.text import read_text
from xformer.data.readers.tmx import read_tmx
from xformer.data.readers.wikimatrix import read_wikimatrix

__all__ = [
    "Fields",
    "ParallelFields",
    "read_cldr",
    "read_csv",
    "read_datasets",
    "read_dict",
    "read_gettext",
    "read_iwslt",
    "read_jsonl",
    "read_man",
    "read_manythings",
    "read_messages",
    "read_moses",
    "read_parquet",
    "read_qm",
    "read_tatoeba",
    "read_tei",
    "read_text",
    "read_tmx",
    "read_tsv",
    "read_wikimatrix",
]
