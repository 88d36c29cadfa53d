"""What is sent to a service, and asked of it, with canaries in whatever the sender may choose."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx
import pydicom
from pydicom.uid import UID

from medground.data.phantom.chest_radiograph import chest_radiograph
from medground.data.phantom.dicom_study import write_radiograph_study
from medground.schema.errors import UsageError
from medground.serving.dicom_receiver.delivery import Delivery
from medground.serving.dicom_receiver.sender import send
from pipelines.canary_places import PLACES, Canary
from pipelines.canary_studies import canary
from pipelines.service_process import CALLING, ServiceProcess

SALTED: Final = (
    "patient name", "patient ID", "other patient IDs", "accession number", "study ID", "institution",
    "referring physician", "operator", "name in a study description", "name in a series description", "station name",
    "patient comments", "history", "private block",
)  # fmt: skip
IN_QUESTION: Final = "question"
_QUESTIONS: Final = ("is there a nodule? it is about {0.word} {0.digits}", "find the {0.word}", "is there a nodule?")
_UID: Final = "1.2.826.0.1.3680043.8.498.{}.1{:08d}"
_BATCH: Final = 100
SOME: Final = 200  # studies that nothing was asked about, and that are looked at all the same


@dataclass
class Salted:
    """A film in a file, and what was put into it by place."""

    path: Path
    canaries: dict[str, Canary]

    @property
    def question(self) -> Canary:
        """For what is asked of it, or done wrong about it."""
        return self.canaries[IN_QUESTION]


@dataclass
class Told:
    """What the service sent back: headers with URLs, and problems."""

    headers: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    def note(self, answer: httpx.Response) -> None:
        """Keep what may tell too much; a hook of the client."""
        self.headers += [f"{name}: {value}" for name, value in answer.headers.multi_items()]
        self.statuses[answer.status_code] += 1
        if answer.status_code >= 400:
            self.problems.append(answer.read().decode("utf-8", "replace"))


def make_films(count: int, seed: int, folder: Path, size_px: int) -> list[Salted]:
    """Salted films, a study each."""
    folder.mkdir()
    (plain,) = write_radiograph_study(chest_radiograph(seed, size_px=size_px, findings=["nodule"]), folder)
    content = plain.read_bytes()
    made = []
    for number in range(count):
        canaries = {place: canary(seed, number, place) for place in (*SALTED, IN_QUESTION)}
        dataset = pydicom.dcmread(io.BytesIO(content))
        for place in SALTED:
            PLACES[place](dataset, canaries[place])
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = UID(_UID.format(1, number)), UID(_UID.format(2, number))
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID(_UID.format(3, number))
        path = folder / f"{number}.dcm"
        dataset.save_as(path)
        made.append(Salted(path, canaries))
    plain.unlink()
    return made


def send_all(service: ServiceProcess, films: Sequence[Salted], asked: int, told: Told) -> None:
    """Half by C-STORE, half by HTTP; the first `asked` of those are asked about.

    Raises:
        UsageError: one did not arrive.
    """
    by_dicom, by_http = films[::2], films[1::2]
    for start in range(0, len(by_dicom), _BATCH):
        outcomes = send([one.path for one in by_dicom[start : start + _BATCH]], service.remote, CALLING)
        if any(one.delivery is not Delivery.ARRIVED for one in outcomes):
            raise UsageError("the service did not take every film by C-STORE; look into its log")
    with client_of(service, told) as client:
        for number, one in enumerate(by_http):
            named = {"file": (f"{one.question.word}.dcm", one.path.read_bytes())}
            if number < asked:
                question = _QUESTIONS[number % len(_QUESTIONS)].format(one.question)
                data = {"query": question, "deliver_to": "away"}
                headers = {"Prefer": "respond-async", "Idempotency-Key": one.question.word}
                _expect(client.post("/v1/ground", files=named, data=data, headers=headers), 200, 202, 422)
            else:
                _expect(client.post("/v1/studies", files=named), 201)


def _expect(answer: httpx.Response, *statuses: int) -> None:
    if answer.status_code not in statuses:
        raise UsageError(f"the service answered {answer.status_code} where one of {statuses} was expected")


def go_wrong(service: ServiceProcess, one: Salted, told: Told) -> None:
    """Everything that a sender may do wrong, with canaries in it."""
    bad, content = one.question, one.path.read_bytes()
    dataset = pydicom.dcmread(io.BytesIO(content))
    changed = io.BytesIO()
    dataset.PatientComments = f"changed {bad.word}"
    dataset.save_as(changed)
    other = one.path.with_name("changed.dcm")
    other.write_bytes(changed.getvalue())
    send([other], service.remote, CALLING)  # under a UID that is taken
    send([one.path], service.remote, "STRANGER")  # an AE title is a machine's, and stands in the audit log
    other.unlink()
    film = ("film.dcm", content)
    query = {"query": "is there a nodule?"}
    text = {"Content-Type": "text/plain"}
    with client_of(service, told) as client:
        client.post("/v1/studies", files={"file": (f"{bad.word}.dcm", changed.getvalue())})
        client.post("/v1/studies", files={"file": (f"{bad.word}.dcm", content[:900])})
        client.post("/v1/studies", files={"file": (f"{bad.word}.zip", b"PK\3\4" + bad.word.encode())})
        client.post("/v1/studies", files={bad.word: film})
        client.post("/v1/studies", content=bad.word.encode(), headers=text)
        client.post("/v1/ground", files={"file": film}, data={"query": bad.name})
        client.post("/v1/ground", files={"file": film}, data={"query": f"find the {bad.word} of {bad.digits}"})
        client.post("/v1/ground", files={"file": film}, data=query | {"deliver_to": bad.word})
        client.post("/v1/ground", files={"file": film}, data=query | {"min_score": bad.word})
        client.post("/v1/ground", files={"file": film}, data=query | {bad.word: bad.digits})
        client.post("/v1/ground", data=query | {"study": bad.word})
        client.post("/v1/ground", data=query | {"source": bad.word, "study_instance_uid": f"1.{bad.digits}"})
        client.post("/v1/pacs/studies/search", json={"source": "away", "patient_id": bad.word})
        client.post("/v1/pacs/studies/search", json={bad.word: bad.digits})
        client.post("/v1/reviews", json={"job": bad.word, "entry": {"comment": bad.name}})
        for path in (
            f"/v1/jobs/{bad.word}",
            f"/v1/studies/{bad.digits}",
            f"/{bad.word}",
            f"/v1/studies?search={bad.word}",
        ):
            client.get(path)
        client.get("/v1/studies", params={"after": bad.word, "limit": bad.digits})
        client.get("/v1/model", headers={"X-Request-Id": bad.word, "User-Agent": bad.name, "Referer": bad.word})
        client.get("/v1/model", headers={"Authorization": f"Bearer mg_{bad.word}"})
        client.request(bad.word.upper(), "/v1/model")


def read_all(service: ServiceProcess, one: Salted, told: Told) -> None:
    """What a viewer asks for: the work list, results and reports, and a review and signature with canaries in them.

    Raises:
        UsageError: no result has looked at an image, or it was not reviewed or signed.
    """
    results: list[tuple[str, str]] = []
    with client_of(service, told) as client:
        studies = list(_listed(client))
        answered = [key for key, status in studies if status == "answered"]
        for key in answered:
            results += [(key, row["job"]) for row in client.get(f"/v1/studies/{key}/results").json()]
        _review(client, results, one.question)
        for key in dict.fromkeys([*answered, *(key for key, _ in studies[:SOME])]):
            for part in ("", "/series", "/results", "/report"):
                client.get(f"/v1/studies/{key}{part}")
        for _, job in results:
            for part in ("", "/result", "/sr", "/gsps", "/overlay.png"):
                client.get(f"/v1/jobs/{job}{part}")
            client.get("/v1/reviews", params={"job": job})
        client.get("/v1/reviews/export")


def _listed(client: httpx.Client) -> Iterator[tuple[str, str]]:
    """Key and status of every study, page by page."""
    params: dict[str, str | int] = {"limit": 200}
    while True:
        page = client.get("/v1/studies", params=params).json()
        yield from ((one["study"], one["status"]) for one in page["studies"])
        if not page["next"]:
            return
        params["after"] = page["next"]


def _review(client: httpx.Client, results: Sequence[tuple[str, str]], words: Canary) -> None:
    """Add a finding with canaries in its words, and sign in the name of one."""
    study, job, image = _examined(client, results)
    entry = {
        "action": "add",
        "concept": "nodule",
        "sop_instance_uid": image,
        "box_xyxy_px": [4, 4, 20, 20],
        "reason": "missed",
        "text": f"seen by {words.name}, {words.digits}",
        "statements": [f"as {words.word} said"],
    }
    _expect(client.post("/v1/reviews", json={"job": job, "seen_revision": 0, "entry": entry}), 201)
    signature = {"job": job, "seen_revision": 1, "person_name": f"{words.word}^A", "allow_unreviewed": True}
    _expect(client.post(f"/v1/studies/{study}/sign", json=signature), 201)


def _examined(client: httpx.Client, results: Sequence[tuple[str, str]]) -> tuple[str, str, str]:
    """Study and job of the first result that has looked at an image, and the image."""
    for study, job in results:
        for found in client.get(f"/v1/jobs/{job}/result").json()["studies"]:
            for answer in found["answers"]:
                for image in answer["examined"]:
                    return study, job, image["sop_instance_uid"]
    raise UsageError("no result has looked at an image; ask about more films")


def client_of(service: ServiceProcess, told: Told) -> httpx.Client:
    """A client that keeps what it is told; to be closed."""
    client = service.client()
    client.event_hooks = {"response": [told.note]}
    return client
