from __future__ import annotations

import numpy as np
import pytest

from medground.data.phantom.anatomy import LEFT
from medground.data.phantom.chest_ct import nodule_ct
from medground.data.phantom.ct_anatomy import HEIGHT_CM, draw_patient, lung_inside
from medground.data.phantom.ct_nodules import CtNodule, draw_nodules
from medground.data.phantom.ct_volume import PhantomVolume
from medground.data.phantom.grid import Grid
from medground.schema.anatomy import Side
from medground.schema.errors import UsageError

SIZE = 256
LEVELS = np.linspace(-0.06, 1.04, 96)


@pytest.fixture(scope="module")
def volume() -> PhantomVolume:
    return nodule_ct(41, slices=96, count=5, diameters_mm=(3.0, 8.0, 14.0, 20.0, 30.0))


def _many() -> list[tuple[int, CtNodule]]:
    found = []
    for seed in range(60):
        patient = draw_patient(np.random.default_rng([seed, 51]))
        found += [(seed, n) for n in draw_nodules(patient, LEVELS, 4, np.random.default_rng([seed, 52]))]
    return found


def test_same_seed_gives_the_same_volume_and_the_nodules_that_were_asked_for(volume: PhantomVolume) -> None:
    again = nodule_ct(41, slices=96, count=5, diameters_mm=(3.0, 8.0, 14.0, 20.0, 30.0))
    assert again.hu.tobytes() == volume.hu.tobytes()
    assert [region.nodule.diameter_mm for region in volume.regions3d if region.nodule] == [3.0, 8.0, 14.0, 20.0, 30.0]
    assert [region.lesion_id for region in volume.regions3d] == [f"41-{place}" for place in range(1, 6)]


def test_boxes_and_voxels_are_those_of_an_independent_count_of_the_ball(volume: PhantomVolume) -> None:
    _, row_mm, column_mm = volume.spacing_mm
    slices, rows, columns = volume.hu.shape
    z = (np.linspace(-0.06, 1.04, slices) * HEIGHT_CM * 10)[:, None, None]
    y = ((np.arange(rows) + 0.5 - rows / 2) * row_mm)[:, None]
    x = (np.arange(columns) + 0.5 - columns / 2) * column_mm
    checked = 0
    for region in volume.regions3d:
        nodule = region.nodule
        assert nodule is not None
        if nodule.surface != "smooth" or nodule.attachment == "pleura":
            continue
        away = (x - 10 * nodule.x) ** 2 + (y - 10 * nodule.y) ** 2 + (z - 10 * HEIGHT_CM * nodule.level) ** 2
        ball = away < (nodule.diameter_mm / 2) ** 2
        assert sum(region.voxels.values()) == pytest.approx(ball.sum(), rel=0.02, abs=2)
        numbers = np.flatnonzero(ball.any(axis=(1, 2)))
        assert sorted(region.boxes) == numbers.tolist()
        deep, high, wide = region.extent
        assert (deep.start, deep.stop) == (numbers[0], numbers[-1] + 1)
        for span, axes in ((high, (0, 2)), (wide, (0, 1))):
            hit = np.flatnonzero(ball.any(axis=axes))
            assert abs(span.start - hit[0]) <= 1
            assert abs(span.stop - hit[-1] - 1) <= 1
        checked += 1
    assert checked >= 2


def test_a_nodule_changes_the_volume_where_its_boxes_are_and_nowhere_else(volume: PhantomVolume) -> None:
    healthy = nodule_ct(41, slices=96, count=0).hu.astype(np.int32)
    change = np.abs(volume.hu - healthy)
    assert nodule_ct(41, slices=96, count=0).regions3d == ()
    rest = change.copy()
    for region in volume.regions3d:
        for number, box in region.boxes.items():
            rows, columns = slice(int(box.y1), int(box.y2)), slice(int(box.x1), int(box.x2))
            assert change[number, rows, columns].max() > 80
            rest[number, max(rows.start - 3, 0) : rows.stop + 3, max(columns.start - 3, 0) : columns.stop + 3] = 0
        for number in region.touched:
            rest[number] = 0
    # The tip of a spicule thinner than a voxel fills none by half, and so lies outside.
    voxels = sum(sum(region.voxels.values()) for region in volume.regions3d)
    assert (rest > 60).sum() < 0.001 * voxels
    assert rest.max() < 200


