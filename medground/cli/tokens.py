"""`medground token`: makes, lists and revokes tokens in the database of the service."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from medground.schema.errors import UsageError
from medground.serving.access.scope import parse_scopes
from medground.serving.access.tokens import LONGEST_LIFETIME, TokenRecord, Tokens
from medground.serving.database import connect

VARIABLE = "MEDGROUND_DATABASE"
STATE_FOLDER = Path("medground-state")


def run_create(name: str, tenant: str, scopes: str, days: int, database: str | None) -> int:
    """Make a token; it goes to stdout, what else there is to say to stderr.

    Returns:
        Exit code 0.

    Raises:
        MedgroundError: no token was made.
    """
    if not 1 <= days <= LONGEST_LIFETIME.days:
        raise UsageError(f"--days {days} is out of range; a token lasts 1 to {LONGEST_LIFETIME.days} days")
    made = _tokens(database).create(name, tenant, parse_scopes(scopes.split(",")), timedelta(days=days))
    end = datetime.fromtimestamp(made.record.expires_us / 1e6, UTC)
    _say(f"token {made.record.token_id} is accepted until {end:%Y-%m-%d %H:%M} UTC; it is shown this once:")
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
    records = _tokens(database).list(tenant)
    for one in records:
        last = "never" if one.last_used_us is None else _day(one.last_used_us)
        words = (one.name, one.tenant, ", ".join(sorted(one.scopes)), _day(one.created_us), _day(one.expires_us), last)
        table.add_row(one.token_id, *map(escape, words), _state(one, now))
    if records:
        Console().print(table)
    else:
        _say("there are no tokens")
    return 0


def run_revoke(token_id: str, database: str | None) -> int:
    """Accept a token no more.

    Returns:
        Exit code 0.

    Raises:
        UsageError: there is no such token.
    """
    record = _tokens(database).revoke(token_id)
    _say(f"token {record.token_id} ({record.name}) is not accepted any more")
    return 0


def database_url(given: str | None, environment: Mapping[str, str]) -> str:
    """The address of the database: the given one, else that of `MEDGROUND_DATABASE`, else a file in `STATE_FOLDER`.

    Args:
        given: on the command line.
        environment: where the variable is looked up.

    Raises:
        UsageError: the folder of the file cannot be made.
    """
    if url := given or environment.get(VARIABLE):
        return url
    try:
        STATE_FOLDER.mkdir(mode=0o700, exist_ok=True)
    except OSError as cause:
        raise UsageError(f"{STATE_FOLDER} cannot be made here ({cause.strerror}); give --database") from cause
    return f"sqlite:///{STATE_FOLDER / 'medground.db'}"


def _tokens(database: str | None) -> Tokens:
    tokens = Tokens(connect(database_url(database, os.environ)), _now_us, secrets.token_bytes)
    tokens.create_table()
    return tokens


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
