from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from medground.data.importers import ImportOptions, by_name

DIRECTIONS = {"axial": np.eye(3), "flipped": np.diag([-1.0, -1.0, 1.0])}


def write_volume(path: Path, direction: np.ndarray) -> SimpleITK.Image:
    image = SimpleITK.Image(60, 50, 20, SimpleITK.sitkInt16)
    image.SetSpacing((0.7, 0.8, 2.5))
    image.SetOrigin((-20.0, 30.0, -100.0))
    image.SetDirection(direction.ravel().tolist())
    path.parent.mkdir(parents=True, exist_ok=True)
    SimpleITK.WriteImage(image, str(path))
    return image


@pytest.fixture
def source(tmp_path: Path) -> Path:
    rows = []
    for name, direction in DIRECTIONS.items():
        image = write_volume(tmp_path / "subset0" / f"{name}.mhd", direction)
        for index, diameter in (((30.0, 25.0, 9.0), 12.0), ((10.0, 12.0, 4.5), 1.0)):
            x, y, z = image.TransformContinuousIndexToPhysicalPoint(index)
            rows.append(f"{name},{x},{y},{z},{diameter}")
    rows += ["axial,900,900,900,5", "axial,0,0,nan,5", "gone,1,2,3,4"]
    (tmp_path / "annotations.csv").write_text("seriesuid,coordX,coordY,coordZ,diameter_mm\n" + "\n".join(rows) + "\n")
    return tmp_path


@pytest.mark.parametrize("name", sorted(DIRECTIONS))
def test_a_ball_is_the_same_voxels_as_in_simpleitk(source: Path, name: str) -> None:
    imported = by_name("luna16")(source)
    records = {r.frame - 1: r for r in imported.records if r.patient_id == name}
    image = SimpleITK.ReadImage(str(source / "subset0" / f"{name}.mhd"))
    centre = np.array(image.TransformContinuousIndexToPhysicalPoint((30.0, 25.0, 9.0)))
    reached = {index for index, record in records.items() for r in record.regions if r.lesion_id == f"{name}-1"}
    assert reached == {7, 8, 9, 10, 11}  # 6 mm either way at 2.5 mm
    for index in reached:
        (box,) = (r.box for r in records[index].regions if r.lesion_id == f"{name}-1")
        # The four edges of the box, half-way along the other axis, lie on the surface of the ball.
        for x, y in ((box.x1, 25.5), (box.x2, 25.5), (30.5, box.y1), (30.5, box.y2)):
            point = np.array(image.TransformContinuousIndexToPhysicalPoint((x - 0.5, y - 0.5, float(index))))
            assert np.linalg.norm(point - centre) == pytest.approx(6.0, abs=1e-6)
    # A ball of 1 mm between two slices still has its box, on the nearer one.
    small = [(i, r.box) for i, record in records.items() for r in record.regions if r.lesion_id == f"{name}-2"]
    assert [index for index, _ in small] == [4]
    assert small[0][1].width_px == pytest.approx(1 / 0.7)
    assert records[9].columns_toward_left == (1 if name == "axial" else -1)
    assert records[9].spacing_mm == (0.8, 0.7)


def test_dirt_and_account(source: Path) -> None:
    imported = by_name("luna16")(source)
    assert Counter((issue.record_id, issue.kind) for issue in imported.issues) == {
        ("axial", "outside_box"): 1,
        ("axial", "degenerate_box"): 1,
        ("gone", "missing_image"): 1,
        ("gone", "box_without_image"): 1,
    }
    assert imported.published.boxes == imported.kept + imported.lost == 7
    raw = source / "subset0" / "flipped.raw"
    raw.write_bytes(raw.read_bytes()[:-10])
    assert by_name("luna16")(source).count("truncated_image") == 1
    without = by_name("luna16")(source, ImportOptions(with_images=False))
    assert {record.path for record in without.records} == {None}
    assert without.kept == 4


def test_a_rejected_nodule_may_lie_on_any_slice_of_its_scan(source: Path) -> None:
    found = by_name("luna16")(source, ImportOptions(exhaustive_for=frozenset({"nodule", "mass"}))).records
    assert {(record.patient_id, record.exhaustive_for) for record in found} == {
        ("axial", frozenset({"mass"})),
        ("flipped", frozenset({"nodule", "mass"})),
    }


@pytest.mark.real_data
def test_counts_equal_the_published_file(shared_data: Path) -> None:
    source = shared_data / "annotation_formats" / "luna16"
    lines = list(csv.reader((source / "annotations.csv").read_text().splitlines()))[1:]
    imported = by_name("luna16")(source, ImportOptions(with_images=False))
    assert (imported.published.images, imported.published.boxes) == (len({row[0] for row in lines}), len(lines))
    assert imported.published.boxes == imported.lost == 1117  # world millimetres, and no scan is here
    assert imported.count("missing_image") == 568
