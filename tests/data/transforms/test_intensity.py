"""Windows move around the one that the source names; gamma and contrast are for what has no window."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from medground.data.transforms.frames import Framed, shown, view_from
from medground.data.transforms.intensity import RandIntensityd, RandWindowd, WindowConfig
from medground.data.transforms.view import items_of, view_of
from medground.dicom.lut import Window
from medground.schema.anatomy import Domain
from medground.schema.box import Box
from medground.schema.record import ImageRecord, Region
from tests.data.made_records import disc_record

SIZE = 128


@pytest.fixture
def slice_record(tmp_path: Path) -> ImageRecord:
    """A slice in Hounsfield units, from -1000 to 1000 across, that names its window."""
    hu = np.tile(np.linspace(-1000, 1000, SIZE).astype(np.int32), (SIZE, 1))
    Image.fromarray((hu + 32768).astype(np.uint16)).save(tmp_path / "slice.png")
    return ImageRecord(
        record_id="slice",
        patient_id="slice",
        path=tmp_path / "slice.png",
        columns=SIZE,
        rows=SIZE,
        domain=Domain.CHEST_CT,
        dataset="made",
        regions=(Region(concept="nodule", box=Box(x1=20, y1=20, x2=40, y2=40), source="made"),),
        attributes={"hu_offset": "32768", "DICOM_windows": "-500,300"},
    )


def test_drawn_windows_lie_around_the_named_one(slice_record: ImageRecord) -> None:
    record = slice_record
    view = view_from(record, Framed(SIZE)(record))
    assert view.window == Window(-100, 800, "LINEAR_EXACT")
    drawn = []
    change = RandWindowd(WindowConfig(), SIZE)
    for seed in range(60):
        change.set_random_state(seed=seed)
        out = view_of(change(items_of(view)))
        assert out.is_shown
        assert out.window is not None
        drawn.append((out.window.centre, out.window.width))
    centre, width = np.array(drawn).T
    assert np.mean(centre) == pytest.approx(-100, abs=20)
    assert np.std(centre) == pytest.approx(48, rel=0.3)
    assert np.std(np.log(width / 800)) == pytest.approx(0.15, rel=0.3)


def test_gamma_and_contrast_are_for_films_alone(slice_record: ImageRecord, tmp_path: Path) -> None:
    change = RandIntensityd()
    change.set_random_state(seed=1)
    record = slice_record
    slice_ = items_of(shown(view_from(record, Framed(SIZE)(record)), Window(-600, 1500), SIZE))
    assert torch.equal(change(slice_)["image"], slice_["image"])
    film = disc_record(tmp_path, "film", [("nodule", 60, 90, 12)])
    items = items_of(view_from(film, Framed(SIZE)(film)))
    changed = change(items)
    assert not torch.equal(changed["image"], items["image"])
    assert changed["image"].abs().max() <= 3
    assert torch.equal(changed["boxes_xyxy_px"], items["boxes_xyxy_px"])
