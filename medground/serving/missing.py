"""What is not there, or is another tenant's: whoever asks is told the same of both, and the audit log knows better."""

from __future__ import annotations

from medground.audit.event import ObjectKind
from medground.schema.errors import UsageError


class MissingError(UsageError):
    """No such study, job or result.

    Attributes:
        foreign: kind and key of what was asked for, where it is there and another tenant's.
    """

    def __init__(self, message: str, foreign: tuple[ObjectKind, str] | None = None) -> None:
        super().__init__(message)
        self.foreign = foreign
