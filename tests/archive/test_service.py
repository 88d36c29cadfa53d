"""The whole way: an archive is told nothing, a film arrives by C-STORE, and its report is found in the archive."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pydicom
import pytest

from medground.data.phantom.chest_radiograph import chest_radiograph
from medground.data.phantom.dicom_study import write_radiograph_study
from medground.dicom.image import open_image
from medground.dicom.sr import read_sr
from pipelines.judges import dciodvfy, pixelmed
from pipelines.judges.ohif.hydrate import Report, judge
from pipelines.ports import kept_port
from tests.archive.clients import by_stow, fetched, web
from tests.archive.orthanc import Orthanc
from tests.archive.test_reports import reports_found

pytestmark = pytest.mark.judge("orthanc", "orthanc-dicomweb", "dcmtk")

QUESTIONS = ("find the lung nodule", "is there a pneumothorax?")
START_S, ANSWER_S = 300, 300


def until(look: Callable[[], bool], seconds: float = ANSWER_S) -> None:
    end = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.2)


class Running:
    """A service in a process of its own, at the same two ports after every start."""

    def __init__(self, folder: Path, archive: Orthanc, http_port: int, dicom_port: int) -> None:
        self.http_port, self.dicom_port = http_port, dicom_port
        self.base = f"http://127.0.0.1:{self.http_port}"
        self._config = folder / "service.toml"
        self._log = folder / "service.log"
        self._config.write_text(
            f"""
