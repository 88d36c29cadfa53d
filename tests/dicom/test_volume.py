"""Volumes: voxels, order, what is left out, errors by slice, memory, and geometry as SimpleITK has it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from medground.dicom.discover import discover
from medground.dicom.geometry import Plane
from medground.dicom.image import open_image
from medground.dicom.limits import Limits
from medground.dicom.series import Series
from medground.dicom.volume import Volume, read_frames, read_volume
from medground.schema.errors import DecodeError, LimitError, UnreadableFileError, UsageError

Make = Callable[..., bytes]
ALONG_X, ALONG_Y = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)


def _pixels(number: int, kind: type = np.uint16) -> NDArray[Any]:
    return np.random.default_rng(number).integers(0, 4096, (34, 40)).astype(kind)


def _write_stack(folder: Path, make_file: Make, places: list[float], **elements: Any) -> None:
    """A CT slice to each place along the normal (0, 0, 1); file names run against the places."""
    for number, z in enumerate(places):
        own = {
            "Modality": "CT",
            "SOPInstanceUID": f"1.2.9.{number}",
            "InstanceNumber": number + 1,
            "FrameOfReferenceUID": "1.2.7",
            "ImagePositionPatient": [-5, -6, z],
            "ImageOrientationPatient": [*ALONG_X, *ALONG_Y],
            "PixelSpacing": [0.7, 0.8],
            "RescaleSlope": 1,
            "RescaleIntercept": -1024,
        }
        content = make_file(_pixels(number), **(own | elements))
        (folder / f"{len(places) - number:03}.dcm").write_bytes(content)


def _series(folder: Path) -> Series:
    return discover([folder]).studies[0].series[0]


@pytest.mark.parametrize(
    "syntax",
    [
        ExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
        RLELossless,
        JPEGLSLossless,
        JPEG2000Lossless,
    ],
)
@pytest.mark.parametrize("threads", [None, 1, 5])
def test_voxels_are_modality_values_in_order(tmp_path: Path, make_file: Make, syntax: str, threads: int | None) -> None:
    places = [9.0, 3.0, 6.0, 0.0]
    _write_stack(tmp_path, make_file, places, syntax=syntax)
    volume = read_volume(_series(tmp_path), threads=threads)
    expected = np.stack([_pixels(number).astype(np.float64) - 1024 for number in (3, 1, 2, 0)])
    assert volume.voxels_SRC.dtype == np.float32
    assert np.array_equal(volume.voxels_SRC, expected)
    assert volume.spacing_mm == 3
    assert volume.frame_of_reference_uid == "1.2.7"
    assert volume.planes[1] == Plane((-5, -6, 3), (*ALONG_X, *ALONG_Y), (0.7, 0.8))
    assert volume.instances == (("1.2.9.3", 1), ("1.2.9.1", 1), ("1.2.9.2", 1), ("1.2.9.0", 1))
    assert volume.warnings == ()


@pytest.mark.parametrize(("slope", "intercept"), [(1, -1024), (2, 5), (0.123456789, -0.1), (300, 1e7)])
@pytest.mark.parametrize("signed", [False, True])
def test_values_are_rounded_once(tmp_path: Path, make_file: Make, slope: float, intercept: float, signed: bool) -> None:
    kind = np.int16 if signed else np.uint16
    ends = np.iinfo(kind)
    pixels = np.concatenate([_pixels(1, kind).ravel(), [ends.min, ends.max] * 20]).astype(kind).reshape(35, 40)
    for number in range(2):
        content = make_file(
            pixels,
            Modality="MR",
            SOPInstanceUID=f"1.2.{number}",
            ImagePositionPatient=[0, 0, number],
            ImageOrientationPatient=[*ALONG_X, *ALONG_Y],
            PixelSpacing=[1, 1],
            RescaleSlope=slope,
            RescaleIntercept=intercept,
        )
        (tmp_path / f"{number}.dcm").write_bytes(content)
    expected = (pixels.astype(np.float64) * slope + intercept).astype(np.float32)
    assert np.array_equal(read_volume(_series(tmp_path)).voxels_SRC, np.stack([expected, expected]))


def test_bits_beyond_the_stored_ones_are_no_values(tmp_path: Path, make_file: Make) -> None:
    _write_stack(tmp_path, make_file, [0, 1], BitsStored=10, HighBit=9)
    expected = np.stack([_pixels(number) % 1024 - 1024.0 for number in (0, 1)])
    assert np.array_equal(read_volume(_series(tmp_path)).voxels_SRC, expected)


def test_a_file_that_changed_is_read_anew_or_refused(tmp_path: Path, make_file: Make) -> None:
    _write_stack(tmp_path, make_file, [0, 1])
    series = _series(tmp_path)
    path = tmp_path / "002.dcm"
    # The preamble moves nothing, but a longer patient name moves the pixels.
    dataset = pydicom.dcmread(path)
    dataset.PatientName = "A^Longer^Name^Than^Before"
    dataset.save_as(path)
    assert np.array_equal(read_volume(series).voxels_SRC[0], _pixels(0) - 1024.0)
    path.write_bytes(make_file(np.zeros((3, 4), np.uint16), Modality="CT"))
    with pytest.raises(DecodeError, match=r"slice 1 of 2 .*changed"):
        read_volume(series)


def test_uneven_missing_and_doubled_slices(tmp_path: Path, make_file: Make) -> None:
    _write_stack(tmp_path, make_file, [0, 2, 2, 4, 8])
    volume = read_volume(_series(tmp_path))
    assert volume.spacing_mm is None
    assert [plane.position_mm[2] for plane in volume.planes] == [0, 2, 4, 8]
    assert [uid for uid, _ in volume.instances] == ["1.2.9.0", "1.2.9.1", "1.2.9.3", "1.2.9.4"]
    assert len(volume.voxels_SRC) == 4
    assert [" ".join(warning.split()[:3]) for warning in volume.warnings] == [
        "1 slices lie",
        "1 slices are",
        "1 slices at",
    ]
    # Between the slices at 4 and at 8 mm a quarter of the way is one millimetre.
    assert volume.to_lps(2.25, 0.5, 0.5) == pytest.approx((-5, -6, 5))
    assert volume.to_voxel((-5, -6, 5)) == pytest.approx((2.25, 0.5, 0.5))
    assert volume.to_voxel((-5, -6, 1)) == pytest.approx((0.5, 0.5, 0.5))
    assert volume.to_voxel((-5, -6, -1)) == pytest.approx((-0.5, 0.5, 0.5))


def test_a_localizer_is_set_aside(tmp_path: Path, make_file: Make) -> None:
    _write_stack(tmp_path, make_file, [0, 2, 4])
    scout = make_file(
        _pixels(9),
        Modality="CT",
        SOPInstanceUID="1.2.9.99",
        ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"],
        ImagePositionPatient=[0, 0, 0],
        ImageOrientationPatient=[1, 0, 0, 0, 0, -1],
        PixelSpacing=[1, 1],
    )
    (tmp_path / "scout.dcm").write_bytes(scout)
    volume = read_volume(_series(tmp_path))
    assert len(volume.voxels_SRC) == 3
    assert volume.warnings == ("1 localizers are set aside from the stack",)


def test_a_damaged_slice_is_named_by_its_number(tmp_path: Path, make_file: Make) -> None:
    _write_stack(tmp_path, make_file, [0, 1, 2, 3], syntax=JPEG2000Lossless, PatientName="Secret^Name")
    path = tmp_path / "002.dcm"  # the third slice
    content = path.read_bytes()
    start = content.index(b"\xff\x4f\xff\x51")
    path.write_bytes(content[: start + 200])
    with pytest.raises(DecodeError, match=r"^slice 3 of 4 cannot be read: ") as caught:
        read_volume(_series(tmp_path))
    assert "Secret" not in str(caught.value)
    series = _series(tmp_path)
    (tmp_path / "004.dcm").write_bytes(b"")
    with pytest.raises(UnreadableFileError, match=r"^slice 1 of 4 cannot be read: "):
        read_volume(series)


def test_what_is_no_volume_and_what_is_too_large(tmp_path: Path, make_file: Make) -> None:
    _write_stack(tmp_path, make_file, [0, 1])
    with pytest.raises(LimitError, match="max_volume_bytes"):
        read_volume(_series(tmp_path), limits=Limits(max_volume_bytes=2 * 34 * 40 * 4 - 1))
    assert read_volume(_series(tmp_path), limits=Limits(max_volume_bytes=2 * 34 * 40 * 4)).spacing_mm == 1
    (tmp_path / "001.dcm").unlink()
    with pytest.raises(UsageError, match="no volume"):
        read_volume(_series(tmp_path))


def test_the_warning_filters_of_the_process_are_left_alone(tmp_path: Path, make_file: Make) -> None:
    _write_stack(tmp_path, make_file, [float(z) for z in range(30)], syntax=RLELossless)
    before = list(warnings.filters)
    for _ in range(3):
        read_volume(_series(tmp_path), threads=8)
        assert list(warnings.filters) == before


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is read from /proc")
def test_memory_is_that_of_the_volume_and_a_few_slices(tmp_path: Path, make_file: Make) -> None:
    """500 slices of 256 x 256: the peak of the process grows by the volume, and by less than eight slices."""
    pixels = np.random.default_rng(1).integers(0, 4096, (256, 256)).astype(np.uint16)
    content = make_file(
        pixels,
        Modality="CT",
        SOPInstanceUID="1.2.1000",
        ImagePositionPatient=[0, 0, 1000],
        ImageOrientationPatient=[*ALONG_X, *ALONG_Y],
        PixelSpacing=[1, 1],
    )
    for z in range(1000, 1500):
        own = content.replace(b"1.2.1000", b"1.2.%d" % z).replace(b"\\1000", b"\\%d" % z)
        (tmp_path / f"{z}.dcm").write_bytes(own)
    script = """
        import sys
        from pathlib import Path
        from medground.dicom.discover import discover
        from medground.dicom.volume import read_volume
        def peak():
            line = next(l for l in Path("/proc/self/status").read_text().splitlines() if l.startswith("VmHWM"))
            return int(line.split()[1]) * 1024
        series = discover([Path(sys.argv[1])]).studies[0].series[0]
        Path("/proc/self/clear_refs").write_text("5")
        before = peak()
        volume = read_volume(series, threads=2)
        assert volume.voxels_SRC.shape == (500, 256, 256)
        print(peak() - before - volume.voxels_SRC.nbytes)
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "MALLOC_ARENA_MAX": "2"},
    )
    slice_bytes = 256 * 256 * 4
    assert int(run.stdout) < 8 * slice_bytes + 2**22  # and the threads themselves


