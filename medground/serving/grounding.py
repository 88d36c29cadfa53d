"""Grounding: from a job's images to the files of its result."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

import pydicom
from pydicom import Dataset
from sqlalchemy import Engine, select

from medground.dicom.found import Found
from medground.dicom.series import Opener
from medground.dicom.sr.review import name_predecessor
from medground.dicom.untrusted import UntrustedReader
from medground.inference.gather import gather
from medground.inference.ground import Grounded, ground
from medground.inference.pictures import draw_answers
from medground.inference.reader import Reader
from medground.inference.reports import study_reports, with_warnings
from medground.serving.database import instances, job_instances
from medground.serving.jobs import Job
from medground.serving.objects import ObjectStore, Stored

SR = "sr"
DICOM_FORMATS = (SR, "gsps")
JSON, OVERLAY, SIGNED = "json", "overlay", "signed"


class CancelledError(Exception):
    """Whoever asked no longer wants it."""


@dataclass(frozen=True, slots=True)
class ResultFile:
    """A file of a result, in the store.

    Attributes:
        kind: `json`, `sr`, `gsps` or `overlay`.
        number: counted from 1 within its kind.
        sop_uid: of a DICOM object; empty for other files.
        stored: the file.
    """

    kind: str
    number: int
    sop_uid: str
    stored: Stored


def files_of(engine: Engine, store: ObjectStore, job_id: str) -> list[Found]:
    """The images of a job, each called by its SOP Instance UID: paths of the machine are nobody's business.

    Raises:
        FileNotFoundError: one is missing from the store.
    """
    statement = (
        select(instances.c.sop_uid, instances.c.sha256)
        .join(job_instances, job_instances.c.instance_id == instances.c.id)
        .where(job_instances.c.job_id == job_id)
        .order_by(instances.c.sop_uid)
    )
    with engine.connect() as connection:
        rows = connection.execute(statement).all()
    found = [Found(row.sop_uid, store.path(row.sha256)) for row in rows]
    if not all(one.path.is_file() for one in found):
        raise FileNotFoundError("an image is missing from the store")
    return found


def answer(
    job: Job,
    found: list[Found],
    reader: Reader,
    untrusted: UntrustedReader,
    *,
    progress: Callable[[int, int], bool],
) -> Grounded:
    """Ask a job's questions of its images.

    Args:
        job: what is asked.
        found: its images.
        reader: the model.
        untrusted: decodes pixels in processes of their own.
        progress: told how many of how many images have been looked at; returns False to stop.

    Raises:
        InputError: nothing could be decoded.
        CancelledError: `progress` said so.
    """

    def noted(done: int, total: int) -> None:
        if not progress(done, total):
            raise CancelledError(job.job_id)

    # An UntrustedImage answers like a DicomImage; gather and reports know no other.
    gathered = gather(found, opener=cast(Opener, untrusted.open))
    return ground(gathered, job.request.to_request(), reader, progress=noted)


def result_files(grounded: Grounded, store: ObjectStore, earlier: bytes | None = None) -> Iterator[ResultFile]:
    """Write a result into the store: JSON, structured reports, presentation states, and pictures.

    Args:
        grounded: the result.
        store: where files lie.
        earlier: the report on fewer images of the study, as a DICOM file, which the new one then names.
    """
    before = pydicom.dcmread(io.BytesIO(earlier)) if earlier else None  # our own file, by its digest
    warnings, objects = [], []
    for study, answered in zip(grounded.studies, grounded.result.studies, strict=True):
        reports = study_reports(study, answered, grounded.result, DICOM_FORMATS)
        warnings.append(reports.warnings)
        objects += [(format_, one) for format_, made in reports.objects.items() for one in made]
    for kind in DICOM_FORMATS:
        for number, one in enumerate((made for format_, made in objects if format_ == kind), start=1):
            if before is not None and kind == SR:
                name_predecessor(one, before)
            yield ResultFile(kind, number, str(one.SOPInstanceUID), store.add(part10(one)))
    for number, picture in enumerate(draw_answers(grounded), start=1):
        buffer = io.BytesIO()
        picture.drawn.save(buffer, format="PNG")
        yield ResultFile(OVERLAY, number, "", store.add(buffer.getvalue()))
    written = with_warnings(grounded.result, warnings).model_dump_json(indent=2)
    yield ResultFile(JSON, 1, "", store.add(written.encode()))


def part10(dataset: Dataset) -> bytes:
    """A data set as a file (PS3.10)."""
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
