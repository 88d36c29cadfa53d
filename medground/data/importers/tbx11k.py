"""TBX11K: tuberculosis on chest radiographs, COCO files with three kinds of region.

Source: Liu et al., Rethinking Computer-Aided Tuberculosis Diagnosis, CVPR 2020.
"""

from __future__ import annotations

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

CLASSES = {
    "ActiveTuberculosis": "active_tuberculosis",
    "ObsoletePulmonaryTuberculosis": "healed_tuberculosis",
    "PulmonaryTuberculosis": "tuberculosis",
}
UNCERTAIN = frozenset({"PulmonaryTuberculosis"})
"""Tuberculosis of which the source does not tell whether it is active."""
SIZE_PX = 512
"""Columns and rows of every published PNG."""


class Tbx11k:
    """Importer of `annotations/json/TBX11K_train.json` and `TBX11K_val.json`, images in `imgs/`.

    Every film was read for tuberculosis: exhaustive for its three kinds. The folder of the image (`health`, `sick`,
    `tb`) becomes its attribute `group`. The patient is not told: each image stands for itself.
    """

    name = "tbx11k"
    title = "TBX11K: annotations/json/TBX11K_{train,val}.json, imgs/{health,sick,tb}/"

    def __call__(self, source: Path, options: ImportOptions | None = None) -> Import:
        """Read the data set.

        Args:
            source: the folder that holds `annotations/` and `imgs/`, or one JSON file.
            options: what the user says of it.

        Raises:
            InputNotFoundError: if there is no annotation file.
            DataSetError: if a file is not COCO.
        """
        options = options or ImportOptions()
        tables = [source] if source.is_file() else _tables(source)
        if not tables:
            raise InputNotFoundError(f"no TBX11K_train.json in {source}/annotations/json; give the folder above it")
        root = source if source.is_dir() else source.parents[2] if len(source.parents) > 2 else source.parent
        return Import.joined([_read(table, root / "imgs", options) for table in tables])


def _tables(source: Path) -> list[Path]:
    """The files of the two published parts: there are also files that join or repeat them."""
    found = [*source.rglob("TBX11K_train.json"), *source.rglob("TBX11K_val.json")]
    return found or sorted(source.rglob("TBX11K_trainval.json"))


def _read(table: Path, folder: Path, options: ImportOptions) -> Import:
    coco = read_coco(table)
    part = {"train": "train", "val": "valid"}.get(table.stem.removeprefix("TBX11K_"))
    files, names = ImageFiles(folder, options), ClassNames(options, CLASSES)
    records: list[ImageRecord] = []
    issues = list(coco.issues)
    for entry in coco.images:
        file_name = str(entry["file_name"])
        record_id = Path(file_name).stem
        own = coco.annotations.get(int(entry["id"]), ())
        published = (int(entry.get("width", SIZE_PX)), int(entry.get("height", SIZE_PX)))
        image, found = files.look((file_name, Path(file_name).name), record_id, published)
        issues += found
        if image is None:
            issues += rejected_with_image(record_id, len(own))
            continue
        regions, found = _regions(coco, own, image, record_id, names)
        issues += found
        group = Path(file_name).parent.name
        records.append(
            image.record(
                record_id,
                regions,
                domain=Domain.CHEST_RADIOGRAPH,
                dataset=Tbx11k.name,
                exhaustive_for=still_exhaustive(options, found, frozenset(CLASSES.values())),
                part=part,
                attributes={"group": group} if group else {},
            )
        )
    return Import(tuple(records), tuple(issues), coco.published)


def _regions(
    coco: CocoFile, own: tuple[Entry, ...], image: SourceImage, record_id: str, names: ClassNames
) -> tuple[list[Region], list[Issue]]:
    regions: list[Region] = []
    issues: list[Issue] = []
    for annotation in own:
        label = coco.label(annotation)
        concept = names.key(label)
        if concept is None:
            issues.append(Issue(record_id, "unknown_class", label, "rejected", boxes=1))
            continue
        box, issue = bounded_box(xyxy_px(annotation), image.stored.columns, image.stored.rows, record_id, concept)
        issues += [issue] if issue else []
        if box is not None:
            regions.append(Region(concept=concept, box=box, source="TBX11K", uncertain=label in UNCERTAIN))
    return regions, issues


IMPORTER = Tbx11k()
