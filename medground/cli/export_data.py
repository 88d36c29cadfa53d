"""`medground data export`: a data set for other tools, with pictures they can open."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console

from medground.cli.progress import image_progress
from medground.data.columnar import DataSet
from medground.data.export import Coordinates, Resizing, to_coco, to_conversation, write_lines
from medground.data.pairs.write import write_pairs
from medground.data.pixels import displayed
from medground.schema.errors import UsageError
from medground.schema.record import ImageRecord

FORMATS = ("coco", "qwen")
COCO, CONVERSATIONS = "annotations.json", "conversations.jsonl"


@dataclass(frozen=True, slots=True)
class Options:
    """The command line of `medground data export`, parsed; see its help for the meaning of each."""

    folder: Path
    out: Path
    format: str
    coordinates: str = Coordinates.RELATIVE.value
    factor: int = 28
    part: str | None = None
    seed: int = 0
    with_images: bool = True


def run_export(options: Options) -> int:
    """Write the export.

    Args:
        options: what was asked.

    Returns:
        Exit code 0.

    Raises:
        MedgroundError: the data set cannot be read, or an option names nothing.
    """
    if options.format not in FORMATS:
        raise UsageError(f"--format {options.format!r} is none of {', '.join(FORMATS)}")
    if options.coordinates not in set(Coordinates):
        raise UsageError(f"--coordinates {options.coordinates!r} is none of {', '.join(Coordinates)}")
    data = DataSet(options.folder)
    records = [record for record in data if options.part in (None, record.part)]
    if not records:
        raise UsageError(f"no image of {options.folder} is in part {options.part!r}")
    options.out.mkdir(parents=True, exist_ok=True)
    paths = {record.record_id: _name(record) for record in records}
    if options.with_images:
        with image_progress(Console(stderr=True)) as progress:
            for done, record in enumerate(records, 1):
                _write_picture(record, options.out / paths[record.record_id])
                progress(done, len(records))
    if options.format == "coco":
        content = to_coco(records, data.vocabulary, paths)
        partial = options.out / f".{COCO}.partial"
        partial.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        partial.replace(options.out / COCO)
        print_line = f"{len(records)} images, {len(content['annotations'])} boxes in {options.out / COCO}"
    else:
        lines = write_lines(options.out / CONVERSATIONS, _conversations(records, data, paths, options))
        print_line = f"{len(records)} images, {lines} questions in {options.out / CONVERSATIONS}"
    Console().print(print_line, highlight=False, markup=False, soft_wrap=True)
    return 0


def _conversations(
    records: list[ImageRecord], data: DataSet, paths: dict[str, str], options: Options
) -> Iterator[dict[str, Any]]:
    resizing = Resizing(factor=options.factor)
    for record in records:
        digest = hashlib.sha256(record.record_id.encode()).digest()
        rng = np.random.default_rng([options.seed, int.from_bytes(digest[:8])])  # the same whatever else is exported
        for pair in write_pairs(record, data.vocabulary, rng):
            path = paths[record.record_id]
            yield to_conversation(record, pair, data.vocabulary, path, Coordinates(options.coordinates), resizing)


def _name(record: ImageRecord) -> str:
    """By digest: a record's id may hold what no file name should."""
    return f"images/{hashlib.sha256(record.record_id.encode()).hexdigest()[:24]}.png"


def _write_picture(record: ImageRecord, path: Path) -> None:
    """The picture as displayed, 8 bits, in stored pixels: boxes fit it as they are."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    grey = np.rint(displayed(record) * 255).astype(np.uint8)
    partial = path.with_name(f".{path.name}.partial")
    Image.fromarray(grey).save(partial, format="PNG")
    partial.replace(path)
