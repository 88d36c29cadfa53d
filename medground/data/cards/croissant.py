"""A data set on disk as Croissant JSON-LD: its files with their digests, and the columns of its index.

Source: MLCommons Croissant Format Specification 1.0.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow as pa

from medground.data.cards.croissant_context import CONFORMS_TO, CONTEXT, Json
from medground.data.cards.facts import DataSetFacts
from medground.data.cards.stated import NOT_STATED, Stated
from medground.data.columnar import INDEX, MANIFEST, REPORT, SCHEMA, VOCABULARY
from medground.data.data_split import SPLIT

RECORDS = "images"
_READ_BYTES = 2**20
_FILES = {
    INDEX: ("application/x-parquet", "One row an image, with its regions."),
    VOCABULARY: ("application/json", "The concepts that the index speaks of, with their codes and names."),
    MANIFEST: ("application/json", "Name and version of the data set."),
    REPORT: ("application/json", "What the import read, repaired and rejected."),
    SPLIT: ("application/json", "The parts, and the leak check that they passed."),
}
_COLUMNS = {
    "record_id": "Unique within the data set.",
    "patient_id": "What splits are made by; the record's own id where the source names no patient.",
    "path": "Image file, relative to the data set.",
    "frame": "Frame of a multi-frame file or slice of a volume, from 1.",
    "columns": "Width of the stored image, pixels.",
    "rows": "Height of the stored image, pixels.",
    "domain": "Kind of image.",
    "dataset": "Name of the data set it came from.",
    "regions": "Labelled regions; corners in pixels of the stored image.",
    "exhaustive_for": "JSON list of concepts whose every region is labelled; outside it silence says nothing.",
    "synthetic": "True for an image made by code.",
    "part": "Part that the publisher put it in.",
    "columns_toward_left": "1 where columns run toward the patient's left, -1 toward the right, empty where unknown.",
    "rows_toward_feet": "1 where rows run toward the feet, -1 toward the head, empty where unknown.",
    "spacing_mm": "Between rows and between columns, millimetres; empty where unknown.",
    "readers": "How many people read the image.",
    "attributes": "What the source says of the image as a whole, as JSON.",
    "sha256": "Of the image file.",
}


def croissant_of(folder: Path, facts: DataSetFacts, stated: Stated, *, base: str = "") -> Json:
    """Describe a data set.

    Args:
        folder: of the data set; its files are hashed, its images are not (the index holds their digests).
        facts: counted from it.
        stated: what its owner says of it.
        base: path from the Croissant file to the folder, ending in a slash, or empty.

    Returns:
        JSON-LD.
    """
    described: Json = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": facts.name,
        "description": stated.description or NOT_STATED,
        "license": stated.licence or NOT_STATED,
        "version": f"0.0.0+{facts.version}",
        "distribution": [_file(folder, name, base) for name in _FILES if (folder / name).is_file()],
        "recordSet": [_record_set()],
    }
    if stated.source:
        described["isBasedOn" if "://" in stated.source else "citeAs"] = stated.source
    return described


def _file(folder: Path, name: str, base: str) -> Json:
    encoding, description = _FILES[name]
    path = folder / name
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "description": description,
        "contentUrl": f"{base}{name}",
        "contentSize": f"{path.stat().st_size} B",
        "encodingFormat": encoding,
        "sha256": digest,
    }


def _record_set() -> Json:
    return {
        "@type": "cr:RecordSet",
        "@id": RECORDS,
        "name": RECORDS,
        "description": "One record an image.",
        "key": {"@id": f"{RECORDS}/record_id"},
        "field": [_field(column) for column in SCHEMA],
    }


def _field(column: pa.Field) -> Json:
    name = str(column.name)
    field = _typed(f"{RECORDS}/{name}", column.type, column=name, path="")
    return {**field, "description": _COLUMNS[name]}


def _typed(identifier: str, kind: pa.DataType, *, column: str, path: str) -> Json:
    """A field, with its sub-fields where the column holds structures; those are reached by a JSON path."""
    field: Json = {"@type": "cr:Field", "@id": identifier, "name": identifier}
    source: Json = {"fileObject": {"@id": INDEX}, "extract": {"column": column}}
    if path:
        source["transform"] = {"jsonPath": path}
    if pa.types.is_list(kind):
        field["repeated"] = True
        kind = kind.value_type
    if pa.types.is_struct(kind):
        field["subField"] = [
            _typed(f"{identifier}/{leaf}", leaf_type, column=column, path=f"{path}.{leaf}" if path else leaf)
            for leaf, leaf_type in _leaves(kind)
        ]
        return field
    return {**field, "dataType": _data_type(kind), "source": source}


def _leaves(kind: pa.StructType) -> list[tuple[str, pa.DataType]]:
    """Members of a structure; those of a structure within it by their dotted names."""
    found: list[tuple[str, pa.DataType]] = []
    for member in kind:
        if pa.types.is_struct(member.type):
            found += [(f"{member.name}.{name}", inner) for name, inner in _leaves(member.type)]
        else:
            found.append((member.name, member.type))
    return found


def _data_type(kind: pa.DataType) -> str:
    if pa.types.is_boolean(kind):
        return "sc:Boolean"
    if pa.types.is_integer(kind):
        return "sc:Integer"
    return "sc:Float" if pa.types.is_floating(kind) else "sc:Text"