def _random_plane(rng: np.random.Generator) -> tuple[NDArray[np.float64], tuple[float, float]]:
    """Direction cosines of a random right-handed turn, one in four along the axes and possibly flipped."""
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    if rng.random() < 0.25:
        turn = np.eye(3)[rng.permutation(3)] * rng.choice([-1.0, 1.0], (3, 1))
    between_rows, between_columns = rng.uniform(0.2, 4, 2)
    return turn, (float(between_rows), float(between_columns))


def _reference(plane: Plane, normal: NDArray[np.float64], spacing: float, slices: int) -> SimpleITK.Image:
    """An image of SimpleITK in the same place; its index counts from the centre of a pixel."""
    image = SimpleITK.Image(20, 12, slices, SimpleITK.sitkUInt8)
    image.SetOrigin(plane.position_mm)
    image.SetSpacing((plane.spacing_mm[1], plane.spacing_mm[0], spacing))
    along_row, along_column = np.array(plane.orientation[:3]), np.array(plane.orientation[3:])
    image.SetDirection(np.stack([along_row, along_column, normal], axis=1).ravel().tolist())
    return image


def _check_against_simple_itk(volume: Volume, spacing: float, rng: np.random.Generator) -> None:
    first = volume.planes[0]
    image = _reference(first, np.array(first.normal), spacing, len(volume.planes))
    for _ in range(3):
        x, y, k = rng.uniform(-20, 60), rng.uniform(-20, 60), rng.uniform(-2, 8)
        expected = image.TransformContinuousIndexToPhysicalPoint((x - 0.5, y - 0.5, k))
        assert volume.to_lps(k, x, y) == pytest.approx(expected, abs=1e-4)
        assert volume.to_voxel(expected) == pytest.approx((k, x, y), abs=1e-4)
        back = image.TransformPhysicalPointToContinuousIndex(volume.to_lps(k, x, y))
        assert back == pytest.approx((x - 0.5, y - 0.5, k), abs=1e-4)
    for number, plane in enumerate(volume.planes):
        x, y = rng.uniform(0, 20), rng.uniform(0, 12)
        expected = image.TransformContinuousIndexToPhysicalPoint((x - 0.5, y - 0.5, number))
        assert plane.to_lps(x, y) == pytest.approx(expected, abs=1e-4)
        assert plane.to_pixel(expected) == pytest.approx((x, y, 0), abs=1e-4)


