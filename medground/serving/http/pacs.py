"""`/v1/pacs`: looking for studies in an archive, and fetching them, through us."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from medground.audit.event import Action, ObjectKind
from medground.schema.errors import InputError
from medground.serving.access.scope import Principal
from medground.serving.dicom_receiver.dicom_web import DicomWebArchive
from medground.serving.dicom_receiver.found_study import StudyFilter
from medground.serving.http.problems import ProblemError, problems
from medground.serving.http.security import MayGround, MayRead, ServiceOf, address_of
from medground.serving.http.views import StoredView
from medground.serving.intake import Accepted, Origin, Sender, read_file
from medground.serving.service import Service

router = APIRouter(prefix="/v1/pacs", tags=["pacs"])
Source = Annotated[str, Query(max_length=64, description="name of an archive in the config that has `pull`")]
StudyUid = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)*$", max_length=64)]
StudyDate = r"^(\d{8}(-\d{8})?|\d{8}-|-\d{8})$"


class FoundStudyView(BaseModel):
    """A study that an archive has."""

    study_instance_uid: str
    patient_id: str
    patient_name: str
    accession_number: str
    study_date: str
    description: str
    modalities: tuple[str, ...]
    instances: int | None


class ArchiveSearch(BaseModel):
    """What to look for; what is left out does not matter. In a body, so that no URL names a patient."""

    model_config = {"extra": "forbid"}
    source: str = Field(max_length=64)
    patient_id: str | None = Field(default=None, max_length=64)
    accession_number: str | None = Field(default=None, max_length=16)
    study_date: str | None = Field(default=None, pattern=StudyDate)
    modality: str | None = Field(default=None, max_length=16)
    at_most: int = Field(default=100, ge=1, le=1000)


class StudyPull(BaseModel):
    """A study to fetch."""

    model_config = {"extra": "forbid"}
    source: str = Field(max_length=64)
    study_instance_uid: StudyUid


@router.get("/sources", responses=problems())
def sources(service: ServiceOf, who: MayRead) -> tuple[str, ...]:
    """Names of the archives that the tenant may search and fetch from: `source` of the other routes."""
    return tuple(name for name in sorted(service.pulls) if service.config.destinations[name].serves(who.tenant))


@router.get("/destinations", responses=problems())
def destinations(service: ServiceOf, who: MayRead) -> tuple[str, ...]:
    """Names of the archives that the tenant may send results to: `deliver_to` of a question and of a signature."""
    given = service.config.destinations
    return tuple(name for name in sorted(given) if given[name].serves(who.tenant))


def check_destinations(service: Service, who: Principal, names: Sequence[str]) -> None:
    """Refuse names of archives that results of a tenant cannot be sent to.

    Raises:
        ProblemError: the config has none of that name for the tenant.
    """
    if not set(names) <= set(destinations(service, who)):
        raise ProblemError(422, "unknown-destination", "deliver_to names a destination that the config has not")


@router.get("/studies", responses=problems(404, 422, 502))
def studies(
    request: Request,
    service: ServiceOf,
    who: MayRead,
    source: Source,
    study_date: Annotated[str | None, Query(pattern=StudyDate)] = None,
    modality: Annotated[str | None, Query(max_length=16)] = None,
    at_most: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> tuple[FoundStudyView, ...]:
    """Studies of an archive by date and modality; to look for a patient, `POST /v1/pacs/studies/search`."""
    wanted = ArchiveSearch(source=source, study_date=study_date, modality=modality, at_most=at_most)
    return _found(request, service, who, wanted)


@router.post("/studies/search", responses=problems(400, 404, 413, 422, 502))
def search(request: Request, service: ServiceOf, who: MayRead, wanted: ArchiveSearch) -> tuple[FoundStudyView, ...]:
    """Studies of an archive."""
    return _found(request, service, who, wanted)


@router.post("/studies/pull", responses=problems(400, 404, 409, 413, 422, 502), status_code=201)
def pull(request: Request, service: ServiceOf, who: MayGround, wanted: StudyPull) -> StoredView:
    """Fetch a study from an archive and store it; it is then asked about by `study` in `POST /v1/ground`."""
    return pull_study(request, service, who, wanted.source, wanted.study_instance_uid)


def pull_study(request: Request, service: Service, who: Principal, source: str, uid: str) -> StoredView:
    """Fetch and store a study.

    Raises:
        ProblemError: no such archive or study.
        PeerError: the archive does not answer as it should.
        InputError: nothing of it is an image that can be read.
    """
    archive = _archive(service, who, source)
    accepted: list[Accepted] = []
    refused: dict[str, int] = {}
    first: InputError | None = None
    sender = Sender(who.tenant, Origin.PULL)
    with service.store.incoming_folder() as folder:
        files = archive.fetch_study(uid, folder)
        if not files:
            raise ProblemError(404, "not-found", "the archive has no such study")
        for path in files:
            with service.store.incoming() as incoming:
                read_file(path, incoming)
                try:
                    accepted.append(service.intake.accept(incoming, sender))
                except InputError as error:
                    kind = type(error).__name__
                    refused[kind] = refused.get(kind, 0) + 1
                    first = first or error
            path.unlink()
    if not accepted and first is not None:
        raise first
    keys = tuple(dict.fromkeys(one.study_key for one in accepted))
    new = sum(one.is_new for one in accepted)
    for key in keys:
        about = (ObjectKind.STUDY, key)
        service.record(who, Action.STUDY_STORED, source=address_of(request), about=about, images=new, origin="pull")
    return StoredView(studies=keys, accepted=len(accepted), new=new, refused=refused)


def _found(request: Request, service: Service, who: Principal, wanted: ArchiveSearch) -> tuple[FoundStudyView, ...]:
    filters = StudyFilter(
        patient_id=wanted.patient_id,
        accession_number=wanted.accession_number,
        study_date=wanted.study_date,
        modality=wanted.modality,
        at_most=wanted.at_most,
    )
    found = _archive(service, who, wanted.source).find_studies(filters)
    service.record(who, Action.STUDIES_SEARCHED, source=address_of(request), studies=len(found), origin="pacs")
    return tuple(
        FoundStudyView(
            study_instance_uid=one.study_instance_uid,
            patient_id=one.patient_id,
            patient_name=one.patient_name,
            accession_number=one.accession_number,
            study_date=one.study_date,
            description=one.description,
            modalities=one.modalities,
            instances=one.instances,
        )
        for one in found
    )


def _archive(service: Service, who: Principal, source: str) -> DicomWebArchive:
    archive = service.pulls.get(source)
    if archive is None or not service.config.destinations[source].serves(who.tenant):
        raise ProblemError(404, "not-found", "the config has no archive of that name with `pull`")
    return archive
