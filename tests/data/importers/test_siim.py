from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from medground.data.importers import ImportOptions, by_name
from medground.data.importers.run_length import mask_of, regions_of
from tests.dicom.conftest import dicom_file


def encode(mask: np.ndarray) -> str:
    """The published encoder, written out slowly: down the columns, gaps since the end of the last run."""
    runs, last, position = [], 0, 0
    flat = mask.T.reshape(-1)
    while position < len(flat):
        if flat[position]:
            end = position
            while end < len(flat) and flat[end]:
                end += 1
            runs += [position - last, end - position]
            last = position = end
        else:
            position += 1
    return " ".join(map(str, runs))


def test_masks_come_back() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        mask = rng.random((17, 23)) < 0.3
        assert np.array_equal(mask_of(encode(mask), 23, 17), mask)
    for bad in ("1", "-3 4", "x 1", "0 400"):
        with pytest.raises(ValueError):  # noqa: PT011 - int() and our own sentences alike
            mask_of(bad, 17, 23)


def test_regions_are_bounds_in_pixel_edges() -> None:
    mask = np.zeros((10, 20), bool)
    mask[2:4, 3:8] = True
    mask[4, 8] = True  # joined by a corner
    mask[9, 19] = True
    assert regions_of(mask) == [((3, 2, 9, 5), 11), ((19, 9, 20, 10), 1)]
    assert regions_of(np.zeros((3, 3), bool)) == []


@pytest.fixture
def source(tmp_path: Path) -> Path:
    mask = np.zeros((1024, 1024), bool)
    mask[100:150, 200:260] = True
    mask[500:550, 600:660] = True
    mask[0, 0] = True
    rows = [f"u1, {encode(mask)}", "u2, -1", "u3, 1 2 3", "gone, 5 20"]
    (tmp_path / "train-rle.csv").write_text("ImageId, EncodedPixels\n" + "\n".join(rows) + "\n", encoding="utf-8")
    for name in ("u1", "u2", "u3"):
        folder = tmp_path / "dicom-images-train" / f"study-{name}" / "series"
        folder.mkdir(parents=True)
        (folder / f"{name}.dcm").write_bytes(dicom_file(np.zeros((1024, 1024), np.uint8)))
    return tmp_path


def test_records_and_dirt(source: Path) -> None:
    imported = by_name("siim")(source)
    one, two, three = imported.records
    assert [r.box.xyxy_px for r in one.regions] == [(200, 100, 260, 150), (600, 500, 660, 550)]
    assert (two.regions, three.regions, two.exhaustive_for) == ((), (), {"pneumothorax"})
    # A speck and a mask that cannot be read may both be one.
    assert one.exhaustive_for == three.exhaustive_for == frozenset()
    assert Counter((issue.record_id, issue.kind) for issue in imported.issues) == {
        ("u1", "speck"): 1,
        ("u3", "bad_mask"): 1,
        ("gone", "missing_image"): 1,
        ("gone", "box_without_image"): 1,
    }
    assert imported.published.boxes == imported.kept + imported.lost == 5
    assert len(by_name("siim")(source, ImportOptions(with_images=False)).records) == 4
