"""Input that lies, bombs or is cut: a typed error, soon, and never anything else."""

from __future__ import annotations

import struct
import subprocess
import sys
import time
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from medground.dicom.decode import DEFLATED_FRAMES
from medground.dicom.found import Found, members_of
from medground.dicom.image import open_image
from medground.dicom.limits import Limits
from medground.schema.errors import (
    DecodeError,
    InputError,
    InputNotFoundError,
    LimitError,
    NotAnImageError,
    UnreadableFileError,
)

Make = Callable[..., bytes]
SEQUENCE = struct.pack("<HH2sHL", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
    "<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF
)
LYING_HEADERS = [struct.pack("<16L", 3, 64, *[0] * 14), struct.pack("<16L", 1, 9999, *[0] * 14)]
ENDS = struct.pack("<HHLHHL", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)


def _with_sequences(content: bytes, inserted: bytes) -> bytes:
    """`content` with bytes put in front of the element Modality (0008,0060)."""
    at = content.index(b"\x08\x00\x60\x00CS")
    return content[:at] + inserted + content[at:]


@pytest.mark.parametrize("depth", [65, 150, 5000])
@pytest.mark.parametrize("closed", [True, False])
def test_deep_nesting(make_file: Make, grey: NDArray[np.uint16], depth: int, closed: bool) -> None:
    content = _with_sequences(make_file(grey), SEQUENCE * depth + (ENDS * depth if closed else b""))
    with pytest.raises(LimitError, match="max_nesting"):
        open_image(content)


def test_nesting_within_the_limit_is_read(make_file: Make, grey: NDArray[np.uint16]) -> None:
    content = _with_sequences(make_file(grey), SEQUENCE * 64 + ENDS * 64)
    assert np.array_equal(open_image(content).stored(), grey)


def test_nesting_in_sequences_of_known_length(make_file: Make, grey: NDArray[np.uint16]) -> None:
    inner = b""
    for _ in range(70):
        item = struct.pack("<HHL", 0xFFFE, 0xE000, len(inner)) + inner
        inner = struct.pack("<HH2sHL", 0x0008, 0x1140, b"SQ", 0, len(item)) + item
    with pytest.raises(LimitError, match="max_nesting"):
        open_image(_with_sequences(make_file(grey), inner))


def test_many_elements(make_file: Make, grey: NDArray[np.uint16]) -> None:
    many = b"".join(struct.pack("<HH2sH", 0x0009, 0x1000 + n, b"LO", 0) for n in range(500))
    content = _with_sequences(make_file(grey), many)
    assert np.array_equal(open_image(content).stored(), grey)
    with pytest.raises(LimitError, match="max_elements"):
        open_image(content, limits=Limits(max_elements=400))


def test_deflate_bomb(make_file: Make) -> None:
    content = make_file(np.zeros((2000, 2000), np.uint16), syntax=DeflatedExplicitVRLittleEndian)
    assert len(content) < 20_000
    with pytest.raises(LimitError, match="max_inflated_bytes"):
        open_image(content, limits=Limits(max_inflated_bytes=1_000_000))
    assert open_image(content).stored().shape == (2000, 2000)


def test_deflated_beyond_proportion(make_file: Make) -> None:
    content = make_file(np.zeros((8192, 8256), np.uint8), syntax=DeflatedExplicitVRLittleEndian)
    assert 1000 * len(content) < 8192 * 8256
    with pytest.raises(LimitError, match="max_inflate_ratio"):
        open_image(content)
    assert open_image(content, limits=Limits(max_inflate_ratio=1100)).stored().shape == (8192, 8256)


