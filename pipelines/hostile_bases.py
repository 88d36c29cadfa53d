"""Twenty small DICOM images, one for each way of writing pixels: what hostile files are made from."""

from __future__ import annotations

import io
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gdcm
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.filewriter import dcmwrite
from pydicom.pixels.utils import set_pixel_data
from pydicom.uid import (
    JPEG2000,
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

SIDE = 64
_DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"
_NATIVE = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)
# By name: pydicom would try GDCM first, whose RLE encoder aborts the process.
ENCODERS: dict[str, tuple[str, dict[str, Any]]] = {
    RLELossless: ("pydicom", {}),
    JPEGLSLossless: ("pyjpegls", {}),
    JPEGLSNearLossless: ("pyjpegls", {"jls_error": 3}),
    JPEG2000Lossless: ("pylibjpeg", {}),
    JPEG2000: ("pylibjpeg", {"j2k_cr": [4]}),
}


@dataclass(frozen=True, slots=True)
class Base:
    """A file that must be accepted as it is."""

    name: str
    content: bytes


def base_files() -> list[Base]:
    """The twenty, the same in every run."""
    smooth, grey8, rgb = _smooth(np.uint16), (_smooth(np.uint16) >> 4).astype(np.uint8), _colour()
    makers: dict[str, Callable[[], bytes]] = {
        "explicit": partial(_file, smooth, RescaleSlope=1, RescaleIntercept=-1024, WindowCenter=40, WindowWidth=400),
        "implicit": partial(_file, smooth, ImplicitVRLittleEndian, PhotometricInterpretation="MONOCHROME1"),
        "big endian": partial(_file, smooth, ExplicitVRBigEndian),
        "deflated": partial(_file, smooth, DeflatedExplicitVRLittleEndian),
        "no preamble": lambda: _file(smooth, ImplicitVRLittleEndian)[132:],
        "RLE": partial(_file, smooth, RLELossless),
        "RLE, colour, frames": partial(_file, np.stack([rgb, rgb[::-1]]), RLELossless, frames=2),
        "JPEG baseline": partial(_jpeg, rgb),
        "JPEG lossless, first predictor": partial(_by_gdcm, smooth, gdcm.TransferSyntax.JPEGLosslessProcess14_1),
        "JPEG lossless": partial(_by_gdcm, grey8, gdcm.TransferSyntax.JPEGLosslessProcess14),
        "JPEG-LS": partial(_file, smooth, JPEGLSLossless),
        "JPEG-LS near lossless": partial(_file, grey8, JPEGLSNearLossless),
        "JPEG 2000": partial(_file, smooth, JPEG2000Lossless),
        "JPEG 2000 lossy, colour, frames": partial(_file, np.stack([rgb] * 3), JPEG2000, frames=3),
        "deflated frames": partial(_deflated_frames, smooth),
        "palette": partial(_file, grey8, **_palette()),
        "enhanced": partial(_enhanced, np.stack([smooth, smooth[::-1], smooth.T])),
        "segmentation": partial(_bits, np.stack([smooth > 2000, smooth > 3000])),
        "private sequences": partial(_private, smooth),
        "tables": partial(_tables, smooth),
    }
    return [Base(name, make()) for name, make in makers.items()]


def _smooth(dtype: type[np.generic]) -> NDArray[Any]:
    """Twelve-bit values: waves, so that coders have something to do, and some noise."""
    y, x = np.mgrid[:SIDE, :SIDE]
    waves = 2000 + 1200 * np.sin(x / 7) * np.cos(y / 11) + np.random.default_rng(3).normal(0, 60, (SIDE, SIDE))
    pixels: NDArray[Any] = np.clip(waves, 0, 4095).astype(dtype)
    return pixels


def _colour() -> NDArray[np.uint8]:
    grey = (_smooth(np.uint16) >> 4).astype(np.uint8)
    return np.stack([grey, grey[::-1], grey.T], axis=-1)


