"""The commands about the service that the README shows, run as they stand, but for the port."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from medground.data.phantom.chest_radiograph import chest_radiograph
from medground.data.phantom.dicom_study import write_radiograph_study


def shown(repository: Path) -> list[str]:
    text = (repository / "README.md").read_text(encoding="utf-8")
    section = text.partition("## The service\n")[2].partition("\n## ")[0]
    return [line for line in section.splitlines() if line.startswith(("medground ", "curl "))]


def shell(line: str, folder: Path) -> str:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-c", line],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, (line, done.stderr)
    return done.stdout


@pytest.mark.slow
@pytest.mark.judge("curl")
def test_the_service_as_the_readme_shows_it(repository: Path, tmp_path: Path) -> None:
    token, serve, *curls = shown(repository)
    assert (token.split()[:3], serve, len(curls)) == (["medground", "token", "create"], "medground serve", 3)
    (film,) = write_radiograph_study(chest_radiograph(8_600_001, size_px=512, findings=["nodule"]), tmp_path)
    film.rename(tmp_path / "film.dcm")
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    shell(token, tmp_path)
    assert (tmp_path / "token").read_text().startswith("mg_")
    command = [str(Path(sys.executable).parent / "medground"), *serve.split()[1:], "--port", str(port)]
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log) as service,
    ):
        try:
            _wait(f"http://127.0.0.1:{port}/readyz")
            said = [json.loads(shell(line.replace(":8080", f":{port}"), tmp_path)) for line in curls]
        finally:
            service.kill()
    result, work_list, model = said
    assert result["studies"][0]["answers"][0]["query"] == "is there a nodule?"
    assert [study["status"] for study in work_list["studies"]] == ["answered"]
    assert model["info"]["sha256"] == result["model"]["sha256"]


def _wait(url: str) -> None:
    until = time.monotonic() + 120
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except urllib.error.URLError:
            assert time.monotonic() < until, "the service did not start"
            time.sleep(0.3)
