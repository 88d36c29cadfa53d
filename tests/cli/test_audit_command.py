"""Whole runs of `medground audit` over logs in both databases."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine
from typer.testing import CliRunner

from medground.audit.anchor import AnchorFile
from medground.audit.entry import NO_HASH
from medground.audit.log import AuditLog
from medground.audit.tables import create_tables
from medground.cli.main import create_app
from pipelines.judges.postgres import Postgres
from tests.audit import fhir_r4
from tests.audit.chains import START, Clock, Owner, chain, event

COUNT = 30


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.judge("postgresql"))])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path_factory.mktemp('audit') / 'audit.db'}"
    else:
        with Postgres() as running:
            yield running.url


@pytest.fixture(scope="module")
def engine(url: str) -> Iterator[Engine]:
    engine = create_engine(url)
    create_tables(engine)
    log = AuditLog(engine, Clock())
    for number in range(1, COUNT + 1):
        log.append(event(number))
    yield engine
    engine.dispose()


def run(*words: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(create_app(), ["audit", *map(str, words)], env={"COLUMNS": "220"})
    return done.exit_code, done.stdout, done.stderr


def test_a_whole_log(engine: Engine, url: str, tmp_path: Path) -> None:
    last = chain(COUNT)[-1].hash
    anchors, key = tmp_path / "anchors", tmp_path / "key"
    key.write_text("0123456789abcdef" * 4 + "\n")
    assert run("anchor", "--database", url, "--out", anchors, "--key", key) == (
        0,
        f"anchored entry {COUNT}: {last}\n",
        "",
    )
    assert run("anchor", "--database", url, "--out", anchors, "--key", key)[1] == "nothing to anchor yet\n"
    assert [anchor.hash for anchor in AnchorFile(anchors, b"0123456789abcdef" * 4).read()] == [last]
    said = f"whole: {COUNT} entries, the last one has hash {last}; "
    assert run("verify", "--database", url) == (0, f"{said}without anchors a cut-off end may not show\n", "")
    assert run("verify", "--database", url, "--anchor", anchors, "--key", key) == (0, f"{said}1 anchors hold\n", "")
    assert run("verify", "--database", url, "--anchor", anchors)[0] == 0


def test_the_last_entries_are_shown(engine: Engine, url: str) -> None:
    code, out, _ = run("show", "--database", url, "--last", 2)
    assert code == 0
    rows = [[cell.strip() for cell in line.strip("│ ").split("│")] for line in out.splitlines() if "token-" in line]
    assert rows == [
        [
            "30",
            "2026-01-02 03:04:34",
            "refused",
            "minor failure",
            "token token-0",
            "north",
            "study study-30",
            "192.0.2.7",
            "dry_run True, images 30, reason scope, seconds 4.285714285714286",
        ],
        [
            "29",
            "2026-01-02 03:04:33",
            "grounded",
            "success",
            "token token-4",
            "south",
            "study study-29",
            "192.0.2.7",
            "dry_run False, images 29, reason scope, seconds 4.142857142857143",
        ],
    ]
    _, out, _ = run("show", "--database", url, "--tenant", "north", "--actor", "token-3")
    assert [line.split("│")[1].strip() for line in out.splitlines() if "token-3" in line] == ["28", "18", "8"]
    _, out, _ = run("show", "--database", url, "--object", "study-7")
    assert out.count("study-") == 1


def test_an_export(engine: Engine, url: str, tmp_path: Path) -> None:
    out = tmp_path / "all.ndjson"
    assert run("export", "--database", url, "--out", out) == (0, f"{COUNT} entries written to {out}\n", "")
    rows = chain(COUNT)
    read = [fhir_r4.AuditEvent.model_validate_json(line) for line in out.read_text().splitlines()]
    assert [one.id for one in read] == [row.hash for row in rows]
    assert out.stat().st_mode & 0o777 == 0o600
    some = tmp_path / "some.ndjson"
    east = (START + timedelta(seconds=20, microseconds=20)).isoformat().replace("03:04:25", "11:04:25")
    words = ("--since", "2026-01-02T03:04:10", "--until", east.replace("+00:00", "+08:00"))
    assert run("export", "--database", url, "--out", some, *words)[0] == 0
    assert [json.loads(line)["id"] for line in some.read_text().splitlines()] == [row.hash for row in rows[5:20]]


def test_what_cannot_be_done_is_said(engine: Engine, url: str, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("x")
    (tmp_path / "short").write_text("x" * 31)
    missing = tmp_path / "missing"
    cases = {
        f"no database file is at {missing}": ("verify", "--database", f"sqlite:///{missing}"),
        "the database URL cannot be read": ("verify", "--database", "nothing"),
        f"the anchor file {missing} cannot be used: No such file": ("verify", "--database", url, "--anchor", missing),
        "line 1 of the anchor file": ("verify", "--database", url, "--anchor", tmp_path / "short-line"),
        "a key of 31 bytes": ("anchor", "--database", url, "--out", missing, "--key", tmp_path / "short"),
        f"--key {missing} cannot be read": ("anchor", "--database", url, "--out", missing, "--key", missing),
        "is there already; name a new file": ("export", "--database", url, "--out", tmp_path / "there"),
        "cannot be written (No such file": ("export", "--database", url, "--out", missing / "file"),
        "--since 'soon' is no time": ("export", "--database", url, "--out", missing, "--since", "soon"),
        "0 entries at once": ("show", "--database", url, "--last", "0"),
    }
    (tmp_path / "short-line").write_text("x\n")
    for said, words in cases.items():
        code, out, err = run(*words)
        assert (code, out) == (2, ""), (said, err)
        assert said in err
    assert not missing.exists()
    assert (tmp_path / "there").read_text() == "x"


def test_broken_logs(tmp_path: Path) -> None:
    url, out = f"sqlite:///{tmp_path / 'audit.db'}", tmp_path / "out.ndjson"
    engine = create_engine(url)
    code, _, err = run("verify", "--database", url)
    assert (code, "no database file is at" in err) == (2, True)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE other (x)")
    code, _, err = run("verify", "--database", url)
    assert (code, "the audit log cannot be read (OperationalError)" in err) == (2, True)
    create_tables(engine)
    rows, owner, anchors = chain(12), Owner(engine), tmp_path / "anchors"
    owner.write(rows)
    assert run("anchor", "--database", url, "--out", anchors)[0] == 0
    code, text, err = run("verify", "--database", url, "--anchor", anchors)
    assert (code, text.startswith("whole: 12 entries")) == (0, True)
    assert "warning: the database lacks audit_entries_delete, audit_entries_replace" in err

    def broken(*words: object) -> str:
        code, text, err = run("verify", "--database", url, *words)
        assert (code, text) == (2, "")
        return err.splitlines()[-1]

    owner.write(rows[:10])
    assert broken("--anchor", anchors) == (
        "error: the audit log is broken (truncated): entries 11 to 12 are gone at the end of the log; "
        "10 entries are whole up to there; keep the database as it is, stop whoever writes to it, "
        "and compare that entry with a backup or an export"
    )
    code, _, err = run("anchor", "--database", url, "--out", anchors)
    assert (code, "entry 12 is not the one that was anchored last" in err) == (2, True)
    owner.write(rows)
    owner.run("UPDATE audit_entries SET source = '192.0.2.8' WHERE sequence = 7")
    assert "(edited, at entry 7): entry 7 is not what it was when it was hashed; 6 entries are whole" in broken()
    code, _, err = run("export", "--database", url, "--out", out)
    assert (code, "entry 7 does not fit its hash" in err) == (2, True)
    assert list(tmp_path.glob("*.ndjson")) == list(tmp_path.glob(".medground-*")) == []
    owner.run("UPDATE audit_entries SET action = 'praised' WHERE sequence = 7")
    code, text, err = run("show", "--database", url)
    assert (code, text) == (2, "")
    assert "entry 7 of the audit log cannot be read: run `medground audit verify`" in err
    owner.run("DELETE FROM audit_entries WHERE sequence = 7")
    assert "(deleted, at entry 7): entry 7 is gone; 6 entries are whole" in broken()


def test_an_empty_log(tmp_path: Path) -> None:
    url, out = f"sqlite:///{tmp_path / 'audit.db'}", tmp_path / "out.ndjson"
    create_tables(create_engine(url))
    assert run("verify", "--database", url)[1].startswith(f"whole: 0 entries, the last one has hash {NO_HASH}")
    assert run("export", "--database", url, "--out", out)[:2] == (0, f"0 entries written to {out}\n")
    assert out.read_text() == ""


def test_where_the_log_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MEDGROUND_DATABASE", raising=False)
    code, out, err = run("verify")
    assert (code, out, "no database file is at medground-state/medground.db" in err) == (2, "", True)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "medground-state").mkdir()
    for folder, count in (("medground-state", 3), (".", 2)):
        engine = create_engine(f"sqlite:///{tmp_path / folder / 'medground.db'}")
        create_tables(engine)
        for number in range(1, count + 1):
            AuditLog(engine, Clock()).append(event(number))
    assert run("verify")[1].startswith("whole: 3 entries")
    assert run("export", "--out", tmp_path / "out.ndjson")[1].startswith("3 entries written")
    monkeypatch.setenv("MEDGROUND_DATABASE", f"sqlite:///{tmp_path / 'medground.db'}")
    assert run("verify")[1].startswith("whole: 2 entries")
    assert run("anchor", "--out", tmp_path / "anchors")[1].startswith("anchored entry 2: ")
    done = CliRunner().invoke(create_app(), ["audit", "show"], env={"COLUMNS": "80"})
    assert done.stdout.count("study-") == 2
    assert "…" not in done.stdout  # a pipe has no width, and nothing is cut


def test_help_brings_no_database() -> None:
    code = (
        "import sys; sys.argv = ['medground', 'audit', 'verify', '--help']\n"
        "from medground.cli.main import run\n"
        "try: run()\nexcept SystemExit as end: assert not end.code, end.code\n"
        "assert not {'sqlalchemy', 'torch', 'psycopg'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
