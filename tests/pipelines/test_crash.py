"""Nothing is lost, doubled or stuck when processes are killed at random: few studies, ten kills."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pipelines import crash
from pipelines.crash import Findings, main, parser

GOOD = Findings(accepted=5, results=5, lost=0, doubled=0, missing=0, unended=0, failed=0, stuck_s=3.0)


@pytest.mark.parametrize(
    ("changed", "is_good"),
    [
        ({}, True),
        ({"stuck_s": 60.0}, True),
        ({"stuck_s": 60.1}, False),
        ({"accepted": 0}, False),
        *(({name: 1}, False) for name in ("lost", "doubled", "missing", "unended", "failed")),
    ],
)
def test_what_is_good(changed: dict[str, float], is_good: bool) -> None:
    values = {name: getattr(GOOD, name) for name in Findings.__slots__}
    assert Findings(**{**values, **changed}).is_good is is_good


def test_the_command_line() -> None:
    args = parser().parse_args([])
    assert (args.studies, args.kills, args.database) == (300, 100, "sqlite")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("database", "kills"), [("sqlite", 4), pytest.param("postgresql", 6, marks=pytest.mark.judge("postgresql"))]
)
def test_ten_kills(
    database: str, kills: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crash, "STUCK_S", 300.0)  # beside other tests a worker needs most of a minute to start again
    keep = tmp_path / "kept"
    options = ["--studies", "8", "--kills", str(kills), "--pause", "4", "--database", database, "--keep", str(keep)]
    code = main(options)
    out, said = capsys.readouterr()
    found = json.loads(out)
    logs = {path.name: path.read_text()[-1500:] for path in keep.glob("*.log")}
    assert code == 0, (found, logs)
    assert (found["accepted"], found["results"]) == (8, 8)
    killed = said.rpartition("killed: ")[2]
    assert sum(int(count) for count in re.findall(r"\d+", killed)) == kills
    assert ("database" in killed) is (database == "postgresql")
