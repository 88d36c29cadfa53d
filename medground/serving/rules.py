"""Which questions a study that arrived by itself is asked, and when it counts as complete."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine, select
from sqlalchemy.exc import OperationalError

from medground.inference.understand import understand
from medground.schema.errors import QueryError, UsageError
from medground.schema.vocabulary import Vocabulary
from medground.serving.config import Rule
from medground.serving.database import instances, studies, writing
from medground.serving.deliveries import Deliveries
from medground.serving.jobs import JobRequest, Jobs


def check_questions(rules: Sequence[Rule], vocabulary: Vocabulary) -> None:
    """See that the questions of all rules can be understood, before a study waits for an answer to one.

    Args:
        rules: of the config.
        vocabulary: of the model.

    Raises:
        UsageError: one is no question.
    """
    for number, rule in enumerate(rules):
        for question in rule.questions:
            try:
                understand(question, vocabulary)
            except QueryError as cause:
                raise UsageError(f"rules.{number}.questions: {cause}") from cause


@dataclass(frozen=True, slots=True)
class Completion:
    """Closes studies that nothing came of for a while, and asks them what the rules say.

    A study that gets an image after it was closed is opened again, and its larger set of images is another job.

    Attributes:
        engine: the database.
        jobs, deliveries: where to ask.
        rules: of the service, in order; all that fit are asked.
        quiet_us: how long nothing must have come.
        now_us: microseconds since 1970, UTC.
    """

    engine: Engine
    jobs: Jobs
    deliveries: Deliveries
    rules: Sequence[Rule]
    quiet_us: int
    now_us: Callable[[], int]

    def run(self, model_sha256: str, at_most: int = 100) -> list[str]:
        """Close what is complete.

        Returns:
            The ids of the jobs that were asked for.

        Raises:
            OperationalError: the database does not answer.
            Exception: of the first study that could not be closed; the others were all the same.
        """
        now = self.now_us()
        with self.engine.connect() as connection:
            open_ones = connection.execute(
                select(studies.c.tenant, studies.c.study_key, studies.c.last_received_us)
                .where(studies.c.is_open)
                .order_by(studies.c.last_received_us)
                .limit(at_most)
            ).all()
        asked: list[str] = []
        failed: list[Exception] = []
        for row in open_ones:
            try:
                asked += self._look(row.tenant, row.study_key, row.last_received_us, now, model_sha256)
            except OperationalError:
                raise
            except Exception as error:
                failed.append(error)
        if failed:
            raise failed[0]
        return asked

    def _look(self, tenant: str, study_key: str, last_received_us: int, now: int, model_sha256: str) -> list[str]:
        if last_received_us > now:  # the clock was set back: count from now on
            with writing(self.engine) as connection:
                connection.execute(
                    studies.update()
                    .where(studies.c.tenant == tenant, studies.c.study_key == study_key)
                    .values(last_received_us=now)
                )
            return []
        if last_received_us + self.quiet_us > now:
            return []
        return self._close(tenant, study_key, last_received_us, model_sha256)

    def _close(self, tenant: str, study_key: str, last_received_us: int, model_sha256: str) -> list[str]:
        here = (studies.c.tenant == tenant) & (studies.c.study_key == study_key)
        asked = []
        with writing(self.engine) as connection:
            closed = connection.execute(
                studies.update()
                .where(here, studies.c.is_open, studies.c.last_received_us == last_received_us)
                .values(is_open=False)
            )
            if closed.rowcount != 1:
                return []  # an image came just now, or another worker was faster
            study = connection.execute(select(studies).where(here)).one()
            ids = list(
                connection.scalars(
                    select(instances.c.id).where(instances.c.tenant == tenant, instances.c.study_key == study_key)
                )
            )
            for rule in self.rules:
                if rule.fits(
                    tenant=tenant,
                    calling_ae=study.calling_ae,
                    modalities=study.modalities,
                    body_parts=study.body_parts,
                ):
                    job = self.jobs.submit(
                        connection,
                        tenant=tenant,
                        instance_ids=ids,
                        request=JobRequest(queries=rule.questions, deliver_to=rule.deliver_to),
                        model_sha256=model_sha256,
                        origin="rule",
                        requested_by="rules",
                    )
                    self.deliveries.order(connection, job, rule.deliver_to)
                    asked.append(job)
        return asked
