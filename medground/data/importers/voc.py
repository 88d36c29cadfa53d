"""Pascal VOC XML, as the blood smears of BCCD come in.

Source: Everingham et al., The PASCAL Visual Object Classes Challenge 2007 Development Kit; BCCD_Dataset (Shenggan).
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from medground.data.importers.imported import Import, Issue, bounded_box
from medground.data.importers.stored_image import StoredImage, inspect
from medground.schema.anatomy import Domain
from medground.schema.errors import DataSetError, InputNotFoundError
from medground.schema.record import ImageRecord, Region

CONCEPTS = {"RBC": "red_blood_cell", "WBC": "white_blood_cell", "Platelets": "platelet"}
EXHAUSTIVE = frozenset({"white_blood_cell", "platelet"})
"""Not red cells: some of them are unlabelled in the source."""
PARTS = {"train": "train", "val": "valid"}
"""File of `ImageSets/Main` to the part it stands for."""


class Voc:
    """Importer of the folder `bccd`: `Annotations/`, `JPEGImages/`, `ImageSets/Main/`.

    The source names no patient: each image stands for itself.
    """

    name = "voc"

    def __call__(self, source: Path) -> Import:
        """Read the data set.

        Args:
            source: folder in the layout of Pascal VOC.

        Returns:
            One record per image that is in a part and can be decoded, and the issues.

        Raises:
            InputNotFoundError: if there are no annotations.
            DataSetError: if an image stands in two parts, or an annotation is not Pascal VOC.
        """
        folder = source / "Annotations"
        files = sorted(folder.glob("*.xml"))
        if not files:
            raise InputNotFoundError(f"no XML annotations in {folder}; give the folder that holds Annotations/")
        parts = _parts(source / "ImageSets" / "Main")
        records: list[ImageRecord] = []
        issues = [
            Issue(stem, "missing_annotation", f"listed as {part}, no XML file", "rejected")
            for stem, part in sorted(parts.items())
            if not (folder / f"{stem}.xml").is_file()
        ]
        for file in files:
            if file.stem not in parts:
                issues.append(Issue(file.stem, "no_part", "in no list of ImageSets/Main", "rejected"))
                continue
            record, found = _record(file, source / "JPEGImages", parts[file.stem])
            issues += found
            records += [record] if record else []
        return Import(tuple(records), tuple(issues))


def _parts(folder: Path) -> dict[str, str]:
    """Image stem to part."""
    parts: dict[str, str] = {}
    for list_name, part in PARTS.items():
        file = folder / f"{list_name}.txt"
        for stem in file.read_text(encoding="utf-8").split() if file.is_file() else ():
            if parts.setdefault(stem, part) != part:
                raise DataSetError(f"image {stem!r} is listed in two parts, {parts[stem]} and {part}; list it in one")
    return parts


def _record(file: Path, images: Path, part: str) -> tuple[ImageRecord | None, list[Issue]]:
    path = images / f"{file.stem}.jpg"
    try:
        stored = inspect(path)
    except OSError as error:
        return None, [Issue(file.stem, "unreadable_image", f"{path.name}: {type(error).__name__}", "rejected")]
    try:
        root = ElementTree.parse(file).getroot()
        published = (int(_text(root, "size/width")), int(_text(root, "size/height")))
        regions, issues = _regions(root, stored, file.stem)
    except (ElementTree.ParseError, ValueError) as error:
        raise DataSetError(
            f"{file.name} is not a Pascal VOC annotation: {error}; compare it with the source"
        ) from error
    if published != (stored.columns, stored.rows):
        detail = f"{published[0]}x{published[1]} published, {stored.columns}x{stored.rows} stored"
        issues.append(Issue(file.stem, "wrong_size", detail, "repaired"))
    record = ImageRecord(
        record_id=file.stem,
        patient_id=file.stem,
        path=path,
        columns=stored.columns,
        rows=stored.rows,
        domain=Domain.OTHER,
        dataset="bccd",
        regions=tuple(regions),
        exhaustive_for=EXHAUSTIVE,
        part=part,
    )
    return record, issues


def _regions(root: ElementTree.Element, stored: StoredImage, record_id: str) -> tuple[list[Region], list[Issue]]:
    regions: list[Region] = []
    issues: list[Issue] = []
    for item in root.iter("object"):
        label = _text(item, "name")
        if label not in CONCEPTS:
            issues.append(Issue(record_id, "unknown_class", label, "rejected"))
            continue
        left, top, right, bottom = (float(_text(item, f"bndbox/{edge}")) for edge in ("xmin", "ymin", "xmax", "ymax"))
        if left >= right or top >= bottom:  # a slip of the mouse, although VOC would call it one pixel
            detail = f"{label} {(left, top, right, bottom)} has no area"
            issues.append(Issue(record_id, "degenerate_box", detail, "rejected"))
            continue
        # VOC counts pixels from 1 and includes the last one; ours are pixel edges from 0.
        box, issue = bounded_box((left - 1, top - 1, right, bottom), stored.columns, stored.rows, record_id)
        issues += [issue] if issue else []
        if box is not None:
            regions.append(Region(concept=CONCEPTS[label], box=box, source="BCCD"))
    return regions, issues


def _text(element: ElementTree.Element, path: str) -> str:
    text = element.findtext(path)
    if text is None:
        raise ValueError(f"no <{path}>")
    return text.strip()
