from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from medground.data.phantom.chest_ct import CT_FINDINGS, chest_ct, nodule_ct
from medground.data.phantom.ct_truth import slice_records, write_ct_truth
from medground.data.phantom.ct_volume import PhantomVolume
from medground.dicom.discover import discover
from medground.dicom.volume import read_volume
from medground.schema.anatomy import Domain, Zone


@pytest.fixture(scope="module")
def volume() -> PhantomVolume:
    return nodule_ct(7, size_px=192, slices=24, count=3, diameters_mm=(4.0, 25.0, 16.0))


def test_one_record_a_slice_with_every_box_and_its_lesion(volume: PhantomVolume) -> None:
    records = slice_records(volume, part="valid")
    assert [record.frame for record in records] == list(range(1, 25))
    assert {record.patient_id for record in records} == {"phantom-ct-7"}
    assert len({record.record_id for record in records}) == 24
    boxes = {(region.lesion_id, record.frame - 1): region.box for record in records for region in record.regions}
    assert boxes == {
        (region.lesion_id, number): box for region in volume.regions3d for number, box in region.boxes.items()
    }
    assert {lesion for lesion, _ in boxes} == {"7-1", "7-2", "7-3"}
    first = records[0]
    assert first.domain is Domain.CHEST_CT
    assert (first.columns_toward_left, first.rows_toward_feet, first.part) == (1, None, "valid")
    assert first.spacing_mm == volume.spacing_mm[1:]
    assert float(first.attributes["slice_spacing_mm"]) == pytest.approx(volume.spacing_mm[0], abs=1e-4)


def test_zones_follow_the_slices_from_the_bases_up(volume: PhantomVolume) -> None:
    order = [Zone.LOWER, Zone.MIDDLE, Zone.UPPER]
    zones = [order.index(r.zone) for record in slice_records(volume) for r in record.regions if r.zone is not None]
    assert zones == sorted(zones)


def test_a_slice_that_a_lesion_only_grazes_is_not_exhaustive_for_it() -> None:
    grazed = 0
    for seed in range(3):
        small = chest_ct(seed, size_px=128, slices=24, findings=["nodule", "pneumothorax"])
        for number, record in enumerate(slice_records(small)):
            reached = {region.concept for region in small.regions3d if number in region.touched}
            assert record.exhaustive_for == frozenset(CT_FINDINGS) - reached
            grazed += len(reached)
            assert not any(number in region.touched and number in region.boxes for region in small.regions3d)
    assert grazed > 0


def test_series_and_truth_on_disk_are_the_volume(volume: PhantomVolume, tmp_path: Path) -> None:
    records = write_ct_truth(volume, tmp_path)
    for record, drawn in zip(records, slice_records(volume), strict=True):
        assert record.path is not None
        assert record.frame == 1  # a file to a slice
        assert record.sha256 == hashlib.sha256(record.path.read_bytes()).hexdigest()
        assert record.regions == drawn.regions
    read = read_volume(discover([tmp_path]).studies[0].series[0])
    assert np.array_equal(read.voxels_SRC, volume.hu.astype(np.float32))
    truth = json.loads((tmp_path / "truth.json").read_text(encoding="utf-8"))
    assert truth["files"] == [record.path.name for record in records if record.path]
    step, row_mm, column_mm = truth["spacing_mm"]
    slices, rows, columns = truth["shape"]
    for lesion, region in zip(truth["lesions"], volume.regions3d, strict=True):
        assert region.nodule is not None
        assert lesion["diameter_mm"] == region.nodule.diameter_mm
        assert lesion["volume_mm3"] == pytest.approx(sum(region.voxels.values()) * step * row_mm * column_mm)
        x, y, z = lesion["centre_lps_mm"]
        place = (z / step, (y / row_mm) + (rows - 1) / 2, (x / column_mm) + (columns - 1) / 2)
        for centre, (first, stop) in zip(place, lesion["extent_voxels"], strict=True):
            assert first - 1 <= centre <= stop
        assert lesion["boxes"].keys() == {str(number) for number in region.boxes}
    assert slices == len(records)
