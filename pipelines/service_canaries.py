"""`python -m pipelines service-canaries`: does anything of a patient leave the tables it belongs to?

Small films salted with canaries (names, numbers, descriptions, institution, physician: see `pipelines.canary_places`)
are sent to a real service by HTTP and by C-STORE; some are asked about, some with a canary in the question, and all
kinds of errors are provoked on purpose, with canaries in whatever the sender may choose. Then everything that is no
clinical table and no image is searched: log, metrics, audit log (table, FHIR export, what `medground audit show`
prints), the other tables, those of the workflows, names of files, headers of answers with the URLs in them, and the
problems that were told. A canary counts as it is, percent-encoded, in base64 and in hexadecimal.

  python -m pipelines service-canaries --studies 2000

Prints counts; exit code 1 on any hit, or if the clinical tables lack what was sent.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
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
from medground.schema.errors import MedgroundError, UsageError
from medground.serving.database import CLINICAL
from medground.serving.dicom_receiver.delivery import Delivery
from medground.serving.dicom_receiver.sender import send
from pipelines.canary_places import PLACES, Canary
from pipelines.canary_search import CanarySearch, rows, tables
from pipelines.canary_studies import canary
from pipelines.service_process import CALLING, ServiceProcess, running_service
from pipelines.sources import say

SALTED: Final = (
    "patient name", "patient ID", "other patient IDs", "accession number", "study ID", "institution",
    "referring physician", "operator", "name in a study description", "name in a series description", "station name",
    "patient comments", "history", "private block",
)  # fmt: skip
IN_QUESTION: Final = "question"
_KNOWN: Final = ("patient name", "patient ID", "accession number", "name in a study description")  # kept in `studies`
_QUESTIONS: Final = ("is there a nodule? it is about {0.word} {0.digits}", "find the {0.word}", "is there a nodule?")
_UID: Final = "1.2.826.0.1.3680043.8.498.{}.1{:08d}"
_CONFIG: Final = """
[destinations.away]
dicomweb = { url = "http://127.0.0.1:9/dicom-web" }
[[rules]]
body_part = "NOSUCHPART"
questions = ["is there a nodule?"]
"""
_BATCH, _END_S = 100, 600


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
    with _client(service, told) as client:
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
    with _client(service, told) as client:
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


def read_all(service: ServiceProcess, told: Told) -> None:
    """What a viewer asks for: the work list, results, reports and a review with a canary in its words."""
    with _client(service, told) as client:
        page = client.get("/v1/studies", params={"limit": 200}).json()
        for listed in page["studies"]:
            key = listed["study"]
            for part in ("", "/series", "/results", "/report"):
                client.get(f"/v1/studies/{key}{part}")
            for row in client.get(f"/v1/studies/{key}/results").json():
                for part in ("", "/result", "/sr", "/gsps", "/overlay.png"):
                    client.get(f"/v1/jobs/{row['job']}{part}")


def wait_for_jobs(service: ServiceProcess, seconds: float = _END_S) -> Counter[str]:
    """How many jobs ended in which state.

    Raises:
        UsageError: some had not ended in that time.
    """
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with sqlite3.connect(service.state / "medground.db") as connection:
            states: Counter[str] = Counter(row[0] for row in connection.execute("SELECT state FROM jobs"))
        if not states["queued"] + states["running"]:
            return states
        time.sleep(0.5)
    raise UsageError(f"jobs had not ended after {seconds:.0f} s; look into the log of the service")


def open_places(service: ServiceProcess, told: Told, metrics: bytes, folder: Path) -> Iterator[tuple[str, bytes]]:
    """Everything where no canary may be, by name."""
    yield "log", service.log.read_bytes()
    yield "metrics", metrics
    yield "audit show", _cli("audit", "show", "--last", "10000", "--database", service.database)
    export = folder / "audit.ndjson"
    _cli("audit", "export", "--out", str(export), "--database", service.database)
    yield "audit export", export.read_bytes()
    yield from tables(service.state / "medground.db", but=CLINICAL)
    yield from tables(service.state / "workflows.db")
    yield "file names", "\n".join(str(path.relative_to(service.state)) for path in service.state.rglob("*")).encode()
    yield "headers and URLs", "\n".join(told.headers).encode()
    yield "problems", "\n".join(told.problems).encode()


def _cli(*arguments: str) -> bytes:
    command = [sys.executable, "-m", "medground.cli", *arguments]
    done = subprocess.run(command, capture_output=True, check=False, env={**os.environ, "COLUMNS": "1000"})
    if done.returncode != 0:
        raise UsageError(f"medground {' '.join(arguments[:2])} ended with {done.returncode}")
    return done.stdout + done.stderr


def _client(service: ServiceProcess, told: Told) -> httpx.Client:
    client = service.client()
    client.event_hooks = {"response": [told.note]}
    return client


def run(args: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Send, search, count."""
    say(f"making {args.studies} studies")
    films = make_films(args.studies, args.seed, folder / "films", args.size)
    told = Told()
    with running_service(folder, _CONFIG) as service:
        say("sending")
        send_all(service, films, args.ask, told)
        go_wrong(service, films[1], told)
        states = wait_for_jobs(service)
        read_all(service, told)
        with _client(service, told) as client:
            metrics = client.get("/metrics").content
    say("searching")
    search = CanarySearch(one for film in films for one in film.canaries.values())
    places = dict(open_places(service, told, metrics, folder))
    with sqlite3.connect(service.state / "medground.db") as connection:
        kept = rows(connection, "studies").decode()
    planted = sum(
        film.canaries[place].word in kept or film.canaries[place].digits in kept for film in films for place in _KNOWN
    )
    return {
        "studies": len(films),
        "canaries": len(films) * (len(SALTED) + 1),
        "jobs": dict(states),
        "answers": {str(status): count for status, count in sorted(told.statuses.items())},
        "kept in the clinical tables": planted,
        "expected there": len(films) * len(_KNOWN),
        "bytes searched": {name: len(content) for name, content in places.items()},
        "hits": {name: count for name, content in places.items() if (count := search.hits(content))},
    }


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parse = argparse.ArgumentParser(
        prog="python -m pipelines service-canaries",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parse.add_argument("--studies", type=int, default=2000, help="how many are sent (default: 2000)")
    parse.add_argument("--ask", type=int, default=40, help="how many of them are asked about (default: 40)")
    parse.add_argument("--size", type=int, default=64, help="side of a film in pixels (default: 64)")
    parse.add_argument("--seed", type=int, default=0, help="of the canaries (default: 0)")
    parse.add_argument("--keep", type=Path, help="empty folder for everything; a temporary one if left out")
    return parse


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; exit code 1 on any hit."""
    args = parser().parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="medground-canaries-") as temporary:
        folder = args.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            found = run(args, folder)
        except MedgroundError as error:
            say(f"error: {error}")
            return error.exit_code
    print(json.dumps(found, indent=1))
    return 1 if found["hits"] or found["kept in the clinical tables"] != found["expected there"] else 0


if __name__ == "__main__":
    sys.exit(main())
