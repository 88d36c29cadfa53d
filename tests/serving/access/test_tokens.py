from __future__ import annotations

import hashlib
import logging
import secrets
import sqlite3
import subprocess
import sys
import traceback
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, MetaData, create_engine, event, inspect

from medground.schema.errors import AccessUnavailableError, NotAuthenticatedError, UsageError
from medground.serving.access.scope import PrincipalKind, Scope
from medground.serving.access.token_format import TokenParts, parse_token, write_token
from medground.serving.access.tokens import LONGEST_LIFETIME, Tokens, token_table
from medground.serving.database import connect
from pipelines.judges.postgres import Postgres
from tests.serving.access.clock import START_US, Clock

DAY_US = 24 * 3600 * 1_000_000
OUTWARD = "these credentials are not accepted; ask an administrator for a new token, or sign in again"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = connect(f"sqlite:///{tmp_path / 'tokens.db'}")
    yield engine
    engine.dispose()


@pytest.fixture
def tokens(engine: Engine, clock: Clock) -> Tokens:
    made = Tokens(engine, clock.now_us, secrets.token_bytes)
    made.create_table()
    return made


def refusal(tokens: Tokens, plain: str) -> tuple[str, str | None]:
    with pytest.raises(NotAuthenticatedError) as caught:
        tokens.authenticate(plain)
    assert str(caught.value) == OUTWARD
    shown = "".join(traceback.format_exception(caught.value))
    assert plain[20:] not in shown or len(plain) < 30
    return caught.value.reason, caught.value.subject


def test_a_token_opens_what_it_was_made_for(tokens: Tokens, clock: Clock) -> None:
    made = tokens.create("reading room", "main", [Scope.READ, Scope.GROUND])
    found = tokens.authenticate(made.plain)
    assert found.subject == made.record.subject == f"token:{made.record.token_id}"
    assert (found.kind, found.tenant, found.name) == (PrincipalKind.TOKEN, "main", "reading room")
    assert found.scopes == {Scope.READ, Scope.GROUND}
    assert found.expires_us == START_US + 90 * DAY_US
    assert made.record.created_us == START_US
    assert len(found.subject) <= 64


def test_only_a_hash_of_the_secret_is_kept(tokens: Tokens, tmp_path: Path, engine: Engine) -> None:
    made = tokens.create("reading room", "main", [Scope.READ])
    secret = made.plain[20:63]
    engine.dispose()
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert hashlib.sha256(urlsafe_b64decode(f"{secret}=")).hexdigest().encode() in content
    assert secret.encode() not in content
    assert urlsafe_b64decode(f"{secret}=") not in content
    assert secret not in repr(made)
    assert secret not in repr(tokens.list())


def test_each_way_to_be_wrong_has_its_reason_and_all_one_message(tokens: Tokens, clock: Clock) -> None:
    good = tokens.create("a", "main", [Scope.READ])
    token_id, subject = good.record.token_id, good.record.subject
    assert refusal(tokens, good.plain[:-1]) == ("malformed", None)
    assert refusal(tokens, good.plain.swapcase()) == ("malformed", None)
    assert refusal(tokens, f"mg_{'é' * 16}_{'x' * 49}") == ("malformed", None)
    assert refusal(tokens, "mg_" + "x" * 2**20) == ("malformed", None)
    assert refusal(tokens, write_token(TokenParts("0" * 16, b"s" * 32))) == ("unknown_token", None)
    assert refusal(tokens, write_token(TokenParts(token_id, b"s" * 32))) == ("wrong_secret", None)
    tokens.revoke(token_id)
    assert refusal(tokens, good.plain) == ("revoked", subject)
    assert refusal(tokens, write_token(TokenParts(token_id, b"s" * 32))) == ("wrong_secret", None)
    short = tokens.create("b", "main", [Scope.READ], timedelta(seconds=10))
    clock.forward(9.999999)
    assert tokens.authenticate(short.plain).name == "b"
    clock.forward(0.000001)
    assert refusal(tokens, short.plain) == ("expired", short.record.subject)


