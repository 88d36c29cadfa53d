"""A line holds words of the service's own, under keys from a list."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from medground.serving.logs import ALLOWED, make_log

WARNING_LIBRARIES = """
import io, logging, warnings
from pydicom import Dataset
from medground.serving.logs import make_log
log = make_log("all", io.StringIO())
dataset = Dataset()
dataset.PatientName = "CANARY^NAME"
dataset.PatientAge = "CANARY-AGE-THAT-IS-TOO-LONG"
dataset.StudyInstanceUID = "CANARY.UID"
logging.getLogger("pydicom").critical("CANARY")
warnings.warn("CANARY")
print("done")
"""


@pytest.fixture(autouse=True)
def _libraries_speak_again() -> Iterator[None]:
    yield
    logging.disable(logging.NOTSET)


def logged(**values: Any) -> dict[str, Any]:
    stream = io.StringIO()
    make_log("api", stream).info("request", **values)
    (line,) = stream.getvalue().splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


def test_a_line_is_an_object_with_its_time_and_role() -> None:
    line = logged(route="/v1/ground", status=200)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "request", "level": "info", "role": "api", "route": "/v1/ground", "status": 200}


def test_a_key_that_is_not_allowed_is_left_out() -> None:
    line = logged(patient="Doe^Jane", status=200, exc_info=ValueError("Doe^Jane"))
    assert (line["patient"], line["status"]) == ("(left out)", 200)
    assert "Doe" not in json.dumps(line)


def test_every_allowed_key_is_written() -> None:
    own = {"event", "level", "timestamp", "role"}
    line = logged(**{key: key for key in ALLOWED - own})
    assert {key for key, value in line.items() if value == key} == ALLOWED - own


def test_what_is_bound_is_held_to_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    make_log("worker").bind(name="Doe^Jane").warning("job_failed", job="j")
    line = json.loads(capsys.readouterr().err)
    assert (line["name"], line["job"], line["level"]) == ("(left out)", "j", "warning")


def test_libraries_are_silent(capsys: pytest.CaptureFixture[str]) -> None:
    make_log("api", io.StringIO())
    for name in ("pydicom", "pynetdicom", "uvicorn.error", "dbos"):
        logging.getLogger(name).critical("PatientName: Doe^Jane")
    assert capsys.readouterr() == ("", "")


def test_what_libraries_warn_of_reaches_no_output_of_a_process() -> None:
    command = [sys.executable, "-c", WARNING_LIBRARIES]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("done\n", "")
