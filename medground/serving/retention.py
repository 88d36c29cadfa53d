"""Retention: studies whose time is over are forgotten with all that was answered of them; what lies about is swept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, delete, select

from medground.serving.config import RetentionConfig
from medground.serving.database import (
    batches,
    commitments,
    deliveries,
    idempotency,
    instances,
    job_instances,
    jobs,
    result_files,
    results,
    reviews,
    studies,
    writing,
)
from medground.serving.instance_views import instance_views
from medground.serving.jobs import Then
from medground.serving.objects import ObjectStore

DAY_US = 86_400_000_000
YOUNG_S = 86_400.0  # what a process may still be working on; a clock that jumps by hours must not end that
AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Retention:
    """Forgets.

    Attributes:
        engine: the database.
        store: where files lie.
        config: how long.
        now_us: microseconds since 1970, UTC.
        record: told study, tenant and number of images, in the transaction that forgets them.
    """

    engine: Engine
    store: ObjectStore
    config: RetentionConfig
    now_us: Callable[[], int]
    record: Callable[[str, str, int, Connection], None]

    def run(self) -> None:
        """Forget what is over, and remove files that no row speaks of."""
        now = self.now_us()
        if self.config.studies_days is not None:
            self._forget_studies(now - int(self.config.studies_days * DAY_US))
        with writing(self.engine) as connection:
            before = now - int(self.config.keys_days * DAY_US)
            connection.execute(delete(idempotency).where(idempotency.c.created_us < before))
            asked_before = now - int(self.config.commitments_days * DAY_US)
            connection.execute(delete(commitments).where(commitments.c.created_us < asked_before))
        self.store.sweep(older_than_s=YOUNG_S, now_s=now / 1e6)
        self.store.remove_unused(self._is_used, older_than_s=YOUNG_S, now_s=now / 1e6)

    def _forget_studies(self, before_us: int) -> None:
        with self.engine.connect() as connection:
            over = connection.execute(
                select(studies.c.tenant, studies.c.study_key)
                .where(studies.c.last_received_us < before_us, studies.c.is_open.is_(False))
                .limit(AT_ONCE)
            ).all()
        for row in over:
            self.forget(row.tenant, row.study_key, before_us=before_us)

    def forget(self, tenant: str, study_key: str, *, before_us: int | None = None) -> int:
        """Forget a study, all of it or nothing; the audit log keeps that it was here, by its key alone.

        Args:
            tenant: whose.
            study_key: which.
            before_us: only if no image of it came since then.

        Returns:
            How many images it had.
        """
        with writing(self.engine) as connection:
            here = (studies.c.tenant == tenant) & (studies.c.study_key == study_key)
            last = connection.scalar(select(studies.c.last_received_us).where(here).with_for_update())
            if last is None or (before_us is not None and last >= before_us):
                return 0
            # Images, then jobs, then the rest: whoever is adding to one of them holds its row, and is waited for.
            images = delete(instances).where(instances.c.tenant == tenant, instances.c.study_key == study_key)
            gone = list(connection.scalars(images.returning(instances.c.id)))
            for some in batches(gone):
                connection.execute(delete(instance_views).where(instance_views.c.instance_id.in_(some)))
            over = delete(jobs).where(jobs.c.tenant == tenant, jobs.c.study_key == study_key)
            ids = list(connection.scalars(over.returning(jobs.c.job_id)))
            for table in (result_files, results, deliveries, reviews, job_instances, idempotency):
                connection.execute(delete(table).where(table.c.job_id.in_(ids)))
            connection.execute(delete(studies).where(here))
            self.record(study_key, tenant, len(gone), connection)
        return len(gone)

    def forget_job(self, job_id: str, tenant: str, then: Then) -> bool:
        """Forget a job with its result and reviews; False if there is none. What was sent to archives stays there.

        Args:
            job_id: which.
            tenant: whose it must be.
            then: what else belongs to the transaction.
        """
        with writing(self.engine) as connection:
            mine = (jobs.c.job_id == job_id) & (jobs.c.tenant == tenant)
            if connection.execute(delete(jobs).where(mine)).rowcount != 1:
                return False
            for table in (result_files, results, deliveries, reviews, job_instances, idempotency):
                connection.execute(delete(table).where(table.c.job_id == job_id))
            then(connection)
        return True

    def _is_used(self, digest: str) -> bool:
        with self.engine.connect() as connection:
            by_image = select(instances.c.id).where(instances.c.sha256 == digest)
            by_result = select(result_files.c.job_id).where(result_files.c.sha256 == digest)
            return connection.scalar(by_image) is not None or connection.scalar(by_result) is not None
