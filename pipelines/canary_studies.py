"""Phantom studies written with a canary in every place where an identity can sit."""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import numpy as np
from pydicom import Dataset, config, dcmread
from pydicom.encaps import encapsulate, generate_frames
from pydicom.filewriter import dcmwrite
from pydicom.uid import (
    UID,
    ComprehensiveSRStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from medground.data.phantom.chest_ct import chest_ct
from medground.data.phantom.chest_radiograph import chest_radiograph
from medground.data.phantom.dicom_study import write_ct_study, write_radiograph_study
from pipelines.canary_places import PLACES, Canary, salted_file, salted_stream

MARK: Final = "Qzxwvk"  # begins every canary word, so that one search finds any of them
PLACES_IN_BYTES: Final = ("pixel data padding or stream", "behind the data set", "file name")
_SYNTAXES: Final = (
    ExplicitVRLittleEndian, JPEG2000Lossless, ImplicitVRLittleEndian, RLELossless, DeflatedExplicitVRLittleEndian,
    JPEGLSLossless, ExplicitVRBigEndian,
)  # fmt: skip
# By name: pydicom would try GDCM first, whose RLE encoder aborts the process.
_ENCODERS: Final = {RLELossless: "pydicom", JPEGLSLossless: "pyjpegls", JPEG2000Lossless: "pylibjpeg"}
_SLICES: Final = 4
_SIZE_PX: Final = 64


@dataclass(frozen=True, slots=True)
class SaltedStudy:
    """A phantom study on disk and the canaries in it, by place."""

    patient_id: str
    files: tuple[Path, ...]
    canaries: dict[str, Canary]


def canary(seed: int, study: int, place: str) -> Canary:
    """The canary of a place of a study."""
    rng = np.random.default_rng([seed, study, zlib.crc32(place.encode())])
    letters = "".join(chr(ord("a") + int(n)) for n in rng.integers(0, 26, 9))
    digits = "".join(str(int(n)) for n in rng.integers(1, 10, 10))
    return Canary(f"{MARK}{letters}", digits, date(1920, 1, 1) + timedelta(days=int(rng.integers(0, 36000))))


def write_studies(count: int, seed: int, folder: Path) -> list[SaltedStudy]:
    """Write salted studies, each into a folder of its own.

    Args:
        count: how many.
        seed: of phantoms and canaries.
        folder: made if absent.
    """
    settings = config.settings
    modes = settings.reading_validation_mode, settings.writing_validation_mode
    settings.reading_validation_mode = settings.writing_validation_mode = config.IGNORE  # many a canary is no value
    try:
        return [_write_study(seed, number, folder / f"{number:05d}") for number in range(count)]
    finally:
        settings.reading_validation_mode, settings.writing_validation_mode = modes


def _write_study(seed: int, study: int, folder: Path) -> SaltedStudy:
    """A film or four CT slices, and a report on it; two neighbours are of one patient."""
    canaries = {place: canary(seed, study, place) for place in (*PLACES, *PLACES_IN_BYTES)}
    canaries["patient ID"] = canary(seed, study // 2 * 2, "patient ID")
    number = seed * 100_000 + study
    if study % 3 == 0:
        plain = write_radiograph_study(chest_radiograph(number, size_px=_SIZE_PX, findings=[]), folder)
    else:
        plain = write_ct_study(chest_ct(number, size_px=_SIZE_PX, slices=2 * _SLICES), folder)
        for path in plain[_SLICES:]:
            path.unlink()
        plain = plain[:_SLICES]
    syntax = _SYNTAXES[study % len(_SYNTAXES)]
    files = []
    for index, path in enumerate(plain):
        dataset = dcmread(path)
        if index == 0:
            _write(_report_on(dataset), canaries, ExplicitVRLittleEndian, path.with_suffix(".sr"))
            files.append(path.with_suffix(".sr"))
        target = path.with_name(f"{canaries['file name'].word}-{index}.dcm")
        _write(dataset, canaries, syntax, target)
        path.unlink()
        files.append(target)
    return SaltedStudy(f"P{canaries['patient ID'].digits}", tuple(files), canaries)


def _write(dataset: Dataset, canaries: dict[str, Canary], syntax: UID, path: Path) -> None:
    for place, salt in PLACES.items():
        salt(dataset, canaries[place])
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.BurnedInAnnotation = "NO"
    in_pixels = canaries["pixel data padding or stream"]
    if "PixelData" not in dataset:
        dataset.file_meta.TransferSyntaxUID = syntax
    elif syntax in _ENCODERS:
        dataset.compress(syntax, encoding_plugin=_ENCODERS[syntax], generate_instance_uid=False)
        frame = next(iter(generate_frames(dataset.PixelData, number_of_frames=1)))
        dataset.PixelData = encapsulate([salted_stream(frame, in_pixels)])
        dataset["PixelData"].VR = "OB"
    else:
        dataset.file_meta.TransferSyntaxUID = syntax
        pixels = dataset.PixelData
        if syntax == ExplicitVRBigEndian:
            pixels = np.frombuffer(pixels, "<u2").astype(">u2").tobytes()
        dataset.PixelData = pixels + f"{in_pixels.word}{in_pixels.digits} ".encode()
        dataset["PixelData"].VR = "OW"
    implicit, little = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
    stream = io.BytesIO()
    dcmwrite(stream, dataset, enforce_file_format=True, implicit_vr=implicit, little_endian=little)
    behind = canaries["behind the data set"]
    path.write_bytes(salted_file(stream.getvalue(), behind, implicit=implicit, little=little))


def _report_on(image: Dataset) -> Dataset:
    """An SR with the identity and the UIDs of an image; what it says comes with the canaries."""
    report = Dataset()
    report.file_meta = type(image.file_meta)()
    for keyword in ("StudyInstanceUID", "StudyDate", "StudyTime", "Manufacturer"):
        setattr(report, keyword, getattr(image, keyword))
    report.SOPClassUID = ComprehensiveSRStorage
    report.file_meta.MediaStorageSOPClassUID = ComprehensiveSRStorage
    report.SeriesInstanceUID, report.SOPInstanceUID = (
        f"{image.SeriesInstanceUID[:60]}.9",
        f"{image.SOPInstanceUID[:60]}.9",
    )
    report.file_meta.MediaStorageSOPInstanceUID = report.SOPInstanceUID
    report.Modality, report.ValueType, report.CompletionFlag = "SR", "CONTAINER", "COMPLETE"
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    series = Dataset()
    series.SeriesInstanceUID, series.ReferencedSOPSequence = image.SeriesInstanceUID, [reference]
    evidence = Dataset()
    evidence.StudyInstanceUID, evidence.ReferencedSeriesSequence = image.StudyInstanceUID, [series]
    report.CurrentRequestedProcedureEvidenceSequence = [evidence]
    return report
