"""A data set on disk: a Parquet index, one row an image, and the image files beside it; read lazily.

::

    DIR/
      data_set.json        name, version, what it was made from; written last: where it stands, everything stands
      index.parquet        one row an ImageRecord
      vocabulary.json      the concepts that the index speaks of
      import_report.json   what was read, repaired and rejected
      images/ab/ab12....jpg   by SHA-256, so that a copy of a file is stored once
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import ValidationError

from medground.schema.config import StrictConfig
from medground.schema.errors import DataSetError, InputNotFoundError
from medground.schema.record import ImageRecord
from medground.schema.vocabulary import Vocabulary

MANIFEST, INDEX, VOCABULARY, REPORT = "data_set.json", "index.parquet", "vocabulary.json", "import_report.json"
_BATCH = 4096
_FEW_VALUES = ("domain", "dataset", "part", "exhaustive_for", "attributes")
"""Columns of which the same values come again and again: held in memory as numbers into a list of values."""
_BOX = pa.struct([(name, pa.float64()) for name in ("x1", "y1", "x2", "y2")])
_REGION = pa.struct(
    [
        ("concept", pa.string()),
        ("box", _BOX),
        ("source", pa.string()),
        ("side", pa.string()),
        ("zone", pa.string()),
        ("appearance", pa.list_(pa.string())),
        ("phrase", pa.string()),
        ("readers", pa.int32()),
        ("lesion_id", pa.string()),
        ("uncertain", pa.bool_()),
    ]
)
SCHEMA = pa.schema(
    [
        ("record_id", pa.string()),
        ("patient_id", pa.string()),
        ("path", pa.string()),
        ("frame", pa.int32()),
        ("columns", pa.int32()),
        ("rows", pa.int32()),
        ("domain", pa.string()),
        ("dataset", pa.string()),
        ("regions", pa.list_(_REGION)),
        ("exhaustive_for", pa.string()),  # JSON list: few different ones, so that each is held once
        ("synthetic", pa.bool_()),
        ("part", pa.string()),
        ("columns_toward_left", pa.int8()),
        ("rows_toward_feet", pa.int8()),
        ("spacing_mm", pa.list_(pa.float64())),
        ("readers", pa.int32()),
        ("attributes", pa.string()),  # JSON: the names differ from source to source
        ("sha256", pa.string()),
    ]
)


class Manifest(StrictConfig):
    """What a data set says of itself.

    Attributes:
        schema_version: of this layout.
        name: of the data set.
        version: digest of index and vocabulary; another one means other data.
        importer: what it was read with, or None for records made otherwise.
        records: rows of the index.
    """

    schema_version: int = 1
    name: str
    version: str
    importer: str | None
    records: int


class DataSet(Sequence[ImageRecord]):
    """A data set on disk; a record is made when it is asked for.

    Args:
        folder: as `write_data_set` left it.

    Raises:
        InputNotFoundError: there is no data set, or its writing was not finished.
        DataSetError: the index or the manifest cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        manifest = folder / MANIFEST
        if not manifest.is_file():
            raise InputNotFoundError(f"no data set at {folder}: {MANIFEST} is absent; run medground import again")
        try:
            self.manifest = Manifest.model_validate_json(manifest.read_bytes())
            self._table = _read_index(folder / INDEX)
            if self._table.num_rows != self.manifest.records:
                raise DataSetError(f"{INDEX} in {folder} does not fit {MANIFEST}; run medground import again")
        except (ValidationError, OSError, pa.ArrowException) as error:
            raise DataSetError(f"the data set at {folder} cannot be read ({type(error).__name__})") from error
        self.folder = folder

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The concepts that the records speak of."""
        return Vocabulary.model_validate_json((self.folder / VOCABULARY).read_bytes())

    def __len__(self) -> int:
        return int(self._table.num_rows)

    @overload
    def __getitem__(self, index: int) -> ImageRecord: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[ImageRecord, ...]: ...

    def __getitem__(self, index: int | slice) -> ImageRecord | tuple[ImageRecord, ...]:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        (row,) = self._table.slice(index % len(self), 1).to_pylist()
        return _record(row, self.folder)

    def __iter__(self) -> Iterator[ImageRecord]:
        for batch in self._table.to_batches(max_chunksize=_BATCH):
            for row in batch.to_pylist():
                yield _record(row, self.folder)

    def column(self, name: str) -> list[Any]:
        """One field of every record, without making the records.

        Args:
            name: a field of `ImageRecord` that is a single value, e.g. `patient_id`.
        """
        values: list[Any] = self._table.column(name).to_pylist()
        return values

    def with_concept(self, concept: str) -> list[int]:
        """Indices of the records that have a region of a concept."""
        found: list[int] = []
        start = 0
        for regions in self._table.column("regions").chunks:
            hit = pc.equal(pc.struct_field(pc.list_flatten(regions), "concept"), concept)
            found += [start + row for row in pc.unique(pc.list_parent_indices(regions).filter(hit)).to_pylist()]
            start += len(regions)
        return found

    def boxes_by_concept(self) -> dict[str, int]:
        """Number of regions of each concept, most first."""
        counts: Counter[str] = Counter()
        for regions in self._table.column("regions").chunks:
            counts.update(pc.struct_field(pc.list_flatten(regions), "concept").to_pylist())
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _read_index(path: Path) -> pa.Table:
    """The index, one row group after another: read in one go it takes three times its size while it is read."""
    file = pq.ParquetFile(path, memory_map=True)
    if not file.schema_arrow.equals(SCHEMA):
        raise pa.ArrowInvalid("another schema")
    groups = []
    for number in range(file.num_row_groups):
        group = file.read_row_group(number, use_threads=False)
        for name in _FEW_VALUES:
            group = group.set_column(group.column_names.index(name), name, group.column(name).dictionary_encode())
        groups.append(group)
    pa.default_memory_pool().release_unused()
    return pa.concat_tables(groups) if groups else SCHEMA.empty_table()


def write_data_set(
    folder: Path,
    records: Sequence[ImageRecord],
    *,
    name: str,
    vocabulary: Vocabulary,
    importer: str | None = None,
    report: str | None = None,
    copy: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Manifest:
    """Write a data set; what an interrupted run has copied is not copied again.

    Args:
        folder: made if absent; a data set in it is replaced when everything new is there.
        records: with unique ids.
        name: of the data set.
        vocabulary: the concepts that the records speak of.
        importer: what they were read with.
        report: JSON to keep beside the index.
        copy: copy the image files in; else the index points to where they are.
        progress: told how many images are done, of how many.

    Raises:
        DataSetError: two records share an id, an image changed while it was copied, or another process writes here.
        OSError: the disk is full, or the folder cannot be written to.
    """
    _check(records)
    folder.mkdir(parents=True, exist_ok=True)
    with _only_writer(folder):
        placed: list[str | None] = []
        for done, record in enumerate(records, 1):
            placed.append(_place(record, folder) if copy else _where(record))
            if progress is not None:
                progress(done, len(records))
        version = _write_index(_partial(folder / INDEX), records, placed, vocabulary, by_place=copy)
        manifest = Manifest(name=name, version=version, importer=importer, records=len(records))
        texts = {VOCABULARY: vocabulary.model_dump_json(indent=1, exclude_defaults=True)}
        texts |= {REPORT: report} if report is not None else {}
        texts[MANIFEST] = manifest.model_dump_json(indent=1)
        for file, text in texts.items():
            _partial(folder / file).write_text(text + "\n", encoding="utf-8")
        # Everything new is on the disk: what stood here before is given up only now.
        (folder / MANIFEST).unlink(missing_ok=True)
        for file in (INDEX, *texts):
            _replace(_partial(folder / file), folder / file)
    return manifest


@contextmanager
def _only_writer(folder: Path) -> Iterator[None]:
    """Hold the folder alone; the lock ends with the process, however it ends."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise DataSetError(f"another import is writing to {folder}: wait for it, or name another folder") from error
    try:
        yield
    finally:
        os.close(descriptor)


