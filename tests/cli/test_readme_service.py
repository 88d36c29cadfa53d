"""The commands about the service that README and manual show, run as they stand but for the port and placeholders."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest

from medground.client.client import Client
from medground.data.phantom.chest_radiograph import chest_radiograph
from medground.data.phantom.dicom_study import write_radiograph_study
from pipelines.ports import kept_port

NAMED = re.compile(r"\b(STUDY|JOB|FINDING|INSTANCE)\b")


@dataclass(frozen=True)
class Started:
    """The service as the README starts it, in the folder that it is started in."""

    folder: Path
    port: int

    def run(self, line: str) -> str:
        return shell(line.replace(":8080", f":{self.port}"), self.folder)

    def names(self) -> dict[str, str]:
        """What the manual calls STUDY and so on: of the one study that the token opens."""
        token = (self.folder / "token").read_text()
        with Client(f"http://127.0.0.1:{self.port}", token) as client:
            (study,) = (one.study for one in client.studies().studies)
            job = client.results(study)[0].job
            ((image,),) = (series.instances for series in client.series(study))
            finding = client.review(job).findings[0].finding_id
        return {"STUDY": study, "JOB": job, "INSTANCE": str(image.id), "FINDING": finding}


def commands(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(("medground ", "curl "))]


def shell(line: str, folder: Path) -> str:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-c", line],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, (line, done.stderr)
    return done.stdout


def readme(repository: Path) -> list[str]:
    text = (repository / "README.md").read_text(encoding="utf-8")
    return commands(text.partition("## The service\n")[2].partition("\n## ")[0])


def filled(line: str, names: dict[str, str]) -> str:
    return NAMED.sub(lambda found: names[found[0]], line)


@pytest.fixture(scope="module")
def started(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    folder = tmp_path_factory.mktemp("started")
    token, serve = readme(repository)[:2]
    assert (token.split()[:3], serve) == (["medground", "token", "create"], "medground serve")
    shell(token, folder)
    assert (folder / "token").read_text().startswith("mg_")
    (film,) = write_radiograph_study(chest_radiograph(8_600_001, size_px=512, findings=["nodule"]), folder)
    film.rename(folder / "film.dcm")
    with (
        kept_port() as port,
        (folder / "log").open("wb") as log,
        subprocess.Popen(
            [str(Path(sys.executable).parent / "medground"), *serve.split()[1:], "--port", str(port)],
            cwd=folder,
            stdout=log,
            stderr=log,
        ) as service,
    ):
        try:
            _wait(f"http://127.0.0.1:{port}/readyz")
            yield Started(folder, port)
        finally:
            service.kill()


@pytest.mark.slow
@pytest.mark.judge("curl")
def test_the_service_as_the_readme_shows_it(repository: Path, started: Started) -> None:
    token, _, *curls = readme(repository)
    started.run(token)  # once more: the manual has another one under this name
    result, work_list, model = (json.loads(started.run(line)) for line in curls)
    assert result["studies"][0]["answers"][0]["query"] == "is there a nodule?"
    assert [study["status"] for study in work_list["studies"]] == ["answered"]
    assert model["info"]["sha256"] == result["model"]["sha256"]


@pytest.mark.slow
@pytest.mark.judge("curl")
def test_the_service_as_the_manual_shows_it(repository: Path, started: Started) -> None:
    """From the first question to the signed report, the pixels and the audit log."""
    shown = commands((repository / "docs" / "service.md").read_text(encoding="utf-8"))
    curls = [line for line in shown if line.startswith("curl ")]
    tokens = [line for line in shown if line.startswith("medground token create ")]
    assert (len(tokens), len(curls)) == (3, 9)
    for line in tokens:
        started.run(line)
    said: list[str] = []
    names: dict[str, str] = {}
    for line in curls:
        if NAMED.search(line) and not names:
            names = started.names()
        said.append(started.run(filled(line, names)))
    me, result, before, after, signed, _, series, _, log = said
    assert (json.loads(me)["name"], json.loads(me)["tenant"]) == ("reading-room", "example")
    assert len(json.loads(result)["studies"][0]["answers"][0]["findings"]) == 1
    assert [json.loads(one)["findings"][0]["status"] for one in (before, after)] == ["unreviewed", "accepted"]
    assert json.loads(signed)["findings"] == 1
    document = pydicom.dcmread(started.folder / "signed.dcm")
    assert str(document.VerifyingObserverSequence[0].VerifyingObserverName) == "Reader^Ann"
    (image,) = json.loads(series)[0]["instances"]
    assert "x-frame: " in (started.folder / "frame.txt").read_text().lower()
    assert (started.folder / "frame.raw").stat().st_size == 2 * image["rows"] * image["columns"]
    actions = [entry["action"] for entry in json.loads(log)["entries"]]
    assert {"study_read", "result_read", "signed", "reviewed", "study_stored"} <= set(actions)


def _wait(url: str) -> None:
    until = time.monotonic() + 300
    while True:
        try:
            with urllib.request.urlopen(url, timeout=60):
                return
        except OSError:  # nobody listens, nobody answers yet, or it is not ready
            assert time.monotonic() < until, "the service did not start"
            time.sleep(0.3)