@pytest.mark.parametrize(
    ("name", "tenant", "scopes", "lifetime", "said"),
    [
        ("", "main", [Scope.READ], timedelta(1), "name of 1 to 128"),
        (" ", "main", [Scope.READ], timedelta(1), "name of 1 to 128"),
        ("a\x1b[31m", "main", [Scope.READ], timedelta(1), "name of 1 to 128"),
        ("n" * 129, "main", [Scope.READ], timedelta(1), "name of 1 to 128"),
        ("a", "", [Scope.READ], timedelta(1), "a tenant is named by"),
        ("a", "../x", [Scope.READ], timedelta(1), "a tenant is named by"),
        ("a", "main", [], timedelta(1), "needs a scope; the scopes are ground, read,"),
        ("a", "main", [Scope.READ], timedelta(0), "at most 366 days, not 0"),
        ("a", "main", [Scope.READ], timedelta(-1), "at most 366 days, not -1"),
        ("a", "main", [Scope.READ], LONGEST_LIFETIME + timedelta(1), "at most 366 days, not 367"),
    ],
)
def test_what_no_token_can_be_made_of(
    tokens: Tokens, name: str, tenant: str, scopes: list[Scope], lifetime: timedelta, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        tokens.create(name, tenant, scopes, lifetime)
    assert tokens.list() == ()


def test_tokens_are_listed_and_revoked_within_a_tenant(tokens: Tokens, clock: Clock) -> None:
    one = tokens.create("one", "a", list(Scope)).record
    clock.forward(1)
    two = tokens.create("two", "b", [Scope.SIGN], LONGEST_LIFETIME).record
    assert tokens.list() == (one, two)
    assert tokens.list("b") == (two,)
    assert tokens.list("c") == ()
    with pytest.raises(UsageError, match="no token of that id"):
        tokens.revoke(two.token_id, tenant="a")
    assert tokens.list("b")[0].revoked_us is None
    clock.forward(1)
    assert tokens.revoke(two.token_id, tenant="b").revoked_us == START_US + 2_000_000
    clock.forward(1)
    assert tokens.revoke(two.token_id).revoked_us == START_US + 2_000_000  # since the first time
    assert tokens.list("a") == (one,)


def test_a_token_pasted_in_place_of_its_id_is_not_repeated(tokens: Tokens) -> None:
    plain = tokens.create("one", "a", [Scope.READ]).plain
    with pytest.raises(UsageError) as caught:
        tokens.revoke(plain)
    assert plain[20:40] not in str(caught.value)


def test_the_last_use_is_written_once_an_hour(tokens: Tokens, engine: Engine, clock: Clock) -> None:
    made = tokens.create("a", "main", [Scope.READ])
    assert tokens.list()[0].last_used_us is None
    written: list[str] = []
    event.listen(
        engine, "before_cursor_execute", lambda _c, _u, statement, *_: written.append(statement.split(maxsplit=1)[0])
    )
    for _ in range(5):
        tokens.authenticate(made.plain)
    assert written.count("UPDATE") == 1
    assert tokens.list()[0].last_used_us == START_US
    clock.forward(3599)
    tokens.authenticate(made.plain)
    assert tokens.list()[0].last_used_us == START_US
    clock.forward(1)
    tokens.authenticate(made.plain)
    assert tokens.list()[0].last_used_us == START_US + 3600 * 1_000_000
    assert written.count("UPDATE") == 2


def test_a_database_that_cannot_be_written_to_keeps_nobody_out(tokens: Tokens, tmp_path: Path, clock: Clock) -> None:
    plain = tokens.create("a", "main", [Scope.READ]).plain
    impatient = create_engine(f"sqlite:///{tmp_path / 'tokens.db'}", connect_args={"timeout": 0.05})
    same = Tokens(impatient, clock.now_us, secrets.token_bytes)
    other = sqlite3.connect(tmp_path / "tokens.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert same.authenticate(plain).name == "a"
    assert same.list()[0].last_used_us is None
    with pytest.raises(AccessUnavailableError, match="database of tokens does not answer"):
        same.create("b", "main", [Scope.READ])
    other.close()
    same.authenticate(plain)
    assert same.list()[0].last_used_us == START_US
    impatient.dispose()


def test_a_database_that_is_not_there(tmp_path: Path, clock: Clock) -> None:
    good = write_token(TokenParts("0" * 16, b"s" * 32))
    for url in (f"sqlite:///{tmp_path / 'absent' / 'x.db'}", "postgresql://reader:watchword@127.0.0.1:1/medground"):
        engine = connect(url)
        tokens = Tokens(engine, clock.now_us, secrets.token_bytes)
        with pytest.raises(AccessUnavailableError, match="OperationalError") as caught:
            tokens.authenticate(good)
        assert (caught.value.http_status, caught.value.reason) == (503, "database_unreachable")
        assert caught.value.__suppress_context__
        shown = "".join(traceback.format_exception(caught.value))
        assert "watchword" not in shown
        assert "0" * 16 not in shown
        engine.dispose()


def test_the_table_can_stand_among_others(engine: Engine, clock: Clock) -> None:
    metadata = MetaData()
    table = token_table(metadata)
    assert token_table(metadata) is table
    metadata.create_all(engine)
    tokens = Tokens(engine, clock.now_us, secrets.token_bytes, metadata)
    tokens.create_table()  # once more does no harm
    assert tokens.authenticate(tokens.create("a", "main", [Scope.READ]).plain).tenant == "main"
    assert inspect(engine).get_table_names() == ["access_tokens"]


def test_a_scope_of_a_later_version_opens_nothing(tokens: Tokens, engine: Engine) -> None:
    made = tokens.create("a", "main", [Scope.READ])
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE access_tokens SET scopes = 'erase read'")
    assert tokens.authenticate(made.plain).scopes == {Scope.READ}


def test_randomness_comes_from_where_it_is_said(engine: Engine, clock: Clock) -> None:
    counted: list[int] = []

    def random(count: int) -> bytes:
        counted.append(count)
        return bytes([len(counted)]) * count

    tokens = Tokens(engine, clock.now_us, random)
    tokens.create_table()
    made = tokens.create("a", "main", [Scope.READ])
    assert parse_token(made.plain) == TokenParts("01" * 8, b"\2" * 32)
    assert counted == [8, 32]


def test_no_secret_is_logged(tokens: Tokens, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    made = tokens.create("a", "main", [Scope.READ])
    wrong = write_token(TokenParts(made.record.token_id, b"s" * 32))
    tokens.authenticate(made.plain)
    refusal(tokens, wrong)
    tokens.revoke(made.record.token_id)
    refusal(tokens, made.plain)
    for plain in (made.plain, wrong):
        assert plain[20:40] not in caplog.text


CREATE_MANY = """
import secrets, sys, time
from pathlib import Path
from medground.serving.access.scope import Scope
from medground.serving.access.tokens import Tokens
from medground.serving.database import connect

url, gate = sys.argv[1:]
tokens = Tokens(connect(url), lambda: 1_800_000_000_000_000, secrets.token_bytes)
print("ready", flush=True)
while not Path(gate).exists():
    time.sleep(0.001)
tokens.create_table()
for number in range(25):
    print(tokens.create(f"token {number}", "main", [Scope.READ]).plain, flush=True)
"""


def two_processes_at_once(url: str, gate: Path) -> list[str]:
    """The tokens that two processes make, who both find no table."""
    command = [sys.executable, "-c", CREATE_MANY, url, str(gate)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    gate.touch()
    lines = [process.communicate(timeout=120)[0].split() for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert [len(some) for some in lines] == [25, 25]
    return [line for some in lines for line in some]


def test_two_processes_make_tokens_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'both.db'}"
    made = two_processes_at_once(url, tmp_path / "gate")
    tokens = Tokens(connect(url), lambda: START_US, secrets.token_bytes)
    assert {tokens.authenticate(plain).subject for plain in made} == {one.subject for one in tokens.list()}
    assert len(tokens.list()) == 50


@pytest.mark.judge("postgresql")
def test_the_same_on_postgresql(tmp_path: Path, clock: Clock) -> None:
    with Postgres() as server:
        made = two_processes_at_once(server.url, tmp_path / "gate")
        engine = connect(server.url)
        tokens = Tokens(engine, clock.now_us, secrets.token_bytes)
        assert len({tokens.authenticate(plain).subject for plain in made}) == len(tokens.list()) == 50
        one = tokens.create("one", "a", list(Scope), LONGEST_LIFETIME)
        assert tokens.list("a") == (one.record,)
        assert tokens.authenticate(one.plain).scopes == frozenset(Scope)
        assert tokens.list("a")[0].last_used_us == START_US
        server.kill()
        with pytest.raises(AccessUnavailableError):
            tokens.authenticate(one.plain)
        server.start()
        clock.forward(1)
        assert tokens.revoke(one.record.token_id).revoked_us == START_US + 1_000_000
        assert refusal(tokens, one.plain) == ("revoked", one.record.subject)
        engine.dispose()