def _dataset(pixels: NDArray[Any], frames: int = 1, **elements: Any) -> Dataset:
    """The header of an image around (frames,) rows, columns (, 3) pixels."""
    shape = pixels.shape[1:] if frames > 1 else pixels.shape
    dataset = Dataset()
    dataset.SOPClassUID = CTImageStorage if pixels.dtype == np.uint16 else SecondaryCaptureImageStorage
    dataset.SOPInstanceUID, dataset.SeriesInstanceUID, dataset.StudyInstanceUID = "1.2.3.1", "1.2.3.2", "1.2.3.3"
    dataset.ImageType, dataset.Modality = ["ORIGINAL", "PRIMARY", "AXIAL"], "CT"
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = "Nobody^At All", "0", "19000101"
    dataset.BodyPartExamined, dataset.InstanceNumber, dataset.SliceThickness = "CHEST", 7, 1.25
    dataset.ImagePositionPatient, dataset.ImageOrientationPatient = [-10.5, 20, 30], [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing = [0.7, 0.7]
    dataset.Rows, dataset.Columns = shape[:2]
    dataset.SamplesPerPixel = shape[2] if len(shape) == 3 else 1
    dataset.PhotometricInterpretation = "RGB" if len(shape) == 3 else "MONOCHROME2"
    if len(shape) == 3:
        dataset.PlanarConfiguration = 0
    if frames > 1:
        dataset.NumberOfFrames = frames
    dataset.BitsAllocated = pixels.dtype.itemsize * 8
    dataset.BitsStored = 12 if dataset.BitsAllocated == 16 else 8
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, 0
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def _file(pixels: NDArray[Any], syntax: str = ExplicitVRLittleEndian, frames: int = 1, **elements: Any) -> bytes:
    dataset = _dataset(pixels, frames, **elements)
    big = syntax == ExplicitVRBigEndian
    value = pixels.astype(pixels.dtype.newbyteorder(">" if big else "<")).tobytes()
    if syntax in _NATIVE:
        return _with_pixels(dataset, value, syntax, "OW" if dataset.BitsAllocated > 8 else "OB")
    plugin, options = ENCODERS[syntax]
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    set_pixel_data(dataset, pixels, dataset.PhotometricInterpretation, dataset.BitsStored, generate_instance_uid=False)
    dataset.compress(UID(syntax), encoding_plugin=plugin, generate_instance_uid=False, **options)
    return _written(dataset)


def _with_pixels(dataset: Dataset, value: bytes, syntax: str, vr: str, *, encapsulated: bool = False) -> bytes:
    dataset.PixelData = value
    dataset["PixelData"].VR = vr
    dataset["PixelData"].is_undefined_length = encapsulated
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    return _written(dataset)


def _written(dataset: Dataset) -> bytes:
    stream = io.BytesIO()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()


def _jpeg(rgb: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, "JPEG", quality=90, subsampling="4:2:2")
    dataset = _dataset(rgb, PhotometricInterpretation="YBR_FULL_422")
    return _with_pixels(dataset, encapsulate([stream.getvalue()]), JPEGBaseline8Bit, "OB", encapsulated=True)


def _by_gdcm(pixels: NDArray[Any], syntax: int) -> bytes:
    stream, uid = stream_of_gdcm(_file(pixels), syntax)
    return _with_pixels(_dataset(pixels), encapsulate([stream]), uid, "OB", encapsulated=True)


def stream_of_gdcm(native: bytes, syntax: int) -> tuple[bytes, str]:
    """The compressed pixels of a file of one frame, and the UID of the syntax.

    Lossless JPEG is written by GDCM only, and only from file to file.

    Args:
        native: a whole file, not compressed.
        syntax: of `gdcm.TransferSyntax`.
    """
    reader, writer, change = gdcm.ImageReader(), gdcm.ImageWriter(), gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    with tempfile.TemporaryDirectory() as folder:
        plain, compressed = Path(folder) / "native.dcm", Path(folder) / "compressed.dcm"
        plain.write_bytes(native)
        reader.SetFileName(str(plain))
        if not reader.Read():
            raise RuntimeError("GDCM cannot read the native image")
        change.SetInput(reader.GetImage())
        if not change.Change():
            raise RuntimeError(f"GDCM cannot write the transfer syntax {gdcm.TransferSyntax(syntax)}")
        writer.SetFileName(str(compressed))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        if not writer.Write():
            raise RuntimeError("GDCM cannot write the compressed image")
        stream = next(generate_frames(dcmread(compressed).PixelData, number_of_frames=1))
    return stream, gdcm.TransferSyntax(syntax).GetString()


def _deflated_frames(pixels: NDArray[np.uint16]) -> bytes:
    machine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    frame = machine.compress(pixels.tobytes()) + machine.flush()
    content = _with_pixels(_dataset(pixels), encapsulate([frame]), JPEG2000Lossless, "OB", encapsulated=True)
    padded = _DEFLATED_FRAMES.encode().ljust(len(JPEG2000Lossless), b"\0")  # pydicom does not write that syntax yet
    return content.replace(JPEG2000Lossless.encode(), padded)


def _palette() -> dict[str, Any]:
    elements: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for number, name in enumerate(("Red", "Green", "Blue")):
        elements[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        table = (np.arange(256, dtype="<u2") * (257 - 50 * number)).tobytes()
        elements[f"{name}PaletteColorLookupTableData"] = table
    return elements


def _enhanced(pixels: NDArray[np.uint16]) -> bytes:
    """Functional groups, shared and of each frame."""
    dataset = _dataset(pixels, len(pixels), SOPClassUID=EnhancedCTImageStorage)
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
        delattr(dataset, keyword)
    measures, orientation = Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.7, 0.7], 2
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared = Dataset()
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    dataset.SharedFunctionalGroupsSequence = [shared]
    groups = []
    for number in range(len(pixels)):
        position, values, window = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = [0, 0, 2.0 * number]
        values.RescaleSlope, values.RescaleIntercept, values.RescaleType = 1, -1024 + number, "HU"
        window.WindowCenter, window.WindowWidth = 40, 400 + number
        group = Dataset()
        group.PlanePositionSequence, group.PixelValueTransformationSequence = [position], [values]
        group.FrameVOILUTSequence = [window]
        groups.append(group)
    dataset.PerFrameFunctionalGroupsSequence = groups
    return _with_pixels(dataset, pixels.tobytes(), ExplicitVRLittleEndian, "OW")


def _bits(masks: NDArray[np.bool_]) -> bytes:
    dataset = _dataset(masks.astype(np.uint8), len(masks), SOPClassUID=SegmentationStorage, Modality="SEG")
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 1, 1, 0
    return _with_pixels(dataset, np.packbits(masks, bitorder="little").tobytes(), ExplicitVRLittleEndian, "OB")


def _private(pixels: NDArray[np.uint16]) -> bytes:
    """Sequences in private elements, ten deep, beside text in several character sets and values of unknown kind."""
    dataset = _dataset(pixels, SpecificCharacterSet=["", "ISO 2022 IR 87"], StudyDescription="chest " * 9)
    inner = Dataset()
    inner.add_new(0x00091001, "LO", "innermost")
    for _ in range(10):
        outer = Dataset()
        outer.add_new(0x00090010, "LO", "HOSTILE")
        outer.add_new(0x00091002, "SQ", [inner, Dataset()])
        inner = outer
    dataset.add_new(0x00090010, "LO", "HOSTILE")
    dataset.add_new(0x00091002, "SQ", [inner])
    dataset.add_new(0x00091003, "UN", bytes(range(256)))
    dataset.add_new(0x00091004, "UT", "text " * 400)
    return _with_pixels(dataset, pixels.tobytes(), ExplicitVRLittleEndian, "OW")


def _tables(pixels: NDArray[np.uint16]) -> bytes:
    """A modality and a VOI lookup table."""
    modality, voi = Dataset(), Dataset()
    modality.LUTDescriptor, modality.ModalityLUTType = [4096, 0, 16], "US"
    modality.LUTData = (np.arange(4096, dtype="<u2") * 15).tobytes()
    voi.LUTDescriptor, voi.LUTExplanation = [1024, 0, 12], "NORMAL"
    voi.LUTData = (np.arange(1024, dtype="<u2") * 3).tobytes()
    dataset = _dataset(pixels, ModalityLUTSequence=[modality], VOILUTSequence=[voi], PixelPaddingValue=0)
    for sequence in (dataset.ModalityLUTSequence, dataset.VOILUTSequence):
        sequence[0]["LUTDescriptor"].VR, sequence[0]["LUTData"].VR = "US", "OW"
    dataset["PixelPaddingValue"].VR = "US"
    return _with_pixels(dataset, pixels.tobytes(), ExplicitVRLittleEndian, "OW")


def element_heads(content: bytes) -> list[int]:
    """Where the elements of a file start, those in sequences included, as far as their tags tell."""
    dataset = dcmread(io.BytesIO(content), force=True)
    order = "big" if dataset.original_encoding[1] is False else "little"
    heads, position = [], 0
    for element in dataset.iterall():
        tag = element.tag.group.to_bytes(2, order) + element.tag.element.to_bytes(2, order)  # type: ignore[arg-type]
        found = content.find(tag, position)
        if found >= 0:
            heads.append(found)
            position = found + 4
    return heads
