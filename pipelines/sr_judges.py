"""Writes random results as DICOM objects, reads them back, and has programs by others judge them.

::

    python -m pipelines sr-judges --count 2000 --seed 0 --kind both
    python -m pipelines sr-judges --count 2000 --start 800        # go on with result 800 after an interruption
    python -m pipelines sr-judges --count 2000 --what gsps,seg    # presentation states and segmentations

Judges of a structured report: dciodvfy (Debian dicom3tools), PixelMed's DicomSRValidator (libpixelmed-java), the
adapter that OHIF hydrates reports with (npm, @cornerstonejs/adapters), and our own reader against the truth. The other
objects are judged by dciodvfy.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from pydicom import Dataset
from pydicom.uid import (
    ColorSoftcopyPresentationStateStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    SegmentationStorage,
)

from medground.dicom.gsps import write_gsps
from medground.dicom.image import DicomImage
from medground.dicom.seg import write_seg
from medground.dicom.sr import SrKind, write_sr
from medground.schema.errors import MedgroundError
from medground.schema.result import ModelInfo, Settings, StudyResult
from pipelines.judges import dciodvfy, pixelmed, read_back
from pipelines.judges.complaint import Complaint
from pipelines.judges.ohif import hydrate
from pipelines.judges.random_results import random_case
from pipelines.judges.tally import Tally

CHUNK = 100  # files that one Java and one Node process judge
_WRITER = "written"
_REPORTS = {SrKind.COMPREHENSIVE: "ComprehensiveSR", SrKind.COMPREHENSIVE_3D: "Comprehensive3DSR"}
_KINDS = {
    "comprehensive": (SrKind.COMPREHENSIVE,),
    "comprehensive3d": (SrKind.COMPREHENSIVE_3D,),
    "both": tuple(SrKind),
}
_OTHERS = {  # as dciodvfy names them
    GrayscaleSoftcopyPresentationStateStorage: "GrayscaleSoftcopyPresentationState",
    ColorSoftcopyPresentationStateStorage: "ColorSoftcopyPresentationState",
    SegmentationStorage: "Segmentation",
}
_Writer = Callable[[StudyResult, ModelInfo, Settings, Mapping[str, DicomImage]], tuple[Dataset, ...]]
_WRITERS: dict[str, _Writer] = {"gsps": write_gsps, "seg": write_seg}


def judge_reports(kind: SrKind, indices: Sequence[int], seed: int, folder: Path, tally: Tally) -> None:
    """Write random results as structured reports, have every judge look at them, and add to the tally.

    Args:
        kind: of document.
        indices: of the random results.
        seed: of the random results.
        folder: where the reports are written.
        tally: added to.

    Raises:
        UsageError: a judge is not installed.
    """
    reports, cases = [], []
    for index in indices:
        case = random_case(seed, index)
        file = folder / f"{kind.name.lower()}-{seed}-{index}.dcm"
        complaints = []
        try:
            report = write_sr(case.study, case.model, case.settings, case.images, kind=kind)
            report.save_as(file, enforce_file_format=True)
            reports.append(hydrate.Report(file, case.study, case.images))
            cases.append(case)
        except MedgroundError as error:
            complaints.append(Complaint(_WRITER, file, f"not written: {error}"))
        tally.count(kind, case.study)
        tally.add(kind, _WRITER, [file], complaints)
    files = [report.file for report in reports]
    tally.add(kind, dciodvfy.NAME, files, dciodvfy.judge(files, iod=_REPORTS[kind]))
    tally.add(kind, pixelmed.NAME, files, pixelmed.judge(files))
    tally.add(kind, hydrate.NAME, files, hydrate.judge(reports))
    for file, case in zip(files, cases, strict=True):
        tally.add(kind, read_back.NAME, [file], read_back.judge(file, case))


def judge_others(what: str, indices: Sequence[int], seed: int, folder: Path, tally: Tally, *, keep: bool) -> None:
    """Write random results as presentation states or segmentations, and have dciodvfy look at them.

    Args:
        what: `gsps` or `seg`.
        indices: of the random results.
        seed: of the random results.
        folder: where the objects are written.
        tally: added to.
        keep: leave the files; segmentations of a chunk may take gigabytes.

    Raises:
        UsageError: dciodvfy is not installed.
    """
    for index in indices:
        case = random_case(seed, index)
        stem = folder / f"{what}-{seed}-{index}"
        try:
            objects = _WRITERS[what](case.study, case.model, case.settings, case.images)
        except MedgroundError as error:
            tally.add(what, _WRITER, [stem], [Complaint(_WRITER, stem, f"not written: {error}")])
            continue
        tally.count(what, case.study, len(objects))
        for number, written in enumerate(objects):
            file = stem.with_name(f"{stem.name}-{number}.dcm")
            written.save_as(file, enforce_file_format=True)
            tally.add(what, _WRITER, [file], [])
            tally.add(what, dciodvfy.NAME, [file], dciodvfy.judge([file], iod=_OTHERS[written.SOPClassUID]))
            if not keep:
                file.unlink()


def main(argv: Sequence[str] | None = None) -> int:
    """Judge and report; an interruption ends with the table of what was judged until then."""
    arguments = _arguments(argv)
    tally, start = Tally(), time.monotonic()
    starts = range(arguments.start, arguments.count, CHUNK)
    chunks = [range(low, min(low + CHUNK, arguments.count)) for low in starts]
    work = [(name, judge, indices) for indices in chunks for name, judge in _judges(arguments)]
    interrupted = False
    try:
        for done, (name, judge, indices) in enumerate(work, start=1):
            with _folder(arguments.keep) as folder:
                judge(indices, arguments.seed, folder, tally)
            seconds = time.monotonic() - start
            print(
                f"{done}/{len(work)}: {name} {indices.start}..{indices.stop - 1}, {len(tally.complaints)} errors so "
                f"far, {seconds:.0f} s, about {seconds / done * (len(work) - done):.0f} s to go",
                flush=True,
            )
    except KeyboardInterrupt:
        interrupted = True
        print("interrupted: what follows is of the chunks above and of part of the next")
    for what, complaint in tally.complaints[: arguments.show]:
        print(f"{what}: {complaint.judge}: {complaint.file.name}: {complaint.text[:400]}")
    print(tally.table())
    return 1 if tally.complaints or interrupted else 0


def _judges(arguments: argparse.Namespace) -> Iterator[tuple[str, Callable[[Sequence[int], int, Path, Tally], None]]]:
    """The kinds of object asked for, each with what judges them."""
    for what in arguments.what:
        if what == "sr":
            yield from ((kind, partial(judge_reports, kind)) for kind in _KINDS[arguments.kind])
        else:
            yield what, partial(judge_others, what, keep=arguments.keep is not None)


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m pipelines sr-judges", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=2000, help="results of the whole run (default 2000)")
    parser.add_argument("--start", type=int, default=0, help="go on with this result (default 0)")
    parser.add_argument("--seed", type=int, default=0, help="of the random results (default 0)")
    parser.add_argument("--what", type=_what, default=("sr",), help="any of sr,gsps,seg (default sr)")
    parser.add_argument("--kind", choices=sorted(_KINDS), default="both", help="of report (default both)")
    parser.add_argument("--keep", type=Path, help="folder to leave the files in; they are deleted otherwise")
    parser.add_argument("--show", type=int, default=20, help="complaints to print (default 20)")
    return parser.parse_args(argv)


def _what(words: str) -> tuple[str, ...]:
    chosen = tuple(words.split(","))
    if not set(chosen) <= {"sr", *_WRITERS}:
        raise argparse.ArgumentTypeError(f"{words!r} is none of sr, {', '.join(_WRITERS)}, or several with commas")
    return chosen


if __name__ == "__main__":
    sys.exit(main())
