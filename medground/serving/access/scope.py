"""What may be done, and who does it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from medground.schema.errors import ForbiddenError, UsageError
from medground.serving.access.refusal import Reason

LONGEST_NAME = 128
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


class Scope(StrEnum):
    """What may be done. None contains another: who administers does not thereby sign, who signs needs `read` too."""

    GROUND = "ground"
    """Send images and ask questions about them."""
    READ = "read"
    """See studies, images and results of the own tenant."""
    REVIEW = "review"
    """Accept, correct and reject findings."""
    SIGN = "sign"
    """Sign a review, after which it goes out."""
    ADMIN = "admin"
    """Make and revoke tokens, change settings."""
    AUDIT = "audit"
    """Read the audit log."""


class PrincipalKind(StrEnum):
    """How it is known who asks."""

    TOKEN = "token"
    OIDC = "oidc"
    DICOM = "dicom"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks.

    Attributes:
        subject: opaque id, at most 64 characters; what the audit log and the database know of a person.
        kind: how it is known.
        tenant: whose studies and results may be touched, and no others.
        scopes: what may be done with them.
        name: shown to people, so that they see who signed; left out of `repr`, and so out of logs.
        expires_us: microseconds since 1970 (UTC) at which the credentials end; None if they do not.
    """

    subject: str
    kind: PrincipalKind
    tenant: str
    scopes: frozenset[Scope]
    name: str = field(repr=False)
    expires_us: int | None = None

    def require(self, scope: Scope) -> None:
        """Let pass who has a scope.

        Raises:
            ForbiddenError: it is not there.
        """
        if scope not in self.scopes:
            had = ", ".join(sorted(self.scopes)) or "none"
            raise ForbiddenError(
                f"this needs the scope {scope}, and these credentials have {had}; ask an administrator for others",
                reason=Reason.SCOPE,
                subject=self.subject,
            )

    def is_expired(self, now_us: int) -> bool:
        """Whether the credentials have ended; to be asked again where one connection stays open for long.

        Args:
            now_us: microseconds since 1970, UTC.
        """
        return self.expires_us is not None and self.expires_us <= now_us


def parse_scopes(words: Iterable[str]) -> frozenset[Scope]:
    """Scopes from their names.

    Raises:
        UsageError: a name is none, or there is no name at all.
    """
    names = [stripped for word in words if (stripped := word.strip())]
    known = {scope.value for scope in Scope}
    for name in names:
        if name not in known:
            raise UsageError(f"{name!r} is no scope; the scopes are {', '.join(Scope)}")
    if not names:
        raise UsageError(f"no scope is given; the scopes are {', '.join(Scope)}")
    return frozenset(map(Scope, names))


def is_tenant(text: str) -> bool:
    """Whether a text can name a tenant: 1 to 64 of A-Z, a-z, 0-9, `.`, `_`, `-`, the first one a letter or digit."""
    return _TENANT.fullmatch(text) is not None
