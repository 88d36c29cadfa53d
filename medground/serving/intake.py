"""Intake: an image object from outside becomes a file in the store and a row in the database, or is refused.

Only once both are on the disk is the sender told so. The header is read here, in pure Python and within tight limits;
pixels are touched later, in processes of their own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pydicom import Dataset
from sqlalchemy import Connection, Engine, select

from medground.dicom.elements import text
from medground.dicom.header import ImageHeader
from medground.dicom.image import open_image
from medground.dicom.limits import Limits
from medground.schema.errors import InputError, UnreadableFileError
from medground.serving.database import insert_new, instances, studies, writing
from medground.serving.instance_views import add_view
from medground.serving.objects import Incoming, ObjectStore
from medground.serving.plain_text import plain_text
from medground.serving.viewing import view_of

HEADER_LIMITS = Limits(max_header_bytes=2**24, max_elements=300_000, max_inflated_bytes=2**28)
_SEPARATOR = "\\"


class Origin(StrEnum):
    """Which way an image came in."""

    HTTP = "http"
    DICOM = "dicom"
    PULL = "pull"


class ConflictError(InputError):
    """Another object with the same SOP Instance UID is here already."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends: the tenant it belongs to, and for DICOM the calling AE title."""

    tenant: str
    origin: Origin
    calling_ae: str = ""


@dataclass(frozen=True, slots=True)
class Accepted:
    """An instance that is here to stay.

    Attributes:
        instance_id: of its row.
        study_key: of its study; opaque, the same whenever the same tenant sends the same study.
        sop_instance_uid: its UID.
        is_new: False if exactly this object was here before.
    """

    instance_id: int
    study_key: str
    sop_instance_uid: str
    is_new: bool


def study_key(tenant: str, study_instance_uid: str) -> str:
    """What a study is known by in URLs, logs and jobs: 24 hexadecimal digits that tell nothing."""
    return hashlib.sha256(f"{tenant}\n{study_instance_uid}".encode()).hexdigest()[:24]


class Intake:
    """Accepts image objects.

    Args:
        engine: the database.
        store: where files lie.
        now_us: microseconds since 1970, UTC.
        limits: on one file; its header is held to `HEADER_LIMITS`.
    """

    def __init__(
        self, engine: Engine, store: ObjectStore, now_us: Callable[[], int], limits: Limits = HEADER_LIMITS
    ) -> None:
        self._engine, self._store, self._now_us, self._limits = engine, store, now_us, limits

    def accept(self, incoming: Incoming, sender: Sender) -> Accepted:
        """Keep a file that was written into the store's `incoming`.

        Raises:
            InputError: no image object, damaged, beyond the limits, or without the UIDs it is known by.
            ConflictError: its SOP Instance UID is taken by another object, which is kept.
        """
        incoming.finish()
        image = open_image(incoming.path, limits=self._limits)
        header = image.header
        if not (header.sop_instance_uid and header.study_instance_uid and header.series_instance_uid):
            raise UnreadableFileError("the object lacks a SOP, series or study instance UID: export it again")
        view = view_of(image)
        stored = self._store.keep(incoming)
        now = self._now_us()
        key = study_key(sender.tenant, header.study_instance_uid)
        row = {
            "tenant": sender.tenant,
            "sop_uid": header.sop_instance_uid,
            "sop_class_uid": plain_text(header.sop_class_uid, 64),
            "series_uid": header.series_instance_uid,
            "study_key": key,
            "transfer_syntax_uid": plain_text(header.transfer_syntax_uid, 64),
            "modality": plain_text(header.modality, 16),
            "frames": header.frames,
            "sha256": stored.sha256,
            "size_bytes": stored.size_bytes,
            "received_us": now,
        }
        with writing(self._engine) as connection:
            is_new = insert_new(connection, instances, row)
            known = connection.execute(
                select(instances.c.id, instances.c.sha256, instances.c.study_key).where(
                    instances.c.tenant == sender.tenant, instances.c.sop_uid == header.sop_instance_uid
                )
            ).one()
            if known.sha256 != stored.sha256:
                raise ConflictError(
                    "another object with the same SOP Instance UID is here already: "
                    "an object that was changed needs a new UID"
                )
            if is_new:
                add_view(connection, known.id, view)
                _touch_study(connection, sender, header, image.dataset, key, now)
        return Accepted(known.id, key, header.sop_instance_uid, is_new)


def _touch_study(
    connection: Connection, sender: Sender, header: ImageHeader, dataset: Dataset, key: str, now: int
) -> None:
    """Open the study again, since an image of it is new."""
    here = (studies.c.tenant == sender.tenant) & (studies.c.study_key == key)
    modality, body_part = plain_text(header.modality, 16), plain_text(header.body_part, 64)
    insert_new(
        connection,
        studies,
        {
            "tenant": sender.tenant,
            "study_key": key,
            "study_uid": header.study_instance_uid,
            "patient_name": plain_text(text(dataset, "PatientName"), 256),
            "patient_id": plain_text(text(dataset, "PatientID"), 128),
            "study_date": plain_text(text(dataset, "StudyDate"), 16),
            "accession_number": plain_text(text(dataset, "AccessionNumber"), 64),
            "description": plain_text(text(dataset, "StudyDescription"), 256),
            "modalities": "",
            "body_parts": "",
            "calling_ae": sender.calling_ae,
            "images": 0,
            "first_received_us": now,
            "last_received_us": now,
            "is_open": sender.origin is Origin.DICOM,
        },
    )
    found = connection.execute(select(studies).where(here).with_for_update()).one()
    connection.execute(
        studies.update()
        .where(here)
        .values(
            images=found.images + 1,
            last_received_us=now,
            modalities=_joined(found.modalities, modality, 128),
            body_parts=_joined(found.body_parts, body_part, 256),
            calling_ae=sender.calling_ae or found.calling_ae,
            is_open=found.is_open or sender.origin is Origin.DICOM,
        )
    )


def _joined(listed: str, value: str, at_most: int) -> str:
    """Values once each, in the order they came, as DICOM joins them."""
    values = [*listed.split(_SEPARATOR), value] if listed else [value]
    return _SEPARATOR.join(dict.fromkeys(one for one in values if one))[:at_most]


def read_file(path: Path, incoming: Incoming, *, chunk_bytes: int = 2**20) -> None:
    """Copy a file into the store's `incoming`."""
    with path.open("rb") as file:
        while data := file.read(chunk_bytes):
            incoming.write(data)
