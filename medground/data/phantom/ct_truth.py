"""The truth of a CT phantom: a record for each slice, and the series as DICOM with its lesions in JSON."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from medground.data.phantom.chest_ct import CT_FINDINGS
from medground.data.phantom.ct_volume import PhantomVolume, VolumeRegion, level_of, zone_of
from medground.data.phantom.dicom_study import write_ct_study
from medground.schema.anatomy import Domain
from medground.schema.record import ImageRecord, Region


def slice_records(volume: PhantomVolume, *, part: str | None = None) -> list[ImageRecord]:
    """One record for each slice, the regions of one lesion tied by `lesion_id`.

    Args:
        volume: the volume.
        part: of the data set.

    Returns:
        Records without a file, `frame` counting the slices from 1, lowest first. A slice is exhaustive for every
        finding but those that reach it too little to be boxed.
    """
    slices, rows, columns = volume.hu.shape
    step_mm, row_mm, column_mm = volume.spacing_mm
    patient = f"phantom-ct-{volume.seed}"
    records = []
    for number in range(slices):
        grazed = {region.concept for region in volume.regions3d if number in region.touched}
        records.append(
            ImageRecord(
                record_id=f"{patient}-{number + 1:03d}",
                patient_id=patient,
                frame=number + 1,
                columns=columns,
                rows=rows,
                domain=Domain.CHEST_CT,
                dataset="phantom",
                regions=tuple(_region(volume, region, number) for region in volume.regions3d if number in region.boxes),
                exhaustive_for=frozenset(CT_FINDINGS) - grazed,
                synthetic=True,
                part=part,
                columns_toward_left=1,
                spacing_mm=(row_mm, column_mm),
                attributes={"slices": str(slices), "slice_spacing_mm": f"{step_mm:.4f}"},
            )
        )
    return records


def write_ct_truth(volume: PhantomVolume, folder: Path, *, part: str | None = None) -> list[ImageRecord]:
    """Write the series as DICOM, with `truth.json` beside it.

    Args:
        volume: the volume.
        folder: made if absent.
        part: of the data set.

    Returns:
        A record for each file, lowest slice first.
    """
    paths = write_ct_study(volume, folder)
    truth = {
        "seed": volume.seed,
        "synthetic": True,
        "spacing_mm": volume.spacing_mm,
        "shape": volume.hu.shape,
        "files": [path.name for path in paths],
        "lesions": [_lesion(volume, region) for region in volume.regions3d],
    }
    (folder / "truth.json").write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")
    return [
        record.model_copy(update={"path": path, "frame": 1, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()})
        for record, path in zip(slice_records(volume, part=part), paths, strict=True)
    ]


def _region(volume: PhantomVolume, region: VolumeRegion, number: int) -> Region:
    return Region(
        concept=region.concept,
        box=region.boxes[number],
        source="phantom",
        side=region.side,
        zone=zone_of(level_of(number, volume.hu.shape[0])),
        appearance=region.appearance,
        lesion_id=region.lesion_id,
    )


def _lesion(volume: PhantomVolume, region: VolumeRegion) -> dict[str, Any]:
    """One lesion for the JSON; voxel ranges are 0-based and end after the last."""
    step, row, column = volume.spacing_mm
    count = sum(region.voxels.values())
    known: dict[str, Any] = {
        "lesion_id": region.lesion_id,
        "concept": region.concept,
        "side": region.side.value,
        "appearance": region.appearance,
        "extent_voxels": [[part.start, part.stop] for part in region.extent] if region.boxes else None,
        "voxels": count,
        "volume_mm3": count * step * row * column,
        "boxes": {str(number): box.xyxy_px for number, box in sorted(region.boxes.items())},
    }
    nodule = region.nodule
    if nodule is not None:
        slices = volume.hu.shape[0]
        level = (nodule.level - level_of(0, slices)) / (level_of(slices - 1, slices) - level_of(0, slices))
        known |= {
            "diameter_mm": nodule.diameter_mm,
            "attachment": nodule.attachment,
            # DICOM patient coordinates, x to the left, y to the back, z to the head (PS3.3 C.7.6.2).
            "centre_lps_mm": [10 * nodule.x, 10 * nodule.y, level * (slices - 1) * step],
        }
    return known