def _write_index(
    path: Path, records: Sequence[ImageRecord], placed: Sequence[str | None], vocabulary: Vocabulary, *, by_place: bool
) -> str:
    """Write the index; returns the version. Where files lie that were not copied in is no part of it."""
    digest = hashlib.sha256(vocabulary.model_dump_json().encode())
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        for start in range(0, len(records), _BATCH):
            end = start + _BATCH
            rows = [_row(one, place) for one, place in zip(records[start:end], placed[start:end], strict=True)]
            for row in rows:
                digest.update(json.dumps(row if by_place else {**row, "path": None}, sort_keys=True).encode())
            writer.write_table(pa.Table.from_pylist(rows, schema=SCHEMA))
    return digest.hexdigest()[:16]


def _check(records: Iterable[ImageRecord]) -> None:
    seen: set[str] = set()
    for record in records:
        if record.record_id in seen:
            raise DataSetError(f"two records are called {record.record_id!r}: ids must be unique")
        seen.add(record.record_id)


def _place(record: ImageRecord, folder: Path) -> str | None:
    """Copy an image file in under its digest; the path from the data set's folder. A volume brings its raw file."""
    if record.path is None:
        return None
    if record.sha256 is None:  # a volume file that was not read to its end; kept where it is
        return str(record.path.resolve())
    place = Path("images") / record.sha256[:2] / f"{record.sha256}{record.path.suffix.lower()}"
    target = folder / place
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = _partial(target)
        with record.path.open("rb") as source, partial.open("wb") as sink:
            shutil.copyfileobj(source, sink)
        with partial.open("rb") as copied:
            if hashlib.file_digest(copied, "sha256").hexdigest() != record.sha256:
                raise DataSetError(f"the image of {record.record_id!r} changed while it was copied; import it again")
        _replace(partial, target)
    return place.as_posix()


def _row(record: ImageRecord, path: str | None) -> dict[str, Any]:
    row = record.model_dump(mode="json")
    row["exhaustive_for"] = json.dumps(sorted(record.exhaustive_for), ensure_ascii=False)
    row["attributes"] = json.dumps(record.attributes, sort_keys=True, ensure_ascii=False)
    return {**row, "path": path}


def _record(row: dict[str, Any], folder: Path) -> ImageRecord:
    row["attributes"], row["exhaustive_for"] = json.loads(row["attributes"]), json.loads(row["exhaustive_for"])
    if row["path"] is not None:
        row["path"] = folder / row["path"]  # an absolute path stays as it is
    return ImageRecord.model_validate(row)


def _where(record: ImageRecord) -> str | None:
    return None if record.path is None else str(record.path.resolve())


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.partial")


def _replace(partial: Path, path: Path) -> None:
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(path)
