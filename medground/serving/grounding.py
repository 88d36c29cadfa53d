"""Grounding: from a job's images to the files of its result."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import cast

import pydicom

from medground.dicom.found import Found
from medground.dicom.series import Opener
from medground.dicom.sr.review import name_predecessor
from medground.dicom.untrusted import UntrustedReader
from medground.inference.gather import gather
from medground.inference.ground import Grounded, ground
from medground.inference.pictures import draw_answers
from medground.inference.reader import Reader
from medground.inference.reports import study_reports, with_warnings
from medground.serving.jobs import Job
from medground.serving.objects import ObjectStore
from medground.serving.result_file import DICOM_FORMATS, JSON, OVERLAY, SR, ResultFile, part10


class CancelledError(Exception):
    """Whoever asked no longer wants it."""


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