def test_a_solid_ball_measures_its_diameter() -> None:
    for diameter in (6.0, 12.0, 24.0):
        for seed in range(40):
            patient = draw_patient(np.random.default_rng([seed, 51]))
            rng = np.random.default_rng([seed, 52])
            (nodule,) = draw_nodules(patient, LEVELS, 1, rng, (diameter,))
            if nodule.surface == "smooth" and nodule.attachment == "none":
                break
        fine = Grid(400, 0.1)
        lungs = {nodule.side: lung_inside(patient, nodule.side, nodule.level, fine)}
        area = (nodule.share(patient, nodule.level, fine, lungs) > 0.5).sum() * 0.01
        assert 20 * np.sqrt(area / np.pi) == pytest.approx(diameter, rel=0.04)


def test_looks_attachments_and_sizes_are_all_drawn_and_true() -> None:
    found = _many()
    assert {n.attachment for _, n in found} == {"none", "vessel", "pleura"}
    assert {n.composition for _, n in found} == {"solid", "calcified", "ground-glass"}
    assert {n.surface for _, n in found} == {"smooth", "spiculated"}
    sizes = np.array([n.diameter_mm for _, n in found])
    assert 3 <= sizes.min() < 4
    assert 22 < sizes.max() <= 30
    assert 0.35 < np.mean(sizes < 9.5) < 0.65  # as often per octave: the middle is the geometric mean
    for _, nodule in found:
        assert len(nodule.spicules) > 0 or nodule.surface == "smooth"
        assert nodule.surface in nodule.words
        assert nodule.composition in nodule.words
        low, high = {"solid": (0, 100), "calcified": (200, 700), "ground-glass": (-700, -400)}[nodule.composition]
        assert low < nodule.hu < high
        assert nodule.patient_side is (Side.LEFT if nodule.side == LEFT else Side.RIGHT)
        assert (nodule.x > 0) == (nodule.side == LEFT)


def test_nodules_touch_what_they_are_said_to_touch() -> None:
    grid = Grid(400, 0.1)
    for seed, nodule in _many():
        patient = draw_patient(np.random.default_rng([seed, 51]))
        inside = lung_inside(patient, nodule.side, nodule.level, grid)
        depth = inside[int((nodule.y + 20) / 0.1), int((nodule.x + 20) / 0.1)]
        if nodule.attachment == "pleura":
            assert depth < nodule.radius
        else:
            assert depth > nodule.radius - 0.2
        gaps = []
        for x1, y1, l1, x2, y2, l2, radius in patient.vessels.tolist():
            t = (nodule.level - l1) / (l2 - l1)
            if 0 <= t <= 1:
                away = np.hypot(x1 + t * (x2 - x1) - nodule.x, y1 + t * (y2 - y1) - nodule.y)
                gaps.append(away - radius * (1 - 0.6 * t) - nodule.radius)
        if nodule.attachment == "vessel":
            assert min(gaps) < 0
        if nodule.attachment == "none":
            assert min(gaps) > 0


def test_nodules_of_one_patient_keep_apart() -> None:
    by_seed: dict[int, list[CtNodule]] = {}
    for seed, nodule in _many():
        by_seed.setdefault(seed, []).append(nodule)
    for nodules in by_seed.values():
        for i, a in enumerate(nodules):
            for b in nodules[:i]:
                away = np.hypot(np.hypot(a.x - b.x, a.y - b.y), (a.level - b.level) * HEIGHT_CM)
                assert away > a.radius + b.radius


def test_refuses_what_is_no_nodule_or_has_no_room() -> None:
    with pytest.raises(UsageError, match=r"nodule of 31 mm"):
        nodule_ct(1, slices=8, diameters_mm=(31.0,))
    with pytest.raises(UsageError, match="8 slices of 128 pixels"):
        nodule_ct(1, slices=8, size_px=128)
    with pytest.raises(UsageError, match="no room for 200"):
        nodule_ct(1, slices=8, count=200, diameters_mm=(30.0,) * 200)
