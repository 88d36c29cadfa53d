"""YOLO text labels, anyone's classes: one line a box, `class x_centre y_centre width height`, shares of the image.

Source: Ultralytics, "Object Detection Datasets Overview" (data.yaml, images/, labels/).
"""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import yaml

from medground.data.importers.class_names import ClassNames
from medground.data.importers.image_files import ImageFiles, SourceImage
from medground.data.importers.imported import (
    Import,
    ImportOptions,
    Issue,
    Published,
    rejected_with_image,
    still_exhaustive,
)
from medground.data.importers.marks import regions_of
from medground.schema.anatomy import Domain
from medground.schema.errors import DataSetError, InputNotFoundError
from medground.schema.record import ImageRecord, Region

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".dcm"})
_PARTS = {"train": "train", "val": "valid", "valid": "valid", "test": "test"}
_LONGEST_LIST = 2**20


class Yolo:
    """Importer of a folder with `images/`, `labels/` and the class names in `data.yaml` or `classes.txt`.

    Parts are folders (`images/train/`, or `train/images/`). An image without a label file is an image without boxes.
    A line of more than five numbers is a polygon: its bounds are the box.
    """

    name = "yolo"
    title = "YOLO: images/ and labels/*.txt, class names in data.yaml or classes.txt"

    def __call__(self, source: Path, options: ImportOptions | None = None) -> Import:
        """Read the data set.

        Args:
            source: the folder.
            options: what the user says of it; YOLO cannot be read without images, since it gives shares of them.

        Raises:
            InputNotFoundError: if there are no class names or no labels.
            DataSetError: if the class names cannot be read, or images are left out.
        """
        options = options or ImportOptions()
        if not options.with_images:
            raise DataSetError("YOLO gives boxes as shares of the image: import it with its images")
        labels = _class_labels(source)
        names = ClassNames(options)
        files = ImageFiles(source, options)
        records: list[ImageRecord] = []
        issues: list[Issue] = []
        published: Counter[str] = Counter()
        images = sorted(p for p in source.rglob("*") if p.suffix.lower() in SUFFIXES and "images" in p.parts)
        known = {_label_file(path) for path in images}
        orphans = sorted(set(source.rglob("labels/**/*.txt")) - known)
        for orphan in orphans:
            lines = _lines(orphan)
            published.update(_name(line, labels) for line in lines)
            issues.append(Issue(orphan.stem, "missing_image", f"{orphan.name} has no image", "rejected"))
            issues += rejected_with_image(orphan.stem, len(lines))
        for path in images:
            record_id = path.relative_to(source).with_suffix("").as_posix()
            lines = _lines(_label_file(path))
            published.update(_name(line, labels) for line in lines)
            image, found = files.look((path.relative_to(source).as_posix(),), record_id)
            issues += found
            if image is None:
                issues += rejected_with_image(record_id, len(lines))
                continue
            size = (image.stored.columns, image.stored.rows)
            marks = [(_name(line, labels), _corners(line, *size)) for line in lines]
            regions, found = regions_of(marks, image, record_id, names, self.name)
            issues += found
            whole = still_exhaustive(options, found)
            records.append(_record(path.relative_to(source), image, regions, whole, options))
        if not images and not orphans:
            raise InputNotFoundError(f"no images/ or labels/ in {source}; give the folder that holds them")
        count = Published(len(images) + len(orphans), published.total(), published)
        return Import(tuple(records), tuple(issues), count)


def _class_labels(source: Path) -> dict[int, str]:
    """Class number to name."""
    table, plain = next(iter(sorted(source.glob("*.yaml"))), None), source / "classes.txt"
    if table is None and not plain.is_file():
        raise InputNotFoundError(f"no data.yaml or classes.txt in {source}: without it the class numbers have no names")
    chosen = table or plain
    if chosen.stat().st_size > _LONGEST_LIST:
        raise DataSetError(f"{chosen.name} is larger than {_LONGEST_LIST} bytes: it is no list of class names")
    try:
        names = yaml.safe_load(chosen.read_text(encoding="utf-8"))["names"] if table else plain.read_text().splitlines()
        pairs = names.items() if isinstance(names, dict) else enumerate(names)
        return {int(number): str(name).strip() for number, name in pairs}
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataSetError(f"{chosen.name} gives no class names ({type(error).__name__}): it needs `names:`") from error


def _label_file(image: Path) -> Path:
    """`.../images/.../x.jpg` to `.../labels/.../x.txt`: the last folder called images decides."""
    parts = list(image.with_suffix(".txt").parts)
    last = len(parts) - 1 - parts[::-1].index("images")
    return Path(*parts[:last], "labels", *parts[last + 1 :])


def _lines(file: Path) -> list[list[str]]:
    if not file.is_file():
        return []
    return [line.split() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]


def _name(line: list[str], labels: dict[int, str]) -> str:
    return labels.get(int(line[0]), line[0]) if line[0].isdigit() else line[0]


def _corners(line: list[str], columns: int, rows: int) -> tuple[float, float, float, float]:
    """Corners in pixels; not-a-number, which no box has, where the line is none."""
    try:
        numbers = [float(word) for word in line[1:]]
    except ValueError:
        return (math.nan,) * 4
    if len(numbers) in (4, 5):  # a fifth is a confidence
        x, y, width, height = numbers[:4]
        xs, ys = [x - width / 2, x + width / 2], [y - height / 2, y + height / 2]
        if width <= 0 or height <= 0:
            return (math.nan,) * 4
    elif len(numbers) >= 6 and len(numbers) % 2 == 0:
        xs, ys = numbers[0::2], numbers[1::2]
    else:
        return (math.nan,) * 4
    return (min(xs) * columns, min(ys) * rows, max(xs) * columns, max(ys) * rows)


def _record(
    path: Path, image: SourceImage, regions: list[Region], exhaustive_for: frozenset[str], options: ImportOptions
) -> ImageRecord:
    return image.record(
        path.with_suffix("").as_posix(),
        regions,
        domain=options.domain or Domain.OTHER,
        dataset=Yolo.name,
        exhaustive_for=exhaustive_for,
        part=next((_PARTS[word] for word in path.parts if word in _PARTS), None),
    )


IMPORTER = Yolo()
