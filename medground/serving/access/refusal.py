"""Why somebody is not let in: told to the audit log exactly, and to whoever asked not at all."""

from __future__ import annotations

from enum import StrEnum

from medground.schema.errors import NotAuthenticatedError

_OUTWARD = "these credentials are not accepted; ask an administrator for a new token, or sign in again"


class Reason(StrEnum):
    """What the audit log keeps."""

    MISSING = "missing"
    MALFORMED = "malformed"
    TOO_LONG = "too_long"
    NOT_CONFIGURED = "not_configured"
    UNKNOWN_TOKEN = "unknown_token"
    WRONG_SECRET = "wrong_secret"
    REVOKED = "revoked"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    ALGORITHM = "algorithm"
    UNKNOWN_KEY = "unknown_key"
    WRONG_KEY_TYPE = "wrong_key_type"
    SIGNATURE = "signature"
    ISSUER = "issuer"
    AUDIENCE = "audience"
    CLAIMS = "claims"
    TENANT = "tenant"
    OTHER_TENANT = "other_tenant"
    SCOPE = "scope"
    QUOTA = "quota"
    ISSUER_UNREACHABLE = "issuer_unreachable"
    DATABASE_UNREACHABLE = "database_unreachable"


def refused(reason: Reason, subject: str | None = None) -> NotAuthenticatedError:
    """The one answer to credentials that do not count, so that it helps nobody to find some that do.

    Args:
        reason: for the audit log.
        subject: opaque id of whose credentials they are, once that is proven.
    """
    return NotAuthenticatedError(_OUTWARD, reason=reason, subject=subject)
