"""ChestX-Det as published: one JSON list an official part, boxes and polygons of 13 findings.

Source: Lian et al., A Structure-Aware Relation Network for Thoracic Diseases Detection and Segmentation, IEEE TMI 2021.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from medground.data.importers.class_names import ClassNames
from medground.data.importers.image_files import ImageFiles
from medground.data.importers.imported import (
    Import,
    ImportOptions,
    Issue,
    Published,
    rejected_with_image,
    still_exhaustive,
)
from medground.data.importers.marks import Mark, regions_of
from medground.data.importers.nih_chestxdet import CONCEPTS
from medground.schema.anatomy import Domain
from medground.schema.errors import DataSetError, InputNotFoundError
from medground.schema.record import ImageRecord

THIRTEEN = frozenset(CONCEPTS.values()) - {"infiltration", "pneumonia"}
SIZE_PX = 1024
"""Columns and rows of every published image."""
_PARTS = {"train": "train", "test": "test", "val": "valid"}


class ChestXDet:
    """Importer of `ChestX_Det_train.json` and `ChestX_Det_test.json`, images in `train_data/` and `test_data/`.

    Three radiologists read every film for 13 findings: exhaustive for those. The images are numbered anew, so that the
    patients of NIH ChestX-ray14 cannot be told: each image stands for itself, and a patient may be in both parts.
    """

    name = "chestx-det"
    title = "ChestX-Det: ChestX_Det_train.json and ChestX_Det_test.json, train_data/ and test_data/"

    def __call__(self, source: Path, options: ImportOptions | None = None) -> Import:
        """Read the data set.

        Args:
            source: folder with the JSON files, or one of them.
            options: what the user says of it.

        Raises:
            InputNotFoundError: if there is no annotation file.
            DataSetError: if a file has another form.
        """
        options = options or ImportOptions()
        tables = [source] if source.is_file() else sorted(source.glob("ChestX_Det*.json"))
        if not tables:
            raise InputNotFoundError(f"no ChestX_Det_*.json in {source}; give the folder that holds them")
        return Import.joined([_read(table, options) for table in tables])


def _read(table: Path, options: ImportOptions) -> Import:
    word = next((word for word in _PARTS if word in table.stem.lower()), "")
    files, names = ImageFiles(table.parent, options), ClassNames(options, CONCEPTS)
    records: list[ImageRecord] = []
    issues: list[Issue] = []
    published: Counter[str] = Counter()
    entries = _entries(table)
    for file_name, marks in entries:
        record_id = Path(file_name).stem
        published.update(label for label, _ in marks)
        wanted = (file_name,) if options.images else (f"{word}_data/{file_name}", f"{word}/{file_name}", file_name)
        image, found = files.look(wanted, record_id, (SIZE_PX, SIZE_PX))
        issues += found
        if image is None:
            issues += rejected_with_image(record_id, len(marks))
            continue
        regions, found = regions_of(marks, image, record_id, names, "ChestX-Det")
        issues += found
        records.append(
            image.record(
                record_id,
                regions,
                domain=Domain.CHEST_RADIOGRAPH,
                dataset=ChestXDet.name,
                exhaustive_for=still_exhaustive(options, found, THIRTEEN),
                part=_PARTS.get(word),
                readers=3,
            )
        )
    return Import(tuple(records), tuple(issues), Published(len(entries), published.total(), published))


def _entries(table: Path) -> list[tuple[str, list[Mark]]]:
    """File name and (class name, corners) of every image of a table."""
    try:
        content: list[dict[str, Any]] = json.loads(table.read_text(encoding="utf-8"))
        return [
            (
                str(entry["file_name"]),
                [
                    (str(label), (float(x1), float(y1), float(x2), float(y2)))
                    for label, (x1, y1, x2, y2) in zip(entry["syms"], entry["boxes"], strict=True)
                ],
            )
            for entry in content
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise DataSetError(
            f"{table.name} is not a ChestX-Det annotation file: {error!r}; compare it with the source"
        ) from error


IMPORTER = ChestXDet()
