"""`python -m pipelines otherwise`: the same question asked of the same film stored in other ways.

Phantom films are written once, then again in every lossless syntax, inverted, in more bits, with other windows, lying
mirrored or on their side with a header that says so, and compressed with loss. Of each way is told how many findings
are the same to the last bit, how far boxes and scores are off from those of the first file, how many verdicts change,
and whether the answer warns of loss.
"""

from __future__ import annotations

import argparse
import copy
import io
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import gdcm
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.pixels.utils import set_pixel_data
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from medground.data.phantom.chest_radiograph import chest_radiograph
from medground.data.phantom.dicom_study import write_radiograph_study
from medground.evaluation.overlap import iou_matrix
from medground.imaging.upright import Turn
from medground.inference.gather import gather
from medground.inference.ground import ground
from medground.inference.reader import Reader
from medground.inference.request import Request
from medground.model.grounder import load_grounder
from medground.schema.errors import MedgroundError, UsageError
from medground.schema.result import StudyResult, Verdict
from pipelines.hostile_bases import ENCODERS, stream_of_gdcm
from pipelines.sources import say

SEEDS = 7_000_000
SIZE_PX = 1024
QUESTIONS = ("find the lung nodules", "is there a pleural effusion?", "有实变吗", "enlarged heart")
SAME_IOU, SAME_SCORE = 0.95, 0.02
Change = Callable[[Dataset], Dataset]


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to store a film.

    Attributes:
        name: of the row.
        change: makes a new data set of the first one, which it leaves alone.
        turn: how the stored picture has to be turned to lie as it was.
        exact: whether the findings must be the same to the last bit.
        lossy: whether the answer must warn.
    """

    name: str
    change: Change
    turn: Turn = field(default_factory=Turn)
    exact: bool = False
    lossy: bool = False


def variants() -> list[Variant]:
    """All ways, the exact ones first."""
    native = {
        "implicit VR": ImplicitVRLittleEndian,
        "big endian": ExplicitVRBigEndian,
        "deflated": DeflatedExplicitVRLittleEndian,
    }
    coded = {"RLE": RLELossless, "JPEG-LS": JPEGLSLossless, "JPEG 2000": JPEG2000Lossless}
    joint = {
        "JPEG lossless, first predictor": gdcm.TransferSyntax.JPEGLosslessProcess14_1,
        "JPEG lossless": gdcm.TransferSyntax.JPEGLosslessProcess14,
    }
    exact: dict[str, Change] = {
        **{name: partial(_native, syntax=syntax) for name, syntax in native.items()},
        **{name: partial(_coded, syntax=syntax) for name, syntax in coded.items()},
        **{name: partial(_by_gdcm, syntax=syntax) for name, syntax in joint.items()},
        "MONOCHROME1": _inverted,
        "16 bits stored": partial(_with_elements, BitsStored=16, HighBit=15),
        "raised by 500, rescaled back": _raised,
    }
    windows: dict[str, Change] = {
        "window wider by a fifth": partial(_windowed, width=1.2),
        "window wider by half": partial(_windowed, width=1.5),
        "window narrower by a tenth": partial(_windowed, width=0.9),
        "window brighter by a twentieth": partial(_windowed, shift=-0.05),
        "window darker by a twentieth": partial(_windowed, shift=0.05),
        "no window": _unwindowed,
    }
    turns = {
        "mirrored, R\\F": (Turn(mirror_x=True), ["R", "F"]),
        "upside down, L\\H": (Turn(mirror_y=True), ["L", "H"]),
        "turned about, R\\H": (Turn(mirror_x=True, mirror_y=True), ["R", "H"]),
        "on its side, F\\L": (Turn(swap=True), ["F", "L"]),
    }
    lossy: dict[str, Change] = {
        "JPEG, quality 90": partial(_jpeg, quality=90),
        "JPEG, quality 50": partial(_jpeg, quality=50),
        "JPEG-LS, off by 3": partial(_coded, syntax=JPEGLSNearLossless),
        "JPEG 2000, 10:1": partial(_coded, syntax=JPEG2000, j2k_cr=[10]),
    }
    return [
        *(Variant(name, change, exact=True) for name, change in exact.items()),
        *(Variant(name, partial(_turned, turn=turn, letters=to), turn) for name, (turn, to) in turns.items()),
        *(Variant(name, change) for name, change in windows.items()),
        *(Variant(name, change, lossy=True) for name, change in lossy.items()),
    ]


def _fresh(read: Dataset) -> Dataset:
    """The elements without a memory of how they were encoded, so that they may be written in any way."""
    made = Dataset()
    made.update({element.tag: element for element in read})
    made.file_meta = copy.deepcopy(read.file_meta)
    return made


def _pixels(dataset: Dataset) -> NDArray[np.uint16]:
    pixels: NDArray[np.uint16] = np.frombuffer(dataset.PixelData, dtype="<u2").reshape(dataset.Rows, dataset.Columns)
    return pixels


def _with_elements(first: Dataset, **elements: Any) -> Dataset:
    changed = copy.deepcopy(first)
    for keyword, value in elements.items():
        setattr(changed, keyword, value)
    return changed


def _with_values(first: Dataset, pixels: NDArray[Any], **elements: Any) -> Dataset:
    native = np.ascontiguousarray(pixels).astype("<u2").tobytes()
    return _with_elements(first, PixelData=native, Rows=pixels.shape[0], Columns=pixels.shape[1], **elements)


def _native(first: Dataset, *, syntax: UID) -> Dataset:
    changed = copy.deepcopy(first)
    if syntax == ExplicitVRBigEndian:
        changed.PixelData = _pixels(first).byteswap().tobytes()
    changed.file_meta.TransferSyntaxUID = syntax
    return changed


def _coded(first: Dataset, *, syntax: UID, **options: Any) -> Dataset:
    changed = copy.deepcopy(first)
    plugin, usual = ENCODERS[syntax]
    set_pixel_data(changed, _pixels(first), first.PhotometricInterpretation, 12, generate_instance_uid=False)
    changed.compress(syntax, encoding_plugin=plugin, generate_instance_uid=False, **{**usual, **options})
    if syntax in (JPEG2000, JPEGLSNearLossless):
        _say_lossy(changed, first)
    return changed


def _by_gdcm(first: Dataset, *, syntax: int) -> Dataset:
    stream = io.BytesIO()
    first.save_as(stream, enforce_file_format=True)
    coded, uid = stream_of_gdcm(stream.getvalue(), syntax)
    return _encapsulated(copy.deepcopy(first), coded, UID(uid))


def _encapsulated(changed: Dataset, coded: bytes, syntax: UID) -> Dataset:
    changed.PixelData = encapsulate([coded])
    changed["PixelData"].VR = "OB"
    changed["PixelData"].is_undefined_length = True
    changed.file_meta.TransferSyntaxUID = syntax
    return changed


def _say_lossy(changed: Dataset, first: Dataset) -> None:
    changed.LossyImageCompression = "01"
    changed.LossyImageCompressionRatio = round(len(first.PixelData) / len(changed.PixelData), 2)


def _inverted(first: Dataset) -> Dataset:
    most = 4095
    return _with_values(
        first,
        most - _pixels(first),
        PhotometricInterpretation="MONOCHROME1",
        PresentationLUTShape="INVERSE",
        WindowCenter=most + 1 - float(first.WindowCenter),
    )


def _raised(first: Dataset) -> Dataset:
    raised = _pixels(first).astype(np.int64) + 500
    return _with_values(first, raised, RescaleIntercept=-500, BitsStored=13, HighBit=12)


def _windowed(first: Dataset, *, width: float = 1.0, shift: float = 0.0) -> Dataset:
    before = float(first.WindowWidth)
    return _with_elements(
        first, WindowWidth=round(before * width), WindowCenter=float(first.WindowCenter) + shift * before
    )


def _unwindowed(first: Dataset) -> Dataset:
    changed = copy.deepcopy(first)
    del changed.WindowWidth, changed.WindowCenter
    return changed


def _turned(first: Dataset, *, turn: Turn, letters: list[str]) -> Dataset:
    """The picture laid down so that `turn` brings it back; all turns used here are their own inverse."""
    return _with_values(first, turn.apply(_pixels(first).astype(np.float32)), PatientOrientation=letters)


def _jpeg(first: Dataset, *, quality: int) -> Dataset:
    """Eight bits of what the window shows, as cameras and teaching files are."""
    low = float(first.WindowCenter) - 0.5 - (float(first.WindowWidth) - 1) / 2
    shown = np.clip((_pixels(first) - low) / (float(first.WindowWidth) - 1), 0, 1)
    stream = io.BytesIO()
    Image.fromarray(np.rint(shown * 255).astype(np.uint8)).save(stream, "JPEG", quality=quality)
    changed = _with_elements(first, BitsAllocated=8, BitsStored=8, HighBit=7, WindowCenter=128, WindowWidth=256)
    changed = _encapsulated(changed, stream.getvalue(), JPEGBaseline8Bit)
    _say_lossy(changed, first)
    return changed


@dataclass
class Row:
    """What a way of storing came to, over all films and questions.

    Attributes:
        findings: of the first files.
        lost: findings that are not there any more, or new.
        same: findings that are the same to the last bit.
        ious: of each finding and what became of it.
        off: how far the score of each is off.
        verdicts: answers with another verdict.
        warned: films whose result warns of loss.
    """

    findings: int = 0
    lost: int = 0
    same: int = 0
    ious: list[float] = field(default_factory=list)
    off: list[float] = field(default_factory=list)
    verdicts: int = 0
    warned: int = 0
    films: int = 0


def ask(dataset: Dataset, folder: Path, reader: Reader) -> StudyResult:
    """Writes a film and asks all questions of it."""
    path = folder / "film.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return ground(gather([path]), Request(QUESTIONS), reader).result.studies[0]


def tally(row: Row, first: StudyResult, other: StudyResult, turn: Turn, columns: int, rows: int) -> None:
    """Counts how the answers about a film differ from those about its first file, whose size is given."""
    row.films += 1
    row.warned += any("compressed with loss" in warning for warning in other.warnings)
    for before, after in zip(first.answers, other.answers, strict=True):
        row.verdicts += before.verdict != after.verdict
        if Verdict.NOT_FOUND in (before.verdict, after.verdict):
            continue
        left = [(turn.back(f.box_xyxy_px, columns, rows), f.score) for f in after.findings]
        row.findings += len(before.findings)
        row.lost += abs(len(left) - len(before.findings))
        for finding in before.findings:
            if not left:
                break
            ious = iou_matrix([finding.box_xyxy_px], [box for box, _ in left])[0]
            box, score = left.pop(int(np.argmax(ious)))
            row.same += box == finding.box_xyxy_px and score == finding.score
            row.ious.append(float(ious.max()))
            row.off.append(abs(score - finding.score))


def measure(count: int, reader: Reader, ways: Sequence[Variant]) -> dict[str, Row]:
    """Asks of every film in every way."""
    rows = {way.name: Row() for way in ways}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(count):
            film = chest_radiograph(SEEDS + number, size_px=SIZE_PX)
            (path,) = write_radiograph_study(film, folder, photometric="MONOCHROME2")
            first = _fresh(dcmread(path))
            answers = ask(first, folder, reader)
            for way in ways:
                other = ask(way.change(first), folder, reader)
                tally(rows[way.name], answers, other, way.turn, first.Columns, first.Rows)
            say(f"{number + 1} of {count} films")
    return rows


def table(rows: dict[str, Row], ways: Sequence[Variant]) -> str:
    """The ways below each other as Markdown."""
    lines = [
        f"| stored | findings | the same | gone or new | least IoU | IoU >= {SAME_IOU} | score off at most "
        f"| score within {SAME_SCORE} | verdicts changed | warned of loss |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for way in ways:
        row = rows[way.name]
        count = max(len(row.ious), 1)
        near = sum(iou >= SAME_IOU for iou in row.ious) / count
        close = sum(off <= SAME_SCORE for off in row.off) / count
        lines.append(
            f"| {way.name} | {row.findings} | {row.same} | {row.lost} | {min(row.ious, default=1):.3f} | {near:.1%} "
            f"| {max(row.off, default=0):.3f} | {close:.1%} | {row.verdicts} of {row.films * len(QUESTIONS)} "
            f"| {row.warned} of {row.films} |"
        )
    return "\n".join(lines) + "\n"


def _is_as_it_must_be(way: Variant, row: Row, films: int) -> bool:
    """Whether exact ways change nothing, turned ways next to nothing, and the answer warns of loss and only of that."""
    if row.warned != (films if way.lossy else 0):
        return False
    if way.exact:
        return not (row.verdicts or row.lost) and row.same == row.findings
    if way.turn != Turn():
        return not (row.verdicts or row.lost) and all(iou >= SAME_IOU for iou in row.ious)
    return True


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parse = argparse.ArgumentParser(prog="python -m pipelines otherwise", description=__doc__)
    parse.add_argument("--count", type=int, default=20, help="phantom films (default: 20)")
    parse.add_argument("--bundle", type=Path, help="bundle folder (default: the shipped one)")
    parse.add_argument("--out", type=Path, default=Path("out/otherwise.md"), help="file of the table")
    parse.add_argument("--threads", type=int, default=2, help="CPU threads (default: 2)")
    return parse


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; exit code 1 where findings that must be the same differ, or a loss is not told.

    Films on which nothing is found say nothing, so that is an error as well.
    """
    args = parser().parse_args(argv)
    torch.set_num_threads(args.threads)
    try:
        reader, ways = load_grounder(args.bundle, "cpu"), variants()
        rows = measure(args.count, reader, ways)
        if not any(row.findings for row in rows.values()):
            raise UsageError(f"{reader.info.name} finds nothing on {args.count} film(s), so nothing compares: try more")
    except MedgroundError as error:
        say(f"error: {error}")
        return error.exit_code
    text = f"{reader.info.name} {reader.info.version}, {args.count} phantoms of {SIZE_PX} px\n\n{table(rows, ways)}"
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(text, encoding="utf-8")
    print(text)
    bad = [way.name for way in ways if not _is_as_it_must_be(way, rows[way.name], args.count)]
    for name in bad:
        say(f"not as it must be: {name}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