def test_geometry_of_200_random_volumes_is_that_of_simple_itk() -> None:
    rng = np.random.default_rng(3)
    for _ in range(200):
        turn, pixel_spacing = _random_plane(rng)
        orientation = tuple(turn[:2].ravel().tolist())
        normal, origin = np.cross(turn[0], turn[1]), rng.uniform(-300, 300, 3)
        spacing, slices = float(rng.uniform(0.3, 8)), int(rng.integers(2, 7))
        places = [origin + normal * spacing * k for k in range(slices)]
        planes = tuple(Plane(tuple(place.tolist()), orientation, pixel_spacing) for place in places)
        voxels = np.zeros((slices, 12, 20), np.float32)
        volume = Volume(voxels, planes, spacing, None, tuple(("1", 1) for _ in planes))
        _check_against_simple_itk(volume, spacing, rng)


def test_files_lie_where_simple_itk_reads_them(tmp_path: Path, make_file: Make) -> None:
    """The same through files: written, discovered, sorted, and read by SimpleITK's own series reader."""
    rng = np.random.default_rng(4)
    for case in range(6):
        folder = tmp_path / str(case)
        folder.mkdir()
        turn, (between_rows, between_columns) = _random_plane(rng)
        normal, origin, spacing = np.cross(turn[0], turn[1]), rng.uniform(-300, 300, 3), float(rng.uniform(0.5, 5))
        for number in range(4):
            place = [f"{value:.9g}" for value in origin + normal * spacing * number]
            _write_stack_member(folder, make_file, number, place, turn, (between_rows, between_columns))
        volume = read_volume(_series(folder))
        reader = SimpleITK.ImageSeriesReader()
        reader.SetFileNames(SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
        image = reader.Execute()
        assert np.array_equal(SimpleITK.GetArrayFromImage(image), volume.voxels_SRC)
        for _ in range(5):
            x, y, k = rng.uniform(0, 20), rng.uniform(0, 12), rng.uniform(0, 3)
            expected = image.TransformContinuousIndexToPhysicalPoint((x - 0.5, y - 0.5, k))
            assert volume.to_lps(k, x, y) == pytest.approx(expected, abs=1e-4)


def _write_stack_member(
    folder: Path,
    make_file: Make,
    number: int,
    place: list[str],
    turn: NDArray[np.float64],
    spacing: tuple[float, float],
) -> None:
    content = make_file(
        _pixels(number),
        SOPClassUID="1.2.840.10008.5.1.4.1.1.2",
        Modality="CT",
        SOPInstanceUID=f"1.2.9.{number + 1}",
        InstanceNumber=10 - number,
        ImagePositionPatient=place,
        ImageOrientationPatient=[f"{value:.12f}" for value in turn[:2].ravel()],
        PixelSpacing=[f"{value:.12g}" for value in spacing],
        RescaleSlope=1,
        RescaleIntercept=-1024,
    )
    (folder / f"{number}.dcm").write_bytes(content)


def _groups(place: NDArray[np.float64], turn: NDArray[np.float64], spacing: tuple[float, float], own: float) -> Dataset:
    """Functional groups of one frame: its plane, and a rescale of its own."""
    item, position, orientation, measures, transformation = (Dataset() for _ in range(5))
    position.ImagePositionPatient = [f"{value:.9g}" for value in place]
    orientation.ImageOrientationPatient = [f"{value:.12f}" for value in turn[:2].ravel()]
    measures.PixelSpacing = [f"{value:.12g}" for value in spacing]
    transformation.RescaleSlope, transformation.RescaleIntercept = 1, own
    item.PlanePositionSequence = Sequence([position])
    item.PlaneOrientationSequence = Sequence([orientation])
    item.PixelMeasuresSequence = Sequence([measures])
    item.PixelValueTransformationSequence = Sequence([transformation])
    return item


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, JPEG2000Lossless])
def test_frames_of_an_enhanced_object_by_place(make_file: Make, syntax: str) -> None:
    rng = np.random.default_rng(5)
    for _ in range(10):
        turn, spacing = _random_plane(rng)
        normal, origin, gap = np.cross(turn[0], turn[1]), rng.uniform(-300, 300, 3), float(rng.uniform(0.5, 5))
        order = rng.permutation(5)  # frame f lies at place order[f]
        groups = [_groups(origin + normal * gap * k, turn, spacing, float(k)) for k in order]
        pixels = np.stack([_pixels(int(k)) for k in order])
        image = open_image(
            make_file(
                pixels,
                frames=5,
                syntax=syntax,
                Modality="CT",
                FrameOfReferenceUID="1.2.7",
                PerFrameFunctionalGroupsSequence=Sequence(groups),
            )
        )
        volume = read_frames(image)
        assert np.array_equal(volume.voxels_SRC, np.stack([_pixels(k) + float(k) for k in range(5)]))
        assert [frame for _, frame in volume.instances] == [int(np.flatnonzero(order == k)[0]) + 1 for k in range(5)]
        assert volume.spacing_mm == pytest.approx(gap, abs=1e-5)
        assert volume.frame_of_reference_uid == "1.2.7"
        _check_against_simple_itk(volume, gap, rng)


