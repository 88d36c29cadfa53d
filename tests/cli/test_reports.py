"""Presentation states and segmentations of a whole run, over a reader of drawn blobs."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from click.testing import Result
from typer.testing import CliRunner

from medground.cli.ground import write_reports
from medground.cli.main import create_app
from medground.cli.output import OutputFolder
from medground.dicom.seg_read import read_seg_boxes
from medground.dicom.sr import read_sr_boxes
from medground.inference.gather import gather
from medground.inference.ground import ground
from medground.inference.request import Request
from tests.inference.blob_reader import CT, BlobReader
from tests.inference.drawn import drawn, write_ct_slice, write_dx, write_png

LEFT_NODULE, RIGHT_NODULE = (380, 100, 420, 140), (60, 200, 100, 240)


def run(*arguments: str | Path, reader: BlobReader | None = None) -> Result:
    app = create_app(lambda *_: reader or BlobReader())
    return CliRunner().invoke(app, ["ground", *map(str, arguments)])


def files(out: Path) -> list[str]:
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())


def graphics(path: Path) -> list[tuple[float, ...]]:
    """The boxes of a presentation state."""
    return [
        (*graphic.GraphicData[:2], *graphic.GraphicData[4:6])
        for annotation in pydicom.dcmread(path).GraphicAnnotationSequence
        for graphic in annotation.GraphicObjectSequence
    ]


def test_every_format(tmp_path: Path) -> None:
    film = write_dx(tmp_path / "film.dcm", drawn([LEFT_NODULE, RIGHT_NODULE]))
    out = tmp_path / "out"
    done = run(film, "--query", "nodule", "--out", out, "--format", "json,png,sr,gsps,seg")
    assert done.exit_code == 0, done.output
    assert files(out) == ["gsps/1.dcm", "overlays/1-1-1.png", "results.json", "seg/1.dcm", "sr/1.dcm"]
    reported = [box.box_xyxy_px for box in read_sr_boxes(pydicom.dcmread(out / "sr" / "1.dcm"))]
    assert len(reported) == 2
    assert sorted(graphics(out / "gsps" / "1.dcm")) == sorted(reported)
    segments = [box.box_xyxy_px for box in read_seg_boxes(pydicom.dcmread(out / "seg" / "1.dcm"))]
    for segment, box in zip(segments, reported, strict=True):
        assert segment == pytest.approx(box, abs=0.5)
    again = run(film, "--query", "pneumothorax", "--out", out, "--format", "json,gsps,seg")
    assert again.exit_code == 0, again.output
    assert files(out) == ["results.json"]  # nothing found, nothing drawn; of the run before nothing is left


def test_what_is_written_of_a_volume_a_film_and_a_picture(tmp_path: Path) -> None:
    for number in range(5):
        lesion = [(100, 100, 140, 140)] if number in (1, 2, 3) else []
        write_ct_slice(tmp_path / "ct" / f"{number}.dcm", drawn(lesion), z_mm=2.5 * number, instance=number + 1)
    write_png(tmp_path / "a.png", drawn([LEFT_NODULE]))
    answered = ground(gather([tmp_path / "ct", tmp_path / "a.png"]), Request(("nodule",)), BlobReader(domain=CT))
    out = tmp_path / "out"
    with OutputFolder(out) as folder:
        result = write_reports(answered, folder, ("gsps", "seg", "json"))
    (number,) = (n for n, study in enumerate(result.studies, start=1) if study.study_instance_uid)
    assert files(out) == [f"gsps/{number}.dcm", f"seg/{number}.dcm"]
    (finding,) = result.studies[number - 1].answers[0].findings
    assert finding.extent
    on_slices = sorted(one.sop_instance_uid for one in finding.extent.slices)
    boxes = read_seg_boxes(pydicom.dcmread(out / "seg" / f"{number}.dcm"))
    assert sorted(box.sop_instance_uid for box in boxes) == on_slices
    assert {box.segment for box in boxes} == {1}
    assert len(graphics(out / "gsps" / f"{number}.dcm")) == len(on_slices)
    assert result.studies == answered.result.studies


def test_several_states_of_one_study(tmp_path: Path) -> None:
    """Two polarities need two presentation states, and what an earlier run left of them goes."""
    one = write_dx(tmp_path / "in" / "a.dcm", drawn([LEFT_NODULE]))
    negative = 4095 - drawn([LEFT_NODULE])
    write_dx(tmp_path / "in" / "b.dcm", negative, instance=2, PhotometricInterpretation="MONOCHROME1")
    out = tmp_path / "out"
    both = ground(gather([tmp_path / "in"]), Request(("nodule",)), BlobReader())
    assert len(both.result.studies[0].answers[0].findings) == 2
    with OutputFolder(out) as folder:
        write_reports(both, folder, ("gsps", "seg"))
    assert files(out) == ["gsps/1-2.dcm", "gsps/1.dcm", "seg/1.dcm"]
    with OutputFolder(out) as folder:
        write_reports(ground(gather([one]), Request(("nodule",)), BlobReader()), folder, ("gsps",))
    assert files(out) == ["gsps/1.dcm"]
