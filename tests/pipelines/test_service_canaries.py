from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from medground.serving.database import CLINICAL, metadata
from pipelines.canary_requests import SALTED, make_films
from pipelines.canary_search import CanarySearch, rows
from pipelines.service_canaries import main


@pytest.mark.slow
def test_a_dozen_studies_leave_nothing_outside_the_clinical_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["--studies", "12", "--ask", "3", "--keep", str(tmp_path)])
    found = json.loads(capsys.readouterr().out)
    assert (status, found["hits"]) == (0, {})
    assert found["canaries"] == 12 * (len(SALTED) + 1)
    assert found["kept in the clinical tables"] == found["expected there"] == 48
    assert found["jobs"]["done"] >= 1
    assert sum(found["answers"][status] for status in ("401", "404", "409", "415", "422")) >= 15  # on purpose
    searched = found["bytes searched"]
    assert set(searched) >= {f"table {name}" for name in metadata.tables if name not in CLINICAL}
    assert not {f"table {name}" for name in CLINICAL} & set(searched)
    for place in ("log", "metrics", "audit show", "audit export", "file names", "headers and URLs", "problems"):
        assert searched[place] > 500, place
    for table in ("audit_entries", "workflow_status", "results", "deliveries"):
        assert searched[f"table {table}"] > 0

    # The review and the signature held canaries: they are in their table, and what was searched came after them.
    film = make_films(2, 0, tmp_path / "again", 64)[1]
    search = CanarySearch(film.canaries.values())
    with sqlite3.connect(tmp_path / "state" / "medground.db") as connection:
        assert search.hits(rows(connection, "reviews")) >= 3
    assert found["answers"]["201"] >= 2

    # The same place by place, with a word of a patient in one of them.
    log = tmp_path / "service.log"
    log.write_text(f"{log.read_text()}{film.canaries['accession number'].digits}\n")
    assert search.hits(log.read_bytes()) == 1
