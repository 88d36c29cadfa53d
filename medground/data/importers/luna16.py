"""LUNA16: lung nodules as centres in world millimetres and diameters, on CT volumes in MetaImage files.

Source: Setio et al., Validation, comparison, and combination of algorithms for automatic detection of pulmonary
nodules, Medical Image Analysis 2017.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medground.data.importers.imported import (
    Import,
    ImportOptions,
    Issue,
    Published,
    rejected_with_image,
    still_exhaustive,
)
from medground.data.importers.table import Row, by_image, decimal, read_table
from medground.schema.anatomy import Domain
from medground.schema.box import Box
from medground.schema.errors import UsageError
from medground.schema.record import ImageRecord, Region

CONCEPT = "nodule"
TABLE = "annotations.csv"
COLUMNS = ("seriesuid", "coordX", "coordY", "coordZ", "diameter_mm")
_SETTLED = 0.9  # direction cosine from which columns run along the patient's left-right axis


@dataclass(frozen=True, slots=True)
class Grid:
    """The voxel grid of a volume in the patient.

    Attributes:
        size: columns, rows, slices.
        spacing_mm: along columns, rows, slices.
        origin_mm: centre of the first voxel, LPS.
        direction: (3, 3), column j is the direction of axis j, LPS.
    """

    size: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]
    direction: NDArray[np.float64]

    def to_voxel(self, point_mm: tuple[float, float, float]) -> tuple[float, float, float]:
        """Pixel edges along columns and rows and slice index (centres at whole numbers) of a point, LPS."""
        offset = np.linalg.solve(self.direction, np.subtract(point_mm, self.origin_mm)) / self.spacing_mm
        return (float(offset[0]) + 0.5, float(offset[1]) + 0.5, float(offset[2]))


class Luna16:
    """Importer of `annotations.csv` with the volumes `subset*/<series>.mhd`.

    A nodule is a ball; each slice whose plane cuts it has a record with the square around the circle of the cut, all
    under one lesion id. Only the header of a volume is read. Nodules under 3 mm and those that fewer than three of
    four readers marked are not in the table: exhaustive for nothing.
    """

    name = "luna16"
    title = "LUNA16: annotations.csv (world millimetres), subset*/<series>.mhd; a record for each slice"

    def __call__(self, source: Path, options: ImportOptions | None = None) -> Import:
        """Read the data set.

        Args:
            source: the table, or the folder that holds it.
            options: what the user says of it; without images the `.mhd` headers alone are needed.

        Raises:
            InputNotFoundError: if there is no table.
            DataSetError: if it has other columns.
            UsageError: the vocabulary has no nodule.
        """
        options = options or ImportOptions()
        if CONCEPT not in {concept.key for concept in options.vocabulary.concepts}:
            raise UsageError(f"the vocabulary has no {CONCEPT!r}, which this source marks")
        table = source if source.is_file() else source / TABLE
        scans = by_image(read_table(table, COLUMNS), "seriesuid")
        volumes = {path.stem: path for path in (options.images or table.parent).rglob("*.mhd")}
        records: list[ImageRecord] = []
        issues: list[Issue] = []
        for series, rows in scans.items():
            grid, issue = _grid(volumes.get(series), series, options.with_images)
            if issue is not None:
                issues += [issue, *rejected_with_image(series, len(rows))]
            if grid is not None:
                found, own = _slices(rows, grid, series)
                issues += found
                path = volumes[series] if options.with_images else None
                known = still_exhaustive(options, found)  # where in the scan a rejected nodule lies is not known
                records += [_record(series, index, grid, own[index], path, known) for index in sorted(own)]
        nodules = sum(len(rows) for rows in scans.values())
        return Import(tuple(records), tuple(issues), Published(len(scans), nodules, +Counter(nodule=nodules)))


def _grid(path: Path | None, series: str, with_pixels: bool) -> tuple[Grid | None, Issue | None]:
    """The grid of a volume, or why there is none."""
    if path is None:
        detail = "no .mhd of that name: world millimetres need the grid of the scan"
        return None, Issue(series, "missing_image", detail, "rejected")
    import SimpleITK  # its C++ libraries take a while to load, and only volumes need them

    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        size = reader.GetSize()
        if len(size) != 3:
            raise ValueError(f"{len(size)} dimensions")
        if with_pixels and not _has_pixels(path):
            return None, Issue(
                series, "truncated_image", f"{path.name}: the raw file is absent or cut short", "rejected"
            )
    except (RuntimeError, ValueError, OSError) as error:
        return None, Issue(series, "unreadable_image", f"{path.name}: {type(error).__name__}", "rejected")
    direction = np.array(reader.GetDirection(), dtype=np.float64).reshape(3, 3)
    return Grid((size[0], size[1], size[2]), reader.GetSpacing(), reader.GetOrigin(), direction), None


def _has_pixels(header: Path) -> bool:
    """Whether the raw file that a MetaImage header names holds as many bytes as its size needs."""
    fields = {}
    for line in header.read_bytes()[:65536].decode("latin-1").splitlines():
        name, _, value = line.partition("=")
        fields[name.strip()] = value.strip()
    raw = header.parent / Path(fields.get("ElementDataFile", "")).name
    if fields.get("ElementDataFile") == "LOCAL" or fields.get("CompressedData", "False") == "True":
        return raw.is_file() or fields.get("ElementDataFile") == "LOCAL"
    width = {"MET_SHORT": 2, "MET_USHORT": 2, "MET_UCHAR": 1, "MET_CHAR": 1, "MET_INT": 4, "MET_FLOAT": 4}
    voxels = math.prod(int(word) for word in fields.get("DimSize", "0").split())
    return raw.is_file() and raw.stat().st_size >= voxels * width.get(fields.get("ElementType", ""), 1)


def _slices(rows: list[Row], grid: Grid, series: str) -> tuple[list[Issue], dict[int, list[Region]]]:
    """Slice index to the regions of the nodules that it cuts."""
    issues: list[Issue] = []
    slices: dict[int, list[Region]] = {}
    for number, row in enumerate(rows, 1):
        x_mm, y_mm, z_mm, diameter_mm = (decimal(row[column]) for column in COLUMNS[1:])
        if not (diameter_mm > 0 and math.isfinite(x_mm + y_mm + z_mm)):
            detail = f"{CONCEPT}: centre ({x_mm}, {y_mm}, {z_mm}), diameter {diameter_mm} mm"
            issues.append(Issue(series, "degenerate_box", detail, "rejected", boxes=1, concept=CONCEPT))
            continue
        regions = dict(_cuts(grid, (x_mm, y_mm, z_mm), diameter_mm / 2, f"{series}-{number}"))
        if not regions:
            detail = f"{CONCEPT}: ({x_mm}, {y_mm}, {z_mm}) mm lies outside the scan"
            issues.append(Issue(series, "outside_box", detail, "rejected", boxes=1, concept=CONCEPT))
        for index, region in regions.items():
            slices.setdefault(index, []).append(region)
    return issues, slices


def _cuts(
    grid: Grid, centre_mm: tuple[float, float, float], radius_mm: float, lesion_id: str
) -> Iterator[tuple[int, Region]]:
    """Slice index and region of each slice whose plane cuts the ball; the nearest one where it lies between two."""
    x, y, z = grid.to_voxel(centre_mm)
    reach = radius_mm / grid.spacing_mm[2]
    first, last = math.ceil(z - reach), math.floor(z + reach)
    if first > last:
        first = last = round(z)
    for index in range(max(first, 0), min(last, grid.size[2] - 1) + 1):
        away_mm = min(abs(index - z) * grid.spacing_mm[2], radius_mm)
        # The nearest plane of a ball between two planes does not cut it: there the ball's own width stands.
        cut_mm = math.sqrt(radius_mm**2 - away_mm**2) or radius_mm
        half_x, half_y = cut_mm / grid.spacing_mm[0], cut_mm / grid.spacing_mm[1]
        x1, x2 = max(x - half_x, 0.0), min(x + half_x, float(grid.size[0]))
        y1, y2 = max(y - half_y, 0.0), min(y + half_y, float(grid.size[1]))
        if x1 < x2 and y1 < y2:
            box = Box(x1=x1, y1=y1, x2=x2, y2=y2)
            yield index, Region(concept=CONCEPT, box=box, source="LUNA16", lesion_id=lesion_id)


def _record(
    series: str, index: int, grid: Grid, regions: list[Region], path: Path | None, exhaustive_for: frozenset[str]
) -> ImageRecord:
    along = grid.direction[0, 0]
    left: Literal[1, -1] | None = None if abs(along) < _SETTLED else (1 if along > 0 else -1)
    return ImageRecord(
        record_id=f"{series}/{index + 1}",
        patient_id=series,
        path=path,
        frame=index + 1,
        columns=grid.size[0],
        rows=grid.size[1],
        domain=Domain.CHEST_CT,
        dataset=Luna16.name,
        regions=tuple(regions),
        exhaustive_for=exhaustive_for,
        columns_toward_left=left,
        spacing_mm=(grid.spacing_mm[1], grid.spacing_mm[0]),
    )


IMPORTER = Luna16()
