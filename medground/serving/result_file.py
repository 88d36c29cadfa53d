"""The files of a result, and the images that it is about."""

from __future__ import annotations

import io
from dataclasses import dataclass

from pydicom import Dataset
from sqlalchemy import Engine, select

from medground.dicom.found import Found
from medground.serving.database import instances, job_instances
from medground.serving.objects import ObjectStore, Stored

SR = "sr"
DICOM_FORMATS = (SR, "gsps")
JSON, OVERLAY, SIGNED = "json", "overlay", "signed"


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


def part10(dataset: Dataset) -> bytes:
    """A data set as a file (PS3.10)."""
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
