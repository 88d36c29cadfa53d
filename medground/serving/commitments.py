"""Storage commitments: requests for them in the database, and what can be said of each instance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Engine, delete, select

from medground.serving.database import batches, commitments, insert_new, instances, writing
from medground.serving.dicom_receiver.commitment import CommitmentRequest, FailureReason
from medground.serving.objects import ObjectStore


@dataclass(frozen=True, slots=True)
class Commitments:
    """A `CommitmentStore` over the database.

    Attributes:
        engine: the database.
        store: where files lie.
        now_us: microseconds since 1970, UTC.
    """

    engine: Engine
    store: ObjectStore
    now_us: Callable[[], int]

    def add(self, request: CommitmentRequest, /) -> None:
        """Keep a request; one with the same key takes its place."""
        tenant, calling, called, transaction = request.key
        row = {
            "tenant": tenant,
            "calling_ae": calling,
            "called_ae": called,
            "transaction_uid": transaction,
            "content": request.model_dump_json(),
            "created_us": self.now_us(),
        }
        with writing(self.engine) as connection:
            if not insert_new(connection, commitments, row):
                connection.execute(commitments.update().where(_is(request)).values(content=row["content"]))

    def pending(self) -> Sequence[CommitmentRequest]:
        """The requests whose reports have not been taken, oldest first."""
        with self.engine.connect() as connection:
            found = connection.scalars(select(commitments.c.content).order_by(commitments.c.created_us))
            return [CommitmentRequest.model_validate_json(content) for content in found]

    def judge(self, request: CommitmentRequest, /) -> Sequence[FailureReason | None]:
        """For each reference: None if its row and its file are here."""
        wanted = sorted({one.sop_instance_uid for one in request.references})
        columns = (instances.c.sop_uid, instances.c.sop_class_uid, instances.c.sha256)
        mine = select(*columns).where(instances.c.tenant == request.tenant)
        with self.engine.connect() as connection:
            some = (connection.execute(mine.where(instances.c.sop_uid.in_(uids))).all() for uids in batches(wanted))
            rows = [row for found in some for row in found]
        here = {row.sop_uid: row for row in rows if self.store.path(row.sha256).is_file()}
        verdicts: list[FailureReason | None] = []
        for one in request.references:
            row = here.get(one.sop_instance_uid)
            if row is None:
                verdicts.append(FailureReason.NO_SUCH_OBJECT_INSTANCE)
            elif row.sop_class_uid != one.sop_class_uid:
                verdicts.append(FailureReason.CLASS_INSTANCE_CONFLICT)
            else:
                verdicts.append(None)
        return verdicts

    def reported(self, request: CommitmentRequest, /) -> None:
        """The caller has taken the report: forget the request."""
        with writing(self.engine) as connection:
            connection.execute(delete(commitments).where(_is(request)))


def _is(request: CommitmentRequest) -> ColumnElement[bool]:
    tenant, calling, called, transaction = request.key
    return (
        (commitments.c.tenant == tenant)
        & (commitments.c.calling_ae == calling)
        & (commitments.c.called_ae == called)
        & (commitments.c.transaction_uid == transaction)
    )
