from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from medground.inference.gather import gather
from medground.schema.errors import InputNotFoundError, NotAnImageError, UnreadableFileError
from tests.inference.drawn import drawn, write_ct_slice, write_dx, write_png, write_sr_like


def test_a_mixed_folder(tmp_path: Path) -> None:
    write_dx(tmp_path / "a.dcm", drawn(), study=1)
    write_dx(tmp_path / "b.dcm", drawn(), study=1, instance=2)
    write_png(tmp_path / "c.png", drawn())
    write_sr_like(tmp_path / "report.dcm")
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "broken.dcm").write_bytes(b"no dicom at all" * 20)
    gathered = gather([tmp_path])
    assert [len(study.views) for study in gathered.studies] == [2, 1]
    assert gathered.studies[0].study_instance_uid is not None
    assert gathered.studies[1].study_instance_uid is None
    assert sorted(Path(refusal.source).name for refusal in gathered.refused) == ["broken.dcm"]
    assert sorted(Path(skip.source).name for skip in gathered.skipped) == ["notes.txt", "report.dcm"]


def test_slices_of_a_ct_are_one_volume_in_the_order_of_position(tmp_path: Path) -> None:
    for z in (5.0, 0.0, 2.5):
        write_ct_slice(tmp_path / f"{z}.dcm", drawn(), z_mm=z, instance=int(9 - z))
    (study,) = gather([tmp_path]).studies
    (group,) = study.groups
    assert group.is_volume
    assert [view.plane.along_normal_mm for view in group.views if view.plane] == [0.0, 2.5, 5.0]
    # The lung window, whatever the header says: the drawn levels come back.
    np.testing.assert_allclose(group.views[0].display(), drawn(), atol=0.002)


def test_one_picture_given_twice_is_one_study(tmp_path: Path) -> None:
    first = write_png(tmp_path / "a.png", drawn([(10, 10, 20, 20)]))
    second = tmp_path / "b.png"
    shutil.copy(first, second)
    (study,) = gather([first, second]).studies
    assert study.sources == (str(first), str(second))
    assert len(study.views) == 1


def test_a_zip_holds_the_same_as_its_folder(tmp_path: Path) -> None:
    path = write_dx(tmp_path / "in" / "a.dcm", drawn([(10, 10, 20, 20)]))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(path, "deep/a.dcm")
    (inside,), (outside,) = gather([tmp_path / "a.zip"]).studies, gather([path]).studies
    assert inside.instance_keys == outside.instance_keys
    np.testing.assert_array_equal(inside.views[0].display(), outside.views[0].display())


def test_nothing_to_look_at(tmp_path: Path) -> None:
    with pytest.raises(InputNotFoundError, match="absent"):
        gather([tmp_path / "absent"])
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(NotAnImageError, match="no file"):
        gather([empty])
    (empty / "notes.txt").write_text("hello")
    with pytest.raises(NotAnImageError, match=r"notes\.txt"):
        gather([empty])
    with pytest.raises(NotAnImageError, match="report"):
        gather([write_sr_like(tmp_path / "report.dcm")])
    text = tmp_path / "text.dcm"
    text.write_text("I am a letter, not an image.\n" * 20)
    with pytest.raises(UnreadableFileError, match=r"text\.dcm"):
        gather([text])
