from __future__ import annotations

import numpy as np
import pytest
from pydicom import dcmread

from medground.data.phantom.chest_radiograph import chest_radiograph
from medground.data.phantom.dicom_study import write_radiograph_study
from medground.dicom.image import open_image
from pipelines.otherwise import SEEDS, _fresh, main, variants


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    image = chest_radiograph(SEEDS, size_px=128)
    return write_radiograph_study(image, tmp_path_factory.mktemp("film"), photometric="MONOCHROME2")[0]


@pytest.mark.parametrize("way", variants(), ids=lambda way: way.name)
def test_what_is_shown_is_what_was_shown_as_far_as_the_way_allows(way, film, tmp_path):
    first = open_image(film)
    path = tmp_path / "other.dcm"
    way.change(_fresh(dcmread(film))).save_as(path, enforce_file_format=True)
    other = open_image(path)
    shown, again = first.display(1), way.turn.apply(other.display(1))
    assert other.header.lossy == way.lossy
    if way.exact or other.header.patient_orientation != first.header.patient_orientation:
        assert np.array_equal(shown, again)
    else:
        assert not np.array_equal(shown, again)
        assert np.corrcoef(shown.ravel(), again.ravel())[0, 1] > 0.97


def test_every_way_is_asked_and_told(tmp_path, capsys):
    assert main(["--count", "1", "--threads", "1", "--out", str(tmp_path / "table.md")]) == 0
    text = (tmp_path / "table.md").read_text()
    assert text.count("\n| ") >= len(variants()) + 1
    assert text.strip() in capsys.readouterr().out
