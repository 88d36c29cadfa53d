"""What a client can meet, besides results."""

from __future__ import annotations

from medground.schema.errors import MedgroundError


class ServiceError(MedgroundError):
    """The service answered with a problem (RFC 9457).

    Attributes:
        status: HTTP status.
        kind: which kind of problem, e.g. `not-found`.
    """

    def __init__(self, status: int, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.kind = status, kind


class ServiceUnreachableError(MedgroundError):
    """The service did not answer, or broke off; what it accepted it keeps, so asking again is safe."""
