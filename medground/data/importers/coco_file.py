"""The COCO file of a data set, grouped by image."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medground.data.importers.imported import Issue, Published
from medground.schema.errors import DataSetError, InputNotFoundError

Entry = dict[str, Any]
"""One image or annotation as published; it does not leave the importers."""


@dataclass(frozen=True, slots=True)
class CocoFile:
    """A parsed COCO file.

    Attributes:
        images: image entries in the order of the file.
        annotations: image id to its annotation entries.
        categories: category id to name.
        issues: annotations that belong to no image of the file.
        published: what the file lists.
    """

    images: tuple[Entry, ...]
    annotations: dict[int, tuple[Entry, ...]]
    categories: dict[int, str]
    issues: tuple[Issue, ...]
    published: Published

    def label(self, annotation: Entry) -> str:
        """The class name of an annotation; its number where the file names no such category."""
        return self.categories.get(int(annotation["category_id"]), str(annotation["category_id"]))


def read_coco(path: Path) -> CocoFile:
    """Parse a COCO annotation file.

    Args:
        path: the JSON file.

    Returns:
        Its images, annotations by image and category names.

    Raises:
        InputNotFoundError: if there is no such file.
        DataSetError: if it is not COCO, or two images share an id.
    """
    if not path.is_file():
        raise InputNotFoundError(f"no annotations at {path}; give the folder that holds {path.name}, or the file")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        images = tuple(content["images"])
        categories = {int(entry["id"]): str(entry["name"]) for entry in content["categories"]}
        known = {int(entry["id"]): str(entry["file_name"]) for entry in images}
        by_image: dict[int, list[Entry]] = defaultdict(list)
        issues = []
        for annotation in content["annotations"]:
            image_id = int(annotation["image_id"])
            if image_id in known:
                by_image[image_id].append(annotation)
            else:
                detail = f"annotation {annotation.get('id')} refers to image {image_id}, which is not listed"
                issues.append(Issue(path.name, "orphan_annotation", detail, "rejected", boxes=1))
        names = Counter(categories.get(int(a["category_id"]), str(a["category_id"])) for a in content["annotations"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataSetError(
            f"{path.name} is not a COCO annotation file: {error!r}; compare it with the source"
        ) from error
    if len(known) != len(images):
        raise DataSetError(f"{path.name} lists {len(images)} images under {len(known)} ids; ids must be unique")
    grouped = {key: tuple(entries) for key, entries in by_image.items()}
    return CocoFile(
        images, grouped, categories, tuple(issues), Published(len(images), sum(names.values()), dict(names))
    )


def xyxy_px(annotation: Entry) -> tuple[float, float, float, float]:
    """Corners of an annotation, pixels; COCO writes x, y, width, height.

    Args:
        annotation: as published; one without four numbers has corners that are not-a-number, which no box has.
    """
    try:
        x, y, width, height = (float(number) for number in annotation["bbox"])
    except (KeyError, TypeError, ValueError):
        return (math.nan,) * 4
    return (x, y, x + width, y + height)