state = "{folder / "state"}"
quiet_s = 1.5
[http]
port = {self.http_port}
max_wait_s = 120
[dicom]
port = {self.dicom_port}
peers = [{{ calling_ae_title = "MODALITY", called_ae_title = "MEDGROUND", network = "127.0.0.1", tenant = "clinic" }}]
[model]
jobs_at_once = 1
[[rules]]
modality = "DX"
calling_ae = "MODALITY"
questions = {json.dumps(QUESTIONS)}
deliver_to = ["archive"]
[destinations.archive]
dicomweb = {{ url = "{archive.dicomweb_url}" }}
pull = true
""",
            encoding="utf-8",
        )
        database = f"sqlite:///{folder / 'state' / 'medground.db'}"
        token = ["token", "create", "--name", "test", "--tenant", "clinic", "--scopes", "ground,read", "--database"]
        made = subprocess.run([*self._command(), *token, database], capture_output=True, text=True, check=True)
        self.client = httpx.Client(
            base_url=self.base, headers={"Authorization": f"Bearer {made.stdout.strip()}"}, timeout=180
        )
        self._process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def _command() -> list[str]:
        return [sys.executable, "-m", "medground.cli"]

    def start(self) -> None:
        with self._log.open("ab") as log:
            command = [*self._command(), "serve", "--config", str(self._config)]
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        until(self._is_ready, START_S)

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()
        try:
            return self.client.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(300)

    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")


@contextmanager
def running(folder: Path, archive: Orthanc) -> Iterator[Running]:
    with kept_port() as http_port, kept_port() as dicom_port:
        service = Running(folder, archive, http_port, dicom_port)
        service.start()
        try:
            yield service
        finally:
            service.stop(signal.SIGKILL)


def send(service: Running, path: Path, *, calling: str = "MODALITY", called: str = "MEDGROUND") -> int:
    command = ["storescu", "-aet", calling, "-aec", called, "127.0.0.1", str(service.dicom_port), str(path)]
    return subprocess.run(command, capture_output=True, check=False, timeout=300).returncode


def has_report(archive: Orthanc, study_uid: str) -> bool:
    with web(archive) as client:
        return len(client.search_for_instances(study_uid, search_filters={"Modality": "SR"})) == 1


def deliveries(service: Running, job: str) -> list[tuple[str, str]]:
    """Where a result goes, and what became of it."""
    found = service.client.get(f"/v1/jobs/{job}").json()["deliveries"]
    return [(one["destination"], one["state"]) for one in found]


def film(folder: Path, seed: int) -> Path:
    folder.mkdir(exist_ok=True)
    (path,) = write_radiograph_study(chest_radiograph(seed, size_px=512, findings=["nodule"]), folder)
    return path


@pytest.mark.judge("dicom3tools", "libpixelmed-java", "default-jdk-headless", "nodejs", "npm")
@pytest.mark.slow
def test_from_a_modality_to_the_archive_and_back(archive: Orthanc, tmp_path: Path) -> None:
    first, second = film(tmp_path / "a", 8_500_001), film(tmp_path / "b", 8_500_002)
    study_uid = open_image(first).header.study_instance_uid
    with running(tmp_path, archive) as service:
        assert send(service, first, calling="STRANGER") != 0
        assert send(service, first, called="SOMEBODY") != 0
        for _ in range(5):
            assert send(service, first) == 0
        until(lambda: has_report(archive, study_uid))

        (uid,) = reports_found(archive, study_uid)
        with web(archive) as client:
            (found,) = client.search_for_instances(study_uid, search_filters={"Modality": "SR"})
        series = found["0020000E"]["Value"][0]
        sent = pydicom.Dataset()
        sent.StudyInstanceUID, sent.SeriesInstanceUID, sent.SOPInstanceUID = study_uid, series, uid
        content = fetched(archive, sent)
        report = pydicom.dcmread(io.BytesIO(content))
        result = read_sr(report)
        assert tuple(answer.query for answer in result.studies[0].answers) == QUESTIONS
        (listed,) = service.client.get("/v1/studies").json()["studies"]
        (row,) = service.client.get(f"/v1/studies/{listed['study']}/results").json()
        own = service.client.get(f"/v1/jobs/{row['job']}/result").json()
        assert [a["verdict"] for a in own["studies"][0]["answers"]] == [a.verdict for a in result.studies[0].answers]
        until(lambda: deliveries(service, row["job"]) == [("archive", "done")])  # the archive knew it before us

        saved = tmp_path / "report.dcm"
        saved.write_bytes(content)
        assert dciodvfy.judge([saved], iod="ComprehensiveSR") == []
        assert pixelmed.judge([saved]) == []
        images = {open_image(first).header.sop_instance_uid: open_image(first)}
        assert judge([Report(saved, result.studies[0], images)]) == []

        # Sent a hundredth time it is still one result; a new model's would stand beside it.
        assert send(service, first) == 0
        # Killed while the next film waits for its quiet period: it is answered after the restart all the same.
        assert send(service, second) == 0
        service.stop(signal.SIGKILL)
        service.start()
        other_uid = open_image(second).header.study_instance_uid
        until(lambda: has_report(archive, other_uid))
        time.sleep(2)
        assert len(reports_found(archive, study_uid)) == 1
        assert service.stop() == 0
        assert "PHANTOM" not in service.log()


@pytest.mark.slow
def test_a_study_of_the_archive_is_found_fetched_and_asked(archive: Orthanc, tmp_path: Path) -> None:
    path = film(tmp_path / "a", 8_500_003)
    by_stow(archive, path)
    dataset = pydicom.dcmread(path)
    with running(tmp_path, archive) as service:
        wanted = {"source": "archive", "patient_id": dataset.PatientID}
        (found,) = service.client.post("/v1/pacs/studies/search", json=wanted).json()
        assert found["study_instance_uid"] == dataset.StudyInstanceUID
        asked = {"source": "archive", "study_instance_uid": dataset.StudyInstanceUID, "query": QUESTIONS[0]}
        answer = service.client.post("/v1/ground", data=asked)
        assert answer.status_code == 200, answer.text
        assert answer.json()["studies"][0]["study_instance_uid"] == dataset.StudyInstanceUID
        missing = service.client.post("/v1/ground", data={**asked, "study_instance_uid": "1.2.3"})
        assert (missing.status_code, missing.json()["type"]) == (404, "urn:medground:problem:not-found")
        archive.stop()
        try:
            gone = service.client.post("/v1/pacs/studies/search", json=wanted)
            assert (gone.status_code, gone.json()["type"]) == (502, "urn:medground:problem:archive")
        finally:
            archive.start()
