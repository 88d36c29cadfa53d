"""Tokens for programs and for people without an identity provider: made, checked, listed, revoked.

Of a token the database keeps the SHA-256 of its secret. A slow hash (bcrypt, scrypt, Argon2) protects what people
choose, by making each guess at a likely password dear. The secret here is 256 bits from the system's generator: there
are no likely ones, and 2^256 guesses stay out of reach however cheap each is. A slow hash would only let anyone who
sends wrong tokens keep the processors busy.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Engine, MetaData, Row, String, Table, or_, select
from sqlalchemy.exc import SQLAlchemyError

from medground.schema.errors import AccessUnavailableError, UsageError
from medground.serving.access.refusal import Reason, refused
from medground.serving.access.scope import LONGEST_NAME, Principal, PrincipalKind, Scope, is_tenant
from medground.serving.access.token_format import ID_BYTES, SECRET_BYTES, TokenParts, parse_token, write_token
from medground.serving.database import writing

DEFAULT_LIFETIME: Final = timedelta(days=90)
LONGEST_LIFETIME: Final = timedelta(days=366)
LAST_USED_STEP: Final = timedelta(hours=1)
"""`last_used_us` is written at most once in so long."""

TABLE: Final = "access_tokens"
_MICROSECOND = timedelta(microseconds=1)
_TABLES_LOCK = 7310423  # the one that `create_tables` of the database holds, so that the two take turns
_NO_HASH = "0" * 64


def token_table(metadata: MetaData) -> Table:
    """The table of tokens in a set of tables, put there if it is not."""
    if TABLE in metadata.tables:
        return metadata.tables[TABLE]
    return Table(
        TABLE,
        metadata,
        Column("token_id", String(2 * ID_BYTES), primary_key=True),
        Column("secret_sha256", String(64), nullable=False),
        Column("name", String(LONGEST_NAME), nullable=False),
        Column("tenant", String(64), nullable=False),
        Column("scopes", String(128), nullable=False),
        Column("created_us", BigInteger, nullable=False),
        Column("expires_us", BigInteger, nullable=False),
        Column("revoked_us", BigInteger),
        Column("last_used_us", BigInteger),
    )


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """What is known of a token; times in microseconds since 1970, UTC.

    Attributes:
        token_id: 16 hexadecimal digits, the second part of the token; no secret.
        name: what an administrator called it.
        tenant: whose studies it opens.
        scopes: what may be done with it; a scope that this version does not know is left out.
        created_us: when it was made.
        expires_us: from when on it is not accepted.
        revoked_us: from when on it is not accepted either; None if it was not revoked.
        last_used_us: about when it was used last, see `LAST_USED_STEP`; None if never.
    """

    token_id: str
    name: str
    tenant: str
    scopes: frozenset[Scope]
    created_us: int
    expires_us: int
    revoked_us: int | None
    last_used_us: int | None

    @property
    def subject(self) -> str:
        """What the audit log calls it."""
        return f"token:{self.token_id}"


@dataclass(frozen=True, slots=True)
class CreatedToken:
    """A token that was just made.

    Attributes:
        plain: the token itself; here and now only, it is nowhere kept.
        record: what is kept.
    """

    plain: str = field(repr=False)
    record: TokenRecord


class Tokens:
    """The tokens of a database.

    Args:
        engine: made with `hide_parameters=True`, so that no error of the database quotes a row.
        now_us: microseconds since 1970, UTC.
        random: that many bytes nobody can guess, e.g. `secrets.token_bytes`.
        metadata: the set of tables to put the table into; one of its own if left out.
    """

    def __init__(
        self,
        engine: Engine,
        now_us: Callable[[], int],
        random: Callable[[int], bytes],
        metadata: MetaData | None = None,
    ) -> None:
        self._engine, self._now_us, self._random = engine, now_us, random
        self._table = token_table(MetaData() if metadata is None else metadata)

    def create_table(self) -> None:
        """Create the table if it is missing; any number of processes may do so at once.

        Raises:
            AccessUnavailableError: the database does not answer.
        """
        with _database(), writing(self._engine) as connection:
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_TABLES_LOCK})")
            self._table.create(connection, checkfirst=True)

    def create(
        self, name: str, tenant: str, scopes: Iterable[Scope], lifetime: timedelta = DEFAULT_LIFETIME
    ) -> CreatedToken:
        """Make a token.

        Args:
            name: what people call it, 1 to 128 characters.
            tenant: whose studies it opens, see `is_tenant`.
            scopes: at least one.
            lifetime: more than 0, at most `LONGEST_LIFETIME`.

        Raises:
            UsageError: one of these is not so.
            AccessUnavailableError: the database does not answer.
        """
        granted = frozenset(scopes)
        if not (0 < len(name) <= LONGEST_NAME and name.isprintable() and name.strip()):
            raise UsageError(f"a token needs a name of 1 to {LONGEST_NAME} printable characters")
        if not is_tenant(tenant):
            raise UsageError("a tenant is named by 1 to 64 letters, digits, '.', '_' and '-', a letter or digit first")
        if not granted:
            raise UsageError(f"a token needs a scope; the scopes are {', '.join(Scope)}")
        if not timedelta(0) < lifetime <= LONGEST_LIFETIME:
            raise UsageError(
                f"a token lasts more than 0 and at most {LONGEST_LIFETIME.days} days, not {lifetime / timedelta(1):g}"
            )
        parts, now = TokenParts(self._random(ID_BYTES).hex(), self._random(SECRET_BYTES)), self._now_us()
        expires = now + lifetime // _MICROSECOND
        record = TokenRecord(parts.token_id, name, tenant, granted, now, expires, None, None)
        row = {
            "token_id": record.token_id,
            "secret_sha256": _hash_of(parts.secret),
            "name": name,
            "tenant": tenant,
            "scopes": " ".join(sorted(granted)),
            "created_us": now,
            "expires_us": expires,
        }
        with _database(), writing(self._engine) as connection:
            connection.execute(self._table.insert().values(row))
        return CreatedToken(write_token(parts), record)

    def authenticate(self, plain: str) -> Principal:
        """Who a token is for.

        Raises:
            NotAuthenticatedError: it is malformed, unknown, wrong, revoked or expired; `reason` says which.
            AccessUnavailableError: the database does not answer.
        """
        parts = parse_token(plain)
        if parts is None:
            raise refused(Reason.MALFORMED)
        with _database(), self._engine.connect() as connection:
            row = connection.execute(select(self._table).where(self._table.c.token_id == parts.token_id)).one_or_none()
        is_right = hmac.compare_digest(_hash_of(parts.secret), row.secret_sha256 if row else _NO_HASH)
        if row is None:
            raise refused(Reason.UNKNOWN_TOKEN)
        if not is_right:
            raise refused(Reason.WRONG_SECRET)
        record, now = _record(row), self._now_us()
        if record.revoked_us is not None:
            raise refused(Reason.REVOKED, record.subject)
        if record.expires_us <= now:
            raise refused(Reason.EXPIRED, record.subject)
        self._note_use(record, now)
        return Principal(
            record.subject, PrincipalKind.TOKEN, record.tenant, record.scopes, record.name, record.expires_us
        )

    def revoke(self, token_id: str, tenant: str | None = None) -> TokenRecord:
        """Accept a token no more; one that was revoked before stays revoked since then.

        Args:
            token_id: 16 hexadecimal digits.
            tenant: only if it is of this one.

        Raises:
            UsageError: there is no such token.
            AccessUnavailableError: the database does not answer.
        """
        columns = self._table.c
        here = columns.token_id == token_id
        if tenant is not None:
            here &= columns.tenant == tenant
        with _database(), writing(self._engine) as connection:
            connection.execute(
                self._table.update().where(here, columns.revoked_us.is_(None)).values(revoked_us=self._now_us())
            )
            row = connection.execute(select(self._table).where(here)).one_or_none()
        if row is None:
            # What was given may be a whole token, pasted by mistake: it is not repeated.
            raise UsageError("there is no token of that id; `medground token list` shows the ids")
        return _record(row)

    def list(self, tenant: str | None = None) -> tuple[TokenRecord, ...]:
        """All tokens, of one tenant if given, in the order they were made.

        Raises:
            AccessUnavailableError: the database does not answer.
        """
        wanted = select(self._table).order_by(self._table.c.created_us, self._table.c.token_id)
        if tenant is not None:
            wanted = wanted.where(self._table.c.tenant == tenant)
        with _database(), self._engine.connect() as connection:
            return tuple(_record(row) for row in connection.execute(wanted))

    def _note_use(self, record: TokenRecord, now: int) -> None:
        step = LAST_USED_STEP // _MICROSECOND
        if record.last_used_us is not None and now - record.last_used_us < step:
            return
        last = self._table.c.last_used_us
        here = (self._table.c.token_id == record.token_id) & or_(last.is_(None), last <= now - step)
        # It is a note for people: a database that cannot be written to for the moment keeps nobody out.
        with suppress(AccessUnavailableError), _database(), writing(self._engine) as connection:
            connection.execute(self._table.update().where(here).values(last_used_us=now))


@contextmanager
def _database() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        # Without its cause: the message of that one may quote a row or the address of the database.
        raise AccessUnavailableError(
            f"the database of tokens does not answer as it should ({type(error).__name__}); check it, and try again",
            reason=Reason.DATABASE_UNREACHABLE,
            wait_s=5.0,
        ) from None


def _hash_of(secret: bytes) -> str:
    return hashlib.sha256(secret).hexdigest()


def _record(row: Row[Any]) -> TokenRecord:
    known = {scope.value for scope in Scope}
    return TokenRecord(
        row.token_id,
        row.name,
        row.tenant,
        frozenset(Scope(word) for word in row.scopes.split() if word in known),
        row.created_us,
        row.expires_us,
        row.revoked_us,
        row.last_used_us,
    )
