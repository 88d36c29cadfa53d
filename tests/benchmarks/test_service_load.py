"""The benchmark on a few tiny films: every figure is there, and the films are all new."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest

from benchmarks.service_figures import Clients, Figures
from benchmarks.service_load import Films, main


def test_every_film_is_another_study(tmp_path: Path) -> None:
    films = Films(tmp_path, 96)
    read = [pydicom.dcmread(films.path()) for _ in range(3)]
    for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        assert len({str(getattr(one, name)) for one in read}) == 3
    assert all(one.SOPInstanceUID == one.file_meta.MediaStorageSOPInstanceUID for one in read)
    assert len({one.PixelData for one in read}) == 1
    assert {len(films.content()), films.path().stat().st_size} == {films.size_bytes}


def test_percentiles_and_growth() -> None:
    clients = Clients(4, seconds=[0.1 * number for number in range(100, 0, -1)])
    assert [round(clients.percentile_s(percent), 6) for percent in (50, 95, 99)] == [5.0, 9.5, 9.9]
    assert Clients(1, seconds=[0.5]).percentile_s(99) == 0.5
    figures = Figures(1, resident=[100] * 10 + [150] * 80 + [120] * 10)
    assert figures.growth_bytes == 20


@pytest.mark.slow
def test_a_page_of_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "load.md"
    sizes = ["--clients", "1", "2", "--requests", "2", "--rounds", "1", "--size", "96", "--images", "4"]
    assert main([*sizes, "--associations", "2", "--memory", "3", "--out", str(out)]) == 0
    page = out.read_text()
    assert capsys.readouterr().out == page
    table = [line for line in page.splitlines() if line.startswith(("| 1 |", "| 2 |"))]
    assert [line.split(" | ")[0] for line in table] == ["| 1", "| 2"]
    assert "1 round(s) of 2 requests" in page
    assert "2 association(s)" in page
    assert "Memory over 3 requests" in page
