"""What became of an instance that was sent: it arrived, or it is worth sending again, or it is not."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

_ONCE_MORE = frozenset({0x0110, 0x0213})  # processing failure, resource limitation
_TAKEN = frozenset({0x0000, 0x0107, 0x0116})  # the latter two are warnings (PS3.7 annex C)


class Delivery(StrEnum):
    """What to do about an instance: nothing, send it again later, or look at the problem."""

    ARRIVED = "arrived"
    TRANSIENT = "failed for now"
    PERMANENT = "failed for good"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one instance.

    Attributes:
        delivery: the short of it.
        status: that the other system gave it: of C-STORE, or the failure reason of STOW-RS; None if it gave none.
        problem: one sentence that names no patient; empty if it arrived.
    """

    delivery: Delivery
    status: int | None = None
    problem: str = ""


def outcome_of(status: int) -> Outcome:
    """The outcome by a status of C-STORE or a failure reason of STOW-RS, which are the same.

    Out of resources (0xA7xx), a failure in processing and a lack of means may pass; whatever says that the instance
    itself is wrong, not wanted or not allowed will be said again. A warning (0xBxxx) means that it was stored.

    Source:
        PS3.4 table B.2-1, PS3.7 annex C, PS3.18 table 10.5.3-2 (failure reasons of the store transaction).
    """
    if status in _TAKEN or status & 0xF000 == 0xB000:
        return Outcome(Delivery.ARRIVED, status)
    is_transient = status in _ONCE_MORE or status & 0xFF00 == 0xA700
    delivery = Delivery.TRANSIENT if is_transient else Delivery.PERMANENT
    return Outcome(delivery, status, f"the other system answers with status 0x{status:04X}")
