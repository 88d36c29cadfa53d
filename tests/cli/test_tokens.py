"""Whole runs of `medground token`."""

from __future__ import annotations

import re
import sqlite3
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from medground.audit.event import Action
from medground.audit.log import AuditLog
from medground.cli.database import database_url
from medground.cli.main import create_app
from medground.schema.errors import NotAuthenticatedError
from medground.serving.access.scope import Scope
from medground.serving.access.tokens import Tokens
from medground.serving.database import connect


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MEDGROUND_DATABASE", raising=False)
    return tmp_path


def run(*words: str, **environment: str) -> Result:
    return CliRunner().invoke(create_app(), ["token", *words], env={"COLUMNS": "200", **environment})


def create(*words: str, **environment: str) -> Result:
    return run("create", "--name", "reading room", "--tenant", "main", "--scopes", "read,ground", *words, **environment)


def tokens_in(path: Path) -> Tokens:
    return Tokens(connect(f"sqlite:///{path}"), lambda: time.time_ns() // 1000, bytes)


def rows(text: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("│ ").split("│")] for line in text.splitlines() if line.startswith("│")
    ]


def test_a_token_is_made_listed_and_revoked(folder: Path) -> None:
    today = time.strftime("%Y-%m-%d", time.gmtime())
    made = create("--days", "30")
    assert made.exit_code == 0, made.output
    assert re.fullmatch(r"mg_[0-9a-f]{16}_[A-Za-z0-9_-]{49}\n", made.stdout)
    plain, token_id = made.stdout.strip(), made.stdout[3:19]
    assert f"token {token_id} is accepted until 20" in made.stderr
    assert "by services over sqlite:///medground-state/medground.db; it is shown this once" in made.stderr
    assert plain[20:] not in made.stderr
    tokens = tokens_in(folder / "medground-state" / "medground.db")
    found = tokens.authenticate(plain)
    assert (found.name, found.tenant, found.scopes) == ("reading room", "main", {Scope.READ, Scope.GROUND})
    assert found.expires_us is not None
    assert found.expires_us / 1e6 == pytest.approx(time.time() + 30 * 24 * 3600, abs=600)
    listed = run("list")
    assert listed.exit_code == 0
    ((id_, name, tenant, scopes, _, _, used, state),) = rows(listed.stdout)
    assert (id_, name, tenant, scopes, state) == (token_id, "reading room", "main", "ground, read", "accepted")
    assert used in (today, time.strftime("%Y-%m-%d", time.gmtime()))  # it may be midnight
    assert plain[20:] not in listed.output
    revoked = run("revoke", token_id)
    assert (revoked.exit_code, revoked.stdout) == (0, "")
    assert revoked.stderr == f"token {token_id} (reading room) is not accepted any more\n"
    with pytest.raises(NotAuthenticatedError):
        tokens.authenticate(plain)
    assert rows(run("list").stdout)[0][-1] == "revoked"


def test_what_is_done_to_tokens_is_recorded(folder: Path) -> None:
    token_id = create().stdout[3:19]
    run("revoke", token_id)
    assert run("revoke", "0" * 16).exit_code != 0
    engine = connect(f"sqlite:///{folder / 'medground-state' / 'medground.db'}")
    events = [one.event for one in AuditLog(engine, lambda: datetime.now(UTC)).read()]
    assert [(one.action, one.object_id, one.tenant, one.details) for one in events] == [
        (action, f"token-{token_id}", "main", {"scope": "ground+read"})
        for action in (Action.TOKEN_CREATED, Action.TOKEN_REVOKED)
    ]


def test_the_list_of_one_tenant_and_of_none(folder: Path) -> None:
    assert run("list").stderr == "there are no tokens in sqlite:///medground-state/medground.db\n"
    assert create().exit_code == 0
    assert run("list", "--tenant", "other").stdout == ""
    assert len(rows(run("list", "--tenant", "main").stdout)) == 1


def test_what_is_in_a_name_is_shown_and_not_obeyed() -> None:
    assert run("create", "--name", "[red]x[/]", "--tenant", "main", "--scopes", "read").exit_code == 0
    assert rows(run("list").stdout)[0][1] == "[red]x[/]"


def test_where_the_database_is(folder: Path) -> None:
    assert database_url("sqlite:///a.db", {"MEDGROUND_DATABASE": "sqlite:///b.db"}) == "sqlite:///a.db"
    assert database_url(None, {"MEDGROUND_DATABASE": "sqlite:///b.db"}) == "sqlite:///b.db"
    assert database_url(None, {}) == "sqlite:///medground-state/medground.db"
    assert not (folder / "medground-state").exists()
    assert create().exit_code == 0
    assert (folder / "medground-state").stat().st_mode & 0o777 == 0o700
    assert create(MEDGROUND_DATABASE="sqlite:///named.db").exit_code == 0
    with sqlite3.connect("named.db") as found:
        assert found.execute("SELECT name FROM access_tokens").fetchall() == [("reading room",)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["create", "--name", "a", "--tenant", "main", "--scopes", "write"],
            "'write' is no scope; the scopes are ground,",
        ),
        (["create", "--name", "a", "--tenant", "main", "--scopes", ","], "no scope is given"),
        (["create", "--name", "", "--tenant", "main", "--scopes", "read"], "a token needs a name"),
        (["create", "--name", "a", "--tenant", "/", "--scopes", "read"], "a tenant is named by"),
        (["create", "--name", "a", "--tenant", "main", "--scopes", "read", "--days", "0"], "--days 0 is out of range"),
        (["create", "--name", "a", "--tenant", "main", "--scopes", "read", "--days", "367"], "1 to 366 days"),
        (["create", "--name", "a", "--tenant", "main", "--scopes", "read", "--days", "99999999999"], "1 to 366 days"),
        (["revoke", "0011223344556677"], "there is no token of that id"),
        (["list", "--database", "mysql://root:watchword@db/x"], "'mysql' is not known"),
        (["list", "--database", "watchword"], "the database URL cannot be read"),
    ],
)
def test_what_cannot_be_done_is_said(words: list[str], said: str) -> None:
    done = run(*words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr
    assert "watchword" not in done.stderr


def test_a_database_that_does_not_answer(folder: Path) -> None:
    done = run("list", "--database", "postgresql://reader:watchword@127.0.0.1:1/medground", "--debug")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "the database of tokens does not answer as it should (OperationalError)" in done.stderr
    assert "watchword" not in done.stderr
    (folder / "medground-state").write_text("a file in the way")
    blocked = run("list")
    assert (
        blocked.exit_code,
        "medground-state cannot be made here (File exists); give --database" in blocked.stderr,
    ) == (2, True)
