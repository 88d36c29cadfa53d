"""`medground token`: makes, lists and revokes tokens in the database of the service."""

from __future__ import annotations

import os
import secrets
import time
from datetime import UTC, datetime, timedelta

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from sqlalchemy import Engine

from medground.audit.event import Action, ActorKind, AuditEvent, ObjectKind
from medground.audit.log import AuditLog
from medground.audit.tables import create_tables
from medground.cli.database import STATE_FOLDER, VARIABLE, database_url
from medground.schema.errors import UsageError
from medground.serving.access.scope import parse_scopes
from medground.serving.access.tokens import LONGEST_LIFETIME, TokenRecord, Tokens
from medground.serving.database import connect

WIDTH_PIPED = 240
"""Of a table that a program reads: no word of it is cut."""


def run_create(name: str, tenant: str, scopes: str, days: int, database: str | None) -> int:
    """Make a token; it goes to stdout, what else there is to say to stderr.

    Returns:
        Exit code 0.

    Raises:
        MedgroundError: no token was made.
    """
    if not 1 <= days <= LONGEST_LIFETIME.days:
        raise UsageError(f"--days {days} is out of range; a token lasts 1 to {LONGEST_LIFETIME.days} days")
    engine, tokens = _opened(database)
    made = tokens.create(name, tenant, parse_scopes(scopes.split(",")), timedelta(days=days))
    _record(engine, Action.TOKEN_CREATED, made.record)  # before anybody has it
    end = datetime.fromtimestamp(made.record.expires_us / 1e6, UTC)
    _say(
        f"token {made.record.token_id} is accepted until {end:%Y-%m-%d %H:%M} UTC, by services over {_shown(engine)}; "
        "it is shown this once:"
    )
    typer.echo(made.plain)
    return 0


def run_list(tenant: str | None, database: str | None) -> int:
    """Print what is known of the tokens.

    Returns:
        Exit code 0.

    Raises:
        MedgroundError: the database does not answer.
    """
    table = Table()
    for heading in ("id", "name", "tenant", "scopes", "made", "ends", "last used", "state"):
        table.add_column(heading, no_wrap=heading == "id", overflow="fold")
    now = _now_us()
    engine, tokens = _opened(database)
    records = tokens.list(tenant)
    for one in records:
        last = "never" if one.last_used_us is None else _day(one.last_used_us)
        words = (one.name, one.tenant, ", ".join(sorted(one.scopes)), _day(one.created_us), _day(one.expires_us), last)
        table.add_row(one.token_id, *map(escape, words), _state(one, now))
    if records:
        console = Console()
        if not console.is_terminal:
            console.width = WIDTH_PIPED
        console.print(table)
    else:
        _say(f"there are no tokens in {_shown(engine)}")
    return 0


def run_revoke(token_id: str, database: str | None) -> int:
    """Accept a token no more.

    Returns:
        Exit code 0.

    Raises:
        UsageError: there is no such token.
    """
    engine, tokens = _opened(database)
    record = tokens.revoke(token_id)
    _record(engine, Action.TOKEN_REVOKED, record)
    _say(f"token {record.token_id} ({record.name}) is not accepted any more")
    return 0


def _opened(database: str | None) -> tuple[Engine, Tokens]:
    if not (database or os.environ.get(VARIABLE)):
        try:
            STATE_FOLDER.mkdir(mode=0o700, exist_ok=True)
        except OSError as cause:
            raise UsageError(f"{STATE_FOLDER} cannot be made here ({cause.strerror}); give --database") from cause
    engine = connect(database_url(database, os.environ))
    tokens = Tokens(engine, _now_us, secrets.token_bytes)
    tokens.create_table()
    return engine, tokens


def _record(engine: Engine, action: Action, token: TokenRecord) -> None:
    """Append to the audit log what was done to a token; who did it is whoever can reach the database."""
    create_tables(engine)
    event = AuditEvent(
        action=action,
        actor_kind=ActorKind.SYSTEM,
        actor="medground-token",
        tenant=token.tenant,
        object_kind=ObjectKind.TOKEN,
        object_id=f"token-{token.token_id}",
        details={"scope": "+".join(sorted(token.scopes))} if token.scopes else {},
    )
    AuditLog(engine, lambda: datetime.now(UTC)).append(event)


def _shown(engine: Engine) -> str:
    return engine.url.set(drivername=engine.url.get_backend_name()).render_as_string(hide_password=True)


def _now_us() -> int:
    return time.time_ns() // 1000


def _day(us: int) -> str:
    return f"{datetime.fromtimestamp(us / 1e6, UTC):%Y-%m-%d}"


def _state(record: TokenRecord, now_us: int) -> str:
    if record.revoked_us is not None:
        return "revoked"
    return "expired" if record.expires_us <= now_us else "accepted"


def _say(words: str) -> None:
    Console(stderr=True).print(words, markup=False, highlight=False, soft_wrap=True)
