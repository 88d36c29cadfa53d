"""COCO detection files, anyone's classes.

Source: Lin et al., Microsoft COCO, 2014; cocodataset.org, data format.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from medground.data.importers.class_names import ClassNames
from medground.data.importers.coco_file import CocoFile, Entry, read_coco, xyxy_px
from medground.data.importers.image_files import ImageFiles, SourceImage
from medground.data.importers.imported import (
    Import,
    ImportOptions,
    Issue,
    bounded_box,
    rejected_with_image,
    still_exhaustive,
)
from medground.schema.anatomy import Domain
from medground.schema.errors import InputNotFoundError
from medground.schema.record import ImageRecord, Region

_PARTS = {"train": "train", "val": "valid", "valid": "valid", "test": "test"}


class Coco:
    """Importer of a COCO JSON file, or of a folder with one or one for each part (`instances_train2017.json`, ...).

    Images lie beside the file, in `images/`, or in a folder named like the part. `iscrowd` regions mark a crowd, not
    one thing: they are left out. An image entry may say its `patient` and its `split`.
    """

    name = "coco"
    title = "COCO JSON: a file, or a folder of one file for each part, with the images beside it"

    def __call__(self, source: Path, options: ImportOptions | None = None) -> Import:
        """Read the data set.

        Args:
            source: the JSON file, or a folder with JSON files in it or in `annotations/`.
            options: what the user says of it.

        Raises:
            InputNotFoundError: if there is no JSON file.
            DataSetError: if a file is not COCO.
        """
        options = options or ImportOptions()
        tables = [source] if source.is_file() else [*source.glob("*.json"), *(source / "annotations").glob("*.json")]
        if not tables:
            raise InputNotFoundError(f"no COCO file in {source}; give the JSON file or the folder that holds it")
        return Import.joined([self._read(table, options) for table in sorted(tables)])

    def _read(self, table: Path, options: ImportOptions) -> Import:
        coco = read_coco(table)
        part = next((part for word, part in _PARTS.items() if word in table.stem.lower()), None)
        names = ClassNames(options)
        folders = _folders(table, part)
        files = ImageFiles(table.parent, options)
        records: list[ImageRecord] = []
        issues = list(coco.issues)
        stems: dict[str, int] = defaultdict(int)
        for entry in coco.images:
            file_name = str(entry["file_name"])
            record_id = Path(file_name).with_suffix("").as_posix()
            stems[record_id] += 1
            if stems[record_id] > 1:
                record_id = file_name
            wanted = (file_name,) if options.images else tuple(f"{folder}{file_name}" for folder in folders)
            image, found = files.look(wanted, record_id, _size(entry))
            issues += found
            own = coco.annotations.get(int(entry["id"]), ())
            if image is None:
                issues += rejected_with_image(record_id, len(own))
                continue
            regions, found = _regions(coco, own, image, record_id, names)
            issues += found
            record = image.record(
                record_id,
                regions,
                patient_id=str(entry.get("patient", record_id)),
                domain=options.domain or Domain.OTHER,
                dataset=self.name,
                exhaustive_for=still_exhaustive(options, found),
                part=_PARTS.get(str(entry.get("split"))) or part,
            )
            records.append(record)
        return Import(tuple(records), tuple(issues), coco.published)


def _folders(table: Path, part: str | None) -> tuple[str, ...]:
    """Where images of a COCO file are put, relative to the file, by custom."""
    year = "".join(letter for letter in table.stem if letter.isdigit())
    words = [word for word, meaning in _PARTS.items() if meaning == part]
    named = [f"{word}{year}/" for word in words] + [f"{word}/" for word in words]
    above = [f"../{folder}" for folder in ("", "images/", *named, *(f"images/{one}" for one in named))]
    return ("", "images/", *named, *(f"images/{one}" for one in named), *above)


def _size(entry: Entry) -> tuple[int, int] | None:
    return (int(entry["width"]), int(entry["height"])) if entry.get("width") and entry.get("height") else None


def _regions(
    coco: CocoFile, own: tuple[Entry, ...], image: SourceImage, record_id: str, names: ClassNames
) -> tuple[list[Region], list[Issue]]:
    regions: list[Region] = []
    issues: list[Issue] = []
    for annotation in own:
        label = coco.label(annotation)
        concept = names.key(label)
        if annotation.get("iscrowd"):
            detail = f"{label}: a crowd, not one thing"
            issues.append(Issue(record_id, "crowd", detail, "rejected", boxes=1, concept=concept))
        elif concept is None:
            issues.append(Issue(record_id, "unknown_class", label, "rejected", boxes=1))
        else:
            box, issue = bounded_box(xyxy_px(annotation), image.stored.columns, image.stored.rows, record_id, concept)
            issues += [issue] if issue else []
            if box is not None:
                regions.append(Region(concept=concept, box=box, source=str(annotation.get("source", Coco.name))))
    return regions, issues


IMPORTER = Coco()
