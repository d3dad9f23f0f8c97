"""Plant tables: read what people have, say what was guessed, keep it as Parquet, derive and profile tags."""

from engine.tables.derived import DerivedTag, derive
from engine.tables.parquet_files import (
    category_places,
    columns_to_numpy,
    complete_matrix,
    complete_rows,
    count_rows,
    load_parquet,
    read_rows,
    read_tags,
    write_parquet,
)
from engine.tables.profiling import profile
from engine.tables.read import read_table
from engine.tables.reading import BAD_VALUES, ENCODINGS, Note, OnProgress, Reading, Table
from engine.tables.sniffing import EXTENSIONS, HEAD_BYTES, FileFormat, sniff

__all__ = [
    "BAD_VALUES",
    "ENCODINGS",
    "EXTENSIONS",
    "HEAD_BYTES",
    "DerivedTag",
    "FileFormat",
    "Note",
    "OnProgress",
    "Reading",
    "Table",
    "category_places",
    "columns_to_numpy",
    "complete_matrix",
    "complete_rows",
    "count_rows",
    "derive",
    "load_parquet",
    "profile",
    "read_rows",
    "read_table",
    "read_tags",
    "sniff",
    "write_parquet",
]
