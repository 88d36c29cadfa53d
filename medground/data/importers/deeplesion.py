"""DeepLesion: one marked lesion or more on each key slice of a CT.

Source: Yan et al., DeepLesion, Journal of Medical Imaging 2018; `DL_info.csv`.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from medground.data.importers.class_names import ClassNames
from medground.data.importers.image_files import ImageFiles, SourceImage
from medground.data.importers.imported import (
    Import,
    ImportOptions,
    Issue,
    Published,
    bounded_box,
    rejected_with_image,
    still_exhaustive,
)
from medground.data.importers.table import Row, by_image, decimal, read_table
from medground.schema.anatomy import Domain
from medground.schema.record import ImageRecord, Region

TYPES = {
    "-1": "unknown",
    "1": "bone",
    "2": "abdomen",
    "3": "mediastinum",
    "4": "liver",
    "5": "lung",
    "6": "kidney",
    "7": "soft tissue",
    "8": "pelvis",
}
"""Coarse lesion type as published."""
CLASSES = {
    "bone": "bone_tumour",
    "abdomen": "abdominal_lesion",
    "mediastinum": "mediastinal_mass",
    "liver": "liver_lesion",
    "lung": "lung_lesion",
    "kidney": "kidney_mass",
    "soft tissue": "soft_tissue_lesion",
    "pelvis": "pelvic_lesion",
}
"""Type to the vocabulary key whose names include it ("bone lesion", "kidney lesion"); an unknown one names nothing."""
HU_OFFSET = 32768
"""Subtracted from a value of the 16-bit PNG to give Hounsfield units."""
CHEST = frozenset({"lung_lesion", "mediastinal_mass"})
TABLE = "DL_info.csv"
COLUMNS = (
    "File_name",
    "Patient_index",
    "Bounding_boxes",
    "Coarse_lesion_type",
    "Possibly_noisy",
    "Spacing_mm_px_",
    "Image_size",
    "DICOM_windows",
    "Train_Val_Test",
)
_PARTS = {"1": "train", "2": "valid", "3": "test"}


class DeepLesion:
    """Importer of `DL_info.csv` with the key slices in `Images_png/<series>/<slice>.png`.

    Readers marked what they measured in their routine, not everything: exhaustive for nothing. The window that the
    reader saw, in Hounsfield units, becomes the attribute `DICOM_windows`; `hu_offset` is what a PNG value exceeds
    Hounsfield units by. Only slices with a lesion of lung or mediastinum are taken for chest CT; the table does not
    tell what else a slice shows.
    """

    name = "deeplesion"
    title = "DeepLesion: DL_info.csv, Images_png/<series>/<slice>.png (16 bits)"

    def __call__(self, source: Path, options: ImportOptions | None = None) -> Import:
        """Read the data set.

        Args:
            source: the table, or the folder that holds it.
            options: what the user says of it.

        Raises:
            InputNotFoundError: if there is no table.
            DataSetError: if it has other columns.
        """
        options = options or ImportOptions()
        table = source if source.is_file() else source / TABLE
        images = by_image(read_table(table, COLUMNS), "File_name")
        files, names = ImageFiles(table.parent, options), ClassNames(options, CLASSES)
        records: list[ImageRecord] = []
        issues: list[Issue] = []
        for file_name, rows in images.items():
            record_id = Path(file_name).stem
            size = _numbers(rows[0]["Image_size"])
            published = (int(size[0]), int(size[1])) if len(size) == 2 else None
            series, _, number = file_name.rpartition("_")
            folders = ("",) if options.images else ("Images_png/", "images/", "")
            wanted = tuple(f"{one}{name}" for one in folders for name in (f"{series}/{number}", file_name))
            image, found = files.look(wanted, record_id, published)
            issues += found
            if image is None:
                issues += rejected_with_image(record_id, len(rows))
                continue
            regions, found = _regions(rows, image, record_id, names)
            issues += found
            records.append(_record(record_id, rows[0], image, regions, still_exhaustive(options, found)))
        published_types = Counter(_type(row) for rows in images.values() for row in rows)
        count = Published(len(images), published_types.total(), published_types)
        return Import(tuple(records), tuple(issues), count)


def _type(row: Row) -> str:
    return TYPES.get(row["Coarse_lesion_type"], row["Coarse_lesion_type"])


def _numbers(text: str) -> list[float]:
    return [decimal(word) for word in text.split(",")] if text else []


def _regions(
    rows: list[Row], image: SourceImage, record_id: str, names: ClassNames
) -> tuple[list[Region], list[Issue]]:
    regions: list[Region] = []
    issues: list[Issue] = []
    for row in rows:
        concept = names.key(_type(row)) if _type(row) in CLASSES else None
        if concept is None:
            issues.append(Issue(record_id, "unknown_class", _type(row), "rejected", boxes=1))
            continue
        corners = _numbers(row["Bounding_boxes"])
        if len(corners) != 4:
            detail = f"{concept}: {row['Bounding_boxes']!r} are no four numbers"
            issues.append(Issue(record_id, "degenerate_box", detail, "rejected", boxes=1, concept=concept))
            continue
        x1, y1, x2, y2 = corners
        box, issue = bounded_box((x1, y1, x2, y2), image.stored.columns, image.stored.rows, record_id, concept)
        issues += [issue] if issue else []
        if box is not None:
            noisy = row["Possibly_noisy"] == "1"
            regions.append(Region(concept=concept, box=box, source="DeepLesion", uncertain=noisy))
    return regions, issues


def _record(
    record_id: str, row: Row, image: SourceImage, regions: list[Region], exhaustive_for: frozenset[str]
) -> ImageRecord:
    spacing = _numbers(row["Spacing_mm_px_"])
    is_chest = any(region.concept in CHEST for region in regions)
    return image.record(
        record_id,
        regions,
        patient_id=row["Patient_index"],
        domain=Domain.CHEST_CT if is_chest else Domain.OTHER,
        dataset=DeepLesion.name,
        exhaustive_for=exhaustive_for,
        part=_PARTS.get(row["Train_Val_Test"]),
        spacing_mm=(spacing[1], spacing[0]) if len(spacing) >= 2 and min(spacing[:2]) > 0 else None,
        attributes={"DICOM_windows": row["DICOM_windows"], "hu_offset": str(HU_OFFSET)},
    )


IMPORTER = DeepLesion()
