"""Deliveries: results on their way to archives, tried until they are there or clearly cannot be.

Every attempt is a row's next step, so a destination that is down for a day holds nothing up but its own deliveries.
Objects keep their UIDs, so what arrives twice is there once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, Engine, func, select

from medground.serving.database import deliveries, insert_new, jobs, result_files, writing
from medground.serving.jobs import Problem, State

FIRST_PAUSE_US, LONGEST_PAUSE_US = 2_000_000, 300_000_000
GIVEN_UP_AFTER_US = 24 * 3600 * 1_000_000
SENT_KINDS = ("sr", "gsps", "signed")


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Delivery:
    """A result and where it goes; `attempts` were made so far."""

    job_id: str
    destination: str
    attempts: int
    first_us: int

    @property
    def run_id(self) -> str:
        """Of the workflow that makes the next attempt; with its time, since a deleted job may be asked for again."""
        return f"{self.job_id}-to-{self.destination}-{self.first_us}-{self.attempts + 1}"


class Deliveries:
    """The deliveries in the database.

    Args:
        engine: the database.
        now_us: microseconds since 1970, UTC.
    """

    def __init__(self, engine: Engine, now_us: Callable[[], int]) -> None:
        self._engine, self._now_us = engine, now_us

    def order(self, connection: Connection, job_id: str, destinations: Sequence[str], *, again: bool = False) -> None:
        """Ask for delivery once the job is done, in the caller's transaction; what failed is tried anew.

        Args:
            connection: of the transaction.
            job_id: whose result.
            destinations: by name.
            again: send even what has arrived or is on its way, since there is more to send now.
        """
        over = list(DeliveryState) if again else [DeliveryState.FAILED]
        now = self._now_us()
        for destination in destinations:
            here = (deliveries.c.job_id == job_id) & (deliveries.c.destination == destination)
            row = {
                "job_id": job_id,
                "destination": destination,
                "state": DeliveryState.PENDING,
                "attempts": 0,
                "problem": "",
                "first_us": now,
                "next_us": now,
            }
            if not insert_new(connection, deliveries, row):
                # The number goes on, so that an attempt that is under way, with less to send, ends nothing.
                attempts = deliveries.c.attempts + 1 if again else deliveries.c.attempts
                connection.execute(
                    deliveries.update()
                    .where(here, deliveries.c.state.in_(over))
                    .values(state=DeliveryState.PENDING, attempts=attempts, first_us=now, next_us=now, problem="")
                )

    def due(self, at_most: int = 200) -> list[Delivery]:
        """Deliveries of finished jobs whose time has come, the oldest `at_most` of each destination.

        Each has a share of its own, since what is under way to an archive that hangs stays due.
        """
        now = self._now_us()
        place = func.row_number().over(partition_by=deliveries.c.destination, order_by=deliveries.c.next_us)
        ready = (
            select(deliveries, place.label("place"))
            .join(jobs, jobs.c.job_id == deliveries.c.job_id)
            .where(
                deliveries.c.state == DeliveryState.PENDING,
                # No pause is that long: the clock was set back.
                (deliveries.c.next_us <= now) | (deliveries.c.next_us > now + LONGEST_PAUSE_US),
                jobs.c.state == State.DONE,
            )
            .subquery()
        )
        statement = select(ready).where(ready.c.place <= at_most).order_by(ready.c.next_us)
        with self._engine.connect() as connection:
            return [
                Delivery(row.job_id, row.destination, row.attempts, row.first_us)
                for row in connection.execute(statement)
            ]

    def destinations(self, connection: Connection, job_id: str) -> list[str]:
        """Where a result goes or went."""
        return list(connection.scalars(select(deliveries.c.destination).where(deliveries.c.job_id == job_id)))

    def get(self, job_id: str, destination: str) -> Delivery | None:
        """A delivery that is not over; None if there is none."""
        statement = select(deliveries).where(
            deliveries.c.job_id == job_id,
            deliveries.c.destination == destination,
            deliveries.c.state == DeliveryState.PENDING,
        )
        with self._engine.connect() as connection:
            row = connection.execute(statement).one_or_none()
        return None if row is None else Delivery(row.job_id, row.destination, row.attempts, row.first_us)

    def digests(self, job_id: str) -> list[str]:
        """SHA-256 of the DICOM objects of a result, in order."""
        statement = (
            select(result_files.c.sha256)
            .where(result_files.c.job_id == job_id, result_files.c.kind.in_(SENT_KINDS))
            .order_by(result_files.c.kind.desc(), result_files.c.number)
        )
        with self._engine.connect() as connection:
            return list(connection.scalars(statement))

    def note(
        self,
        delivery: Delivery,
        problem: Problem | None,
        *,
        may_pass: bool,
        then: Callable[[Connection, DeliveryState], None],
    ) -> DeliveryState | None:
        """Note what became of an attempt.

        Args:
            delivery: as it was before the attempt.
            problem: None if everything arrived.
            may_pass: whether trying again may help.
            then: what else belongs to the transaction.

        Returns:
            Where it stands now; None if another attempt was asked for meanwhile, and nothing was noted.
        """
        now, attempts = self._now_us(), delivery.attempts + 1
        if problem is None:
            state = DeliveryState.DONE
        elif may_pass and now - delivery.first_us < GIVEN_UP_AFTER_US:
            state = DeliveryState.PENDING
        else:
            state = DeliveryState.FAILED
        pause = min(FIRST_PAUSE_US * 2 ** min(attempts - 1, 20), LONGEST_PAUSE_US)
        with writing(self._engine) as connection:
            noted = connection.execute(
                deliveries.update()
                .where(
                    deliveries.c.job_id == delivery.job_id,
                    deliveries.c.destination == delivery.destination,
                    deliveries.c.attempts == delivery.attempts,
                    deliveries.c.state == DeliveryState.PENDING,
                )
                .values(
                    state=state,
                    attempts=attempts,
                    problem="" if problem is None else problem.model_dump_json(),
                    next_us=now + pause,
                )
            )
            if noted.rowcount != 1:
                return None
            then(connection, state)
        return state