def test_frames_that_make_no_volume(make_file: Make) -> None:
    def image(groups: list[Dataset]) -> Any:
        pixels = np.zeros((len(groups), 4, 6), np.uint16)
        sequence = Sequence(groups)
        return open_image(make_file(pixels, frames=len(groups), PerFrameFunctionalGroupsSequence=sequence))

    flat, turned, here, there = np.eye(3), np.eye(3)[[1, 2, 0]], np.zeros(3), np.array([0.0, 0.0, 3.0])
    spacing = (1.0, 1.0)
    with pytest.raises(UsageError, match="not parallel"):
        read_frames(image([_groups(here, flat, spacing, 0), _groups(there, turned, spacing, 0)]))
    with pytest.raises(UsageError, match="not parallel"):
        read_frames(image([_groups(here, flat, spacing, 0), _groups(there, flat, (1.0, 2.0), 0)]))
    with pytest.raises(UsageError, match="at one place"):
        read_frames(image([_groups(here, flat, spacing, 0)] * 2))
    with pytest.raises(UsageError, match="not parallel"):
        read_frames(image([Dataset(), Dataset()]))
    doubled = read_frames(image([_groups(z, flat, spacing, 0) for z in (here, there, here)]))
    assert [frame for _, frame in doubled.instances] == [1, 2]
    assert any("left out" in warning for warning in doubled.warnings)