def test_a_member_of_a_zip_beyond_proportion(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.dcm", bytes(65 * 2**20))
    (member,) = members_of(Found("a.zip", tmp_path / "a.zip"), Limits())
    with pytest.raises(LimitError, match="max_inflate_ratio"):
        member.content(Limits())
    with pytest.raises(LimitError, match="max_inflated_bytes"):
        member.content(Limits(max_inflated_bytes=2**20))


def test_a_deflated_frame_beyond_proportion(make_dataset: Any, write_bytes: Any) -> None:
    frame = zlib.compress(bytes(10_000), wbits=-zlib.MAX_WBITS)
    content = _compressed(make_dataset, write_bytes, 9000, 9000, frame, JPEG2000Lossless)
    content = content.replace(JPEG2000Lossless.encode(), DEFLATED_FRAMES.encode() + b"\0")
    with pytest.raises(LimitError, match="max_inflate_ratio"):
        open_image(content).stored()


@pytest.mark.parametrize(
    ("packed", "inflated", "refused"),
    [
        (1, 64 * 2**20, None),
        (1, 64 * 2**20 + 1, "max_inflate_ratio"),
        (10**6, 10**9, None),
        (10**6, 10**9 + 1, "max_inflate_ratio"),
        (2 * 10**6, 2**30, None),
        (2 * 10**6, 2**30 + 1, "max_inflated_bytes"),
    ],
)
def test_where_inflation_ends(packed: int, inflated: int, refused: str | None) -> None:
    if refused is None:
        Limits().check_inflation(packed, inflated, "it")
        return
    with pytest.raises(LimitError, match=refused):
        Limits().check_inflation(packed, inflated, "it")


@pytest.mark.parametrize("end", [-1500, -40])
def test_a_deflated_file_cut_short(make_file: Make, grey: NDArray[np.uint16], end: int) -> None:
    content = make_file(grey, syntax=DeflatedExplicitVRLittleEndian)
    with pytest.raises(UnreadableFileError):
        open_image(content[:end])


def _compressed(make_dataset: Any, write_bytes: Any, rows: int, columns: int, frame: bytes, syntax: str) -> bytes:
    dataset = make_dataset(np.zeros((1, 1), np.uint8), Rows=rows, Columns=columns)
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    content: bytes = write_bytes(dataset)
    return content


def test_rle_bomb_stops_at_the_size_of_the_frame(make_dataset: Any, write_bytes: Any) -> None:
    segment = b"\x81\x07" * 2_000_000  # 256 MB if it were expanded to its end
    frame = struct.pack("<16L", 1, 64, *[0] * 14) + segment
    content = _compressed(make_dataset, write_bytes, 10, 10, frame, RLELossless)
    started = time.process_time()
    assert (open_image(content).stored() == 7).all()
    assert time.process_time() - started < 5


@pytest.mark.parametrize("frame", [bytes(8), bytes(64), *LYING_HEADERS])
def test_rle_headers_that_lie(make_dataset: Any, write_bytes: Any, frame: bytes) -> None:
    with pytest.raises(DecodeError):
        open_image(_compressed(make_dataset, write_bytes, 10, 10, frame, RLELossless)).stored()


@pytest.mark.parametrize("end", range(-1500, -20, 149))
def test_a_jpeg_ls_frame_cut_short(make_file: Make, end: int) -> None:
    grey = (np.add.outer(np.arange(64) ** 2, np.arange(64) * 7) % 4096).astype(np.uint16)
    grey += np.random.default_rng(1).integers(0, 60, grey.shape, np.uint16)
    content = make_file(grey, syntax=JPEGLSLossless)
    with pytest.raises(DecodeError, match="no end"):
        open_image(content[:end]).stored()


def test_a_stream_larger_than_its_header_says(make_file: Make, grey: NDArray[np.uint16]) -> None:
    content = bytearray(make_file(grey, syntax=JPEG2000Lossless))
    at = content.index(b"\xff\x4f\xff\x51") + 8
    content[at : at + 8] = struct.pack(">LL", 60_000, 60_000)
    with pytest.raises(LimitError, match="60000 x 60000"):
        open_image(bytes(content)).stored()
    content[at : at + 8] = struct.pack(">LL", 6000, 40)
    with pytest.raises(DecodeError, match="40 x 6000"):
        open_image(bytes(content)).stored()


@pytest.mark.parametrize(
    ("rows", "columns", "limit"), [(65535, 65535, "max_pixels_per_frame"), (8000, 8000, "max_frame_bytes")]
)
def test_frames_beyond_the_limits(make_file: Make, rows: int, columns: int, limit: str) -> None:
    wide = np.zeros((2, 2, 3), np.uint32)
    with pytest.raises(LimitError, match=limit):
        open_image(make_file(wide, Rows=rows, Columns=columns))


def test_the_largest_frame(make_dataset: Any, write_bytes: Any) -> None:
    header = open_image(_compressed(make_dataset, write_bytes, 2**14, 2**14, bytes(2), RLELossless)).header
    assert header.rows * header.columns == 2**28
    with pytest.raises(LimitError, match="max_pixels_per_frame"):
        open_image(_compressed(make_dataset, write_bytes, 2**14, 2**14 + 1, bytes(2), RLELossless))


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"])
@pytest.mark.parametrize("uid", ["1." * 32 + "1", "1.2/../../etc", "1.2 3", "1.2\u00e9", "Doe^Jane"])
def test_uids_that_are_none(make_file: Make, grey: NDArray[np.uint16], keyword: str, uid: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        content = make_file(grey, prefix=False, **{keyword: uid})
    with pytest.raises(UnreadableFileError, match=keyword) as error:
        open_image(content)
    assert uid not in str(error.value)


@pytest.mark.parametrize(
    ("uid", "warned"), [("1.2.3", 0), ("0.0", 0), ("1.02.3", 1), ("1..3", 1), ("9f" * 32, 1), ("1." * 31 + "22", 0)]
)
def test_uids_that_are_read(make_file: Make, grey: NDArray[np.uint16], uid: str, warned: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = open_image(make_file(grey, SOPInstanceUID=uid))
    assert image.header.sop_instance_uid == uid
    assert sum("SOPInstanceUID" in warning for warning in image.warnings) == warned


@pytest.mark.parametrize(("more", "warned"), [(0, False), (2, True), (4000, True)])
def test_bytes_after_the_last_pixel(
    make_dataset: Any, write_bytes: Any, grey: NDArray[np.uint16], more: int, warned: bool
) -> None:
    dataset = make_dataset(grey)
    dataset.PixelData = grey.tobytes() + b"\x55" * more
    dataset["PixelData"].VR = "OW"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    image = open_image(write_bytes(dataset))
    assert np.array_equal(image.stored(), grey)
    assert image.warnings == ((f"{more} bytes after the last pixel are not read",) if warned else ())


def test_the_byte_that_pads_is_no_warning(make_file: Make) -> None:
    assert open_image(make_file(np.zeros((3, 5), np.uint8))).warnings == ()


def test_too_many_frames_and_bytes(make_file: Make, grey: NDArray[np.uint16], tmp_path: Path) -> None:
    with pytest.raises(LimitError, match="max_frames"):
        open_image(make_file(grey, NumberOfFrames=70_000))
    path = tmp_path / "a.dcm"
    path.write_bytes(make_file(grey))
    with pytest.raises(LimitError, match="max_file_bytes"):
        open_image(path, limits=Limits(max_file_bytes=1000))
    with pytest.raises(LimitError, match="max_header_bytes"):
        open_image(path, limits=Limits(max_header_bytes=100))


def test_segmented_palette_bomb(make_file: Make) -> None:
    elements: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for name in ("Red", "Green", "Blue"):
        elements[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        elements[f"Segmented{name}PaletteColorLookupTableData"] = struct.pack("<5H", 0, 1, 0, 1, 60000) * 20_000
    with pytest.raises(DecodeError, match="palette"):
        open_image(make_file(np.zeros((4, 4), np.uint8), **elements)).display()


@pytest.mark.parametrize("count", ["A1", "-3", "1.5"])
def test_frames_that_are_no_number(make_file: Make, grey: NDArray[np.uint16], count: str) -> None:
    content = make_file(np.stack([grey] * 2), frames=2)
    at = content.index(b"\x28\x00\x08\x00IS")
    broken = content[: at + 6] + struct.pack("<H", 4) + count.ljust(4).encode() + content[at + 10 :]
    with pytest.raises(DecodeError, match="NumberOfFrames"):
        open_image(broken)


@pytest.mark.parametrize("keyword", ["Rows", "Columns", "BitsAllocated", "PhotometricInterpretation"])
def test_an_element_without_which_nothing_is_decoded(make_dataset: Any, write_bytes: Any, keyword: str) -> None:
    dataset = make_dataset(np.zeros((4, 4), np.uint8))
    delattr(dataset, keyword)
    dataset.PixelData = bytes(16)
    dataset["PixelData"].VR = "OB"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    with pytest.raises(DecodeError, match=keyword):
        open_image(write_bytes(dataset))


def test_every_cut_is_an_input_error(make_file: Make) -> None:
    content = make_file(np.arange(64, dtype=np.uint16).reshape(8, 8))
    for length in range(0, len(content) - 1, 7):
        with pytest.raises(InputError):
            open_image(content[:length]).display()


def test_a_value_longer_than_the_file(make_file: Make, grey: NDArray[np.uint16]) -> None:
    lie = struct.pack("<HH2sHL", 0x0009, 0x1001, b"OB", 0, 0x7FFFFFF0)
    with pytest.raises(UnreadableFileError, match="cut short"):
        open_image(_with_sequences(make_file(grey), lie))


def test_what_is_no_image(tmp_path: Path, make_dataset: Any, write_bytes: Any) -> None:
    with pytest.raises(InputNotFoundError, match="nothing is at"):
        open_image(tmp_path / "absent.dcm")
    with pytest.raises(UnreadableFileError):
        open_image(tmp_path)
    text = tmp_path / "text.dcm"
    text.write_text("this is no DICOM" * 100)
    for content in (text, b"", b"DICM", b"\x89PNG\r\n\x1a\n" + bytes(500)):
        with pytest.raises(UnreadableFileError):
            open_image(content)
    dataset = make_dataset(np.zeros((2, 2), np.uint8), SOPClassUID="1.2.840.10008.5.1.4.1.1.481.5")
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    with pytest.raises(NotAnImageError, match="RT Plan Storage"):
        open_image(write_bytes(dataset))


def test_messages_hold_nothing_of_the_patient(make_file: Make, grey: NDArray[np.uint16]) -> None:
    content = bytearray(make_file(grey, Modality="CR", PatientBirthDate="19700101"))
    at = content.index(b"\x28\x00\x10\x00US")
    content[at + 6 : at + 8] = b"\xff\xff"
    with pytest.raises(InputError) as error:
        open_image(bytes(content)).display()
    assert "Doe" not in str(error.value)
    assert "1970" not in str(error.value)


BASES: dict[str, dict[str, Any]] = {
    "native": {},
    "implicit": {"syntax": "1.2.840.10008.1.2"},
    "big endian": {"syntax": "1.2.840.10008.1.2.2"},
    "RLE": {"syntax": RLELossless},
    "window": {"WindowCenter": 40, "WindowWidth": 80, "RescaleSlope": 1, "RescaleIntercept": 0, "PixelPaddingValue": 3},
}


@pytest.mark.parametrize("base", BASES)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=12))
def test_changed_bytes_give_pixels_or_an_input_error(
    make_file: Make, base: str, changes: list[tuple[float, int]]
) -> None:
    content = bytearray(make_file(np.arange(64, dtype=np.uint16).reshape(8, 8), **BASES[base]))
    for place, byte in changes:
        content[128 + int(place * (len(content) - 128))] = byte
    try:
        brightness = open_image(bytes(content)).display()
    except InputError:
        return
    assert brightness.dtype == np.float32
    assert 0 <= brightness.min() <= brightness.max() <= 1


JP2 = b"\x00\x00\x00\x0cjP  \r\n\x87\n"


@pytest.mark.parametrize(
    ("frame", "syntax"),
    [
        (JP2 + bytes(200), JPEG2000Lossless),  # a box of no length: pydicom would stay there for ever
        (JP2 + b"\0\0\0\x08free" * 5000 + b"\0\0\0\0jp2c", JPEG2000Lossless),
        (b"\xff\xd8" + bytes(500_000), JPEGLosslessSV1),
        (b"\xff" * 500_000, JPEGLSLossless),
        (b"\xff\xd8" + b"\xff\xe0\x00\x00" * 5000, JPEGBaseline8Bit),
        (b"\xff\xd8" + b"\xff\xe0\x00\x02" * 50_000, JPEGBaseline8Bit),
    ],
)
def test_headers_of_streams_that_lead_nowhere(make_dataset: Any, write_bytes: Any, frame: bytes, syntax: str) -> None:
    with pytest.raises(DecodeError, match="no readable header"):
        open_image(_compressed(make_dataset, write_bytes, 8, 8, frame, syntax)).stored()


def test_a_frame_that_kills_the_decoder_is_an_error(make_dataset: Any, write_bytes: Any) -> None:
    frame = bytes.fromhex("ffd8 ffc3000b1f0010001001011100 ffda0008010100010000") + bytes(range(200))
    with pytest.raises(DecodeError, match="damaged"):
        open_image(_compressed(make_dataset, write_bytes, 16, 16, frame, JPEGLosslessSV1)).stored()


def test_nothing_is_printed(tmp_path: Path, make_file: Make, grey: NDArray[np.uint16]) -> None:
    content = bytearray(make_file(grey, syntax=JPEG2000Lossless))
    content[-600:-300] = zlib.compress(bytes(100)).ljust(300, b"\x55")
    path = tmp_path / "damaged.dcm"
    path.write_bytes(content)
    program = (
        "import sys; from pathlib import Path; from medground.dicom.image import open_image\n"
        "from medground.schema.errors import InputError\n"
        "try: open_image(Path(sys.argv[1])).stored()\n"
        "except InputError: pass"
    )
    repository = Path(__file__).resolve().parents[2]
    run = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, cwd=repository, check=True)
    assert run.stdout == b""
    assert run.stderr == b""
