"""Phantom studies salted with canaries wherever an identity can sit, de-identified, and searched to the last byte.

    python -m pipelines deidentify-canaries --studies 500 --seed 0

Two studies make a patient. The studies take turns in modality (film, CT series), transfer syntax and options; each
carries all canaries of `PLACES` in its header, and others in its pixel data, behind its data set and in its file name.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import shutil
import sys
import tempfile
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian

from medground.dicom.deidentify.options import Options
from medground.dicom.deidentify.pseudonyms import Pseudonyms
from medground.dicom.deidentify.report import Outcome, Report
from medground.dicom.deidentify.run import deidentify
from medground.dicom.discover import discover
from medground.dicom.image import open_image
from medground.dicom.series import Series
from pipelines.canary_places import PLACES, Canary
from pipelines.canary_studies import MARK, PLACES_IN_BYTES, SaltedStudy, write_studies

_IMAGE_HEADER: Final = (
    "rows", "columns", "frames", "spacing_mm", "spacing_source", "image_position_mm", "image_orientation",
    "patient_orientation", "slice_thickness_mm", "instance_number", "image_laterality", "modality", "body_part",
    "view_position", "photometric", "bits_stored", "signed", "image_type", "transfer_syntax_uid",
)  # fmt: skip


@dataclass(slots=True)
class Findings:
    """What the check found wrong, and how much it looked at; `unplanted` canaries are not in the input either."""

    left: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    unplanted: list[str] = field(default_factory=list)
    files: int = 0
    frames: int = 0
    canaries: int = 0


def is_in(haystack: bytes, one: Canary, *, da: bool) -> bool:
    """Whether a canary stands in small letters among bytes: its word, its digits or, in any form, its date.

    Args:
        haystack: all that was written of a study, small letters.
        one: what to look for.
        da: look for the date as DICOM writes it, too; a moved date may be equal to another canary's by chance.
    """
    day = one.day
    texts = [one.word, one.digits, *(f"{day:{form}}" for form in ("%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%d %b %Y"))]
    forms = (text.lower().encode(encoding) for text in texts for encoding in ("utf-8", "utf-16-le", "utf-16-be"))
    # Not after a digit: eight digits turn up in the middle of one in some hundred thousand new UIDs.
    dated = da and re.search(rb"(?<!\d)" + one.da.encode(), haystack)
    return any(form in haystack for form in forms) or bool(dated)


def check(studies: Sequence[SaltedStudy], out: Path, key: bytes, options: Options) -> Findings:
    """Search the output for every canary, and compare every image with what it was.

    Args:
        studies: as they were written.
        out: the output folder.
        key: of the pseudonyms, which says which output belongs to which input.
        options: of the run. Moved dates may by chance be a date of the input: then only birth dates are searched.
    """
    findings, pseudonyms = Findings(), Pseudonyms(key)
    folders: dict[str, bytes] = {}
    for path in sorted(out.rglob("*")):
        if path.is_file():
            raw = path.read_bytes()
            text = _everything(raw) if path.suffix == ".dcm" else raw.lower()
            top = path.relative_to(out).parts[0]
            folders[top] = folders.get(top, b"") + b"\n" + text + b"\n" + path.name.lower().encode()
            findings.files += path.suffix == ".dcm"
            findings.left += [f"a canary in {path.relative_to(out)}"] if MARK.lower().encode() in text else []
    for study in studies:
        planted = b"\n".join(_everything(path.read_bytes()) + path.name.lower().encode() for path in study.files)
        original = dcmread(study.files[-1], stop_before_pixels=True)
        haystack = folders[pseudonyms.name(pseudonyms.uid(original.StudyInstanceUID))]
        for place, one in study.canaries.items():
            da = not options.shift_dates or place == "birth date"
            findings.canaries += 1
            if not is_in(planted, one, da=True):
                findings.unplanted.append(f"{place} of {study.patient_id}")
            if is_in(haystack, one, da=da):
                findings.left.append(f"{place} of {study.patient_id}")
        _compare(study, out, pseudonyms, options, findings)
    return findings


def _everything(raw: bytes) -> bytes:
    """The bytes of a file, inflated where it is deflated, and all its values as text, without the pixels."""
    dataset = dcmread(io.BytesIO(raw))
    inflated = b""
    if dataset.file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian:
        start = 144 + int(dataset.file_meta.FileMetaInformationGroupLength)
        inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(raw[start:])
    return (raw + b"\n" + inflated + b"\n" + str(dataset).encode()).lower()


def _compare(study: SaltedStudy, out: Path, pseudonyms: Pseudonyms, options: Options, findings: Findings) -> None:
    """Pixels, geometry, order and relations of one study."""
    before = discover([path.parent for path in study.files[:1]]).studies
    folder = out / pseudonyms.name(pseudonyms.uid(dcmread(study.files[-1]).StudyInstanceUID))
    after = discover([folder]).studies
    if len(before) != 1 or len(after) != 1 or len(before[0].series) != len(after[0].series):
        findings.changed.append(f"studies and series of {study.patient_id}")
        return
    for one, other in zip(before[0].series, after[0].series, strict=True):
        findings.changed += _series_changes(one, other, pseudonyms, findings)
    alias = pseudonyms.patient(study.patient_id)
    for path in folder.rglob("*.dcm"):
        dataset = dcmread(path)
        shift_ok = not options.shift_dates or _shift_of(study, dataset) == pseudonyms.shift_days(study.patient_id)
        if (dataset.PatientID, str(dataset.PatientName)) != (alias, alias) or not shift_ok:
            findings.changed.append(f"patient or dates of {path.name}")
        if dataset.Modality == "SR":
            evidence = dataset.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
            uids = {instance.header.sop_instance_uid for series in after[0].series for instance in series.instances}
            if evidence.ReferencedSOPSequence[0].ReferencedSOPInstanceUID not in uids:
                findings.changed.append(f"references of {path.name}")


def _shift_of(study: SaltedStudy, dataset: Dataset) -> int:
    day = str(dataset.StudyDate)
    return (date(int(day[:4]), int(day[4:6]), int(day[6:])) - study.canaries["study date"].day).days


def _series_changes(before: Series, after: Series, pseudonyms: Pseudonyms, findings: Findings) -> list[str]:
    changes = []
    expected = [pseudonyms.uid(one.header.sop_instance_uid) for one in before.instances]
    if [one.header.sop_instance_uid for one in after.instances] != expected:
        changes.append("order of a series")
    if (before.is_volume, before.warnings) != (after.is_volume, after.warnings):
        changes.append("what a series is")
    for one, other in zip(before.instances, after.instances, strict=True):
        first, second = open_image(one.found.path), open_image(other.found.path)
        for frame in range(1, first.header.frames + 1):
            findings.frames += 1
            same = np.array_equal(first.stored(frame), second.stored(frame))
            same = same and np.array_equal(first.display(frame), second.display(frame))
            if not same or first.frame_geometry(frame) != second.frame_geometry(frame):
                changes.append(f"pixels of {other.found.path.name}")
        for name in _IMAGE_HEADER:
            if getattr(first.header, name) != getattr(second.header, name):
                changes.append(f"{name} of {other.found.path.name}")
    return changes


def run(studies: int, seed: int, folder: Path) -> tuple[Report, Report, Findings, Findings]:
    """Write the studies, de-identify them without and with moved dates, and check both outputs.

    Args:
        studies: how many.
        seed: of phantoms and canaries.
        folder: an empty one.
    """
    salted = write_studies(studies, seed, folder / "source")
    key = seed.to_bytes(32, "big")
    done = []
    for name, options in (("removed", Options()), ("moved", Options(shift_dates=True))):
        report = deidentify(folder / "source", folder / name, options, key)
        done.append((report, check(salted, folder / name, key, options)))
    (first, first_found), (second, second_found) = done
    return first, second, first_found, second_found


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print the figures as JSON, and fail if a canary is left or an image changed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--studies", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    start, folder = time.monotonic(), Path(tempfile.mkdtemp(prefix="canaries-"))
    try:
        *reports, removed, moved = run(arguments.studies, arguments.seed, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    figures = {
        "studies": arguments.studies,
        "places": len(PLACES) + len(PLACES_IN_BYTES),
        "files": removed.files,
        "frames compared": removed.frames + moved.frames,
        "canaries searched": removed.canaries + moved.canaries,
        "canaries left": len(removed.left) + len(moved.left),
        "canaries that the search cannot find in the input": len(removed.unplanted) + len(moved.unplanted),
        "images changed": len(removed.changed) + len(moved.changed),
        "refused": sum(report.count(Outcome.REFUSED) for report in reports),
        "values searched by the command's own scan": sum(report.scan.values for report in reports),
        "seconds": round(time.monotonic() - start),
    }
    print(json.dumps(figures, indent=2))
    wrong = [*removed.left, *removed.changed, *removed.unplanted, *moved.left, *moved.changed, *moved.unplanted]
    for what in wrong[:20]:
        print(f"wrong: {what}", file=sys.stderr)
    return 1 if wrong or figures["refused"] else 0


if __name__ == "__main__":
    sys.exit(main())
