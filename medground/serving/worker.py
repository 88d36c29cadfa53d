"""Worker: answers jobs and delivers results; what it does can be repeated, and it can die at any moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection, Engine
from structlog.typing import FilteringBoundLogger

from medground.audit.event import Action, ActorKind, AuditEvent, ObjectKind, Outcome
from medground.audit.log import AuditLog
from medground.dicom.untrusted import UntrustedReader
from medground.schema.errors import InputError, UsageError
from medground.serving.archives import Archive, DeliveryError
from medground.serving.database import is_gone
from medground.serving.deliveries import Deliveries, DeliveryState
from medground.serving.grounding import CancelledError, answer, result_files
from medground.serving.jobs import ENDED, Job, Jobs, Problem
from medground.serving.model import SharedReader
from medground.serving.objects import ObjectStore, is_full
from medground.serving.result_file import SR, files_of
from medground.serving.results import ResultNotFoundError, ResultRow, Results

RETRY_PAUSE_S, MOST_TRIES = 1.0, 86_400  # a day, as deliveries have
SAID_EVERY = 60  # tries


@dataclass(frozen=True, slots=True)
class Worker:
    """What the workflows' steps are made of.

    Attributes:
        engine: the database.
        store: where files lie.
        jobs, results, deliveries: its tables.
        audit: the log.
        reader: the model.
        untrusted: decodes pixels in processes of their own.
        archives: destinations by name.
        log: never told anything from an image.
        sleep: waits so many seconds.
    """

    engine: Engine
    store: ObjectStore
    jobs: Jobs
    results: Results
    deliveries: Deliveries
    audit: AuditLog
    reader: SharedReader
    untrusted: UntrustedReader
    archives: Mapping[str, Archive]
    log: FilteringBoundLogger
    sleep: Callable[[float], None]

    def answer(self, job_id: str, attempt: int) -> None:
        """Answer a job, or note why that is impossible; wait while the database is away or the disk full."""
        self._patiently(job_id, partial(self._answer, job_id, attempt))

    def deliver(self, job_id: str, destination: str, attempts: int) -> None:
        """Make one attempt to deliver a result, and note what became of it; while the database is away, wait for it."""
        self._patiently(job_id, partial(self._deliver, job_id, destination, attempts))

    def _patiently(self, job_id: str, work: Callable[[], None]) -> None:
        for tried in range(MOST_TRIES):
            try:
                work()
                return
            except Exception as error:
                if not _may_pass(error) or not self.reader.is_alive or tried == MOST_TRIES - 1:
                    raise
                if tried % SAID_EVERY == 0:
                    self.log.warning("waiting", job=job_id, kind=type(error).__name__)
                self.sleep(RETRY_PAUSE_S)

    def _answer(self, job_id: str, attempt: int) -> None:
        job = self.jobs.get(job_id)
        if job.attempt != attempt or job.state in ENDED:
            return
        if not self.jobs.begin(job):
            return
        try:
            self._ground(job)
        except CancelledError:
            self.log.info("job_cancelled", job=job_id)
        except Exception as error:
            if _may_pass(error) or not self.reader.is_alive:
                raise  # it is tried again, or the process is ending and the job goes on in another one
            is_minor = isinstance(error, InputError | UsageError)
            self._fail(job, error, Outcome.MINOR_FAILURE if is_minor else Outcome.SERIOUS_FAILURE)

    def _ground(self, job: Job) -> None:
        found = files_of(self.engine, self.store, job.job_id)
        grounded = answer(
            job,
            found,
            self.reader,
            self.untrusted,
            progress=lambda done, total: self.jobs.progress(job, done, total),
        )
        earlier = self.results.earlier(job)
        files = list(result_files(grounded, self.store, self._report_of(earlier)))
        asked = {"questions": len(job.request.queries), "images": len(found)}
        done = _event(job, Action.GROUNDED, Outcome.SUCCESS, **asked)
        replaces = earlier.job_id if earlier else ""
        if self.results.write(job, files, self.reader.info, replaces, partial(self.audit.append, done)):
            spent = round(sum(grounded.result.timing_ms.values()))
            self.log.info("job_done", job=job.job_id, images=len(found), milliseconds=spent)

    def _report_of(self, earlier: ResultRow | None) -> bytes | None:
        """The structured report of an earlier result, if it has one."""
        if earlier is None:
            return None
        try:
            return self.store.read(self.results.digest(earlier.job_id, earlier.tenant, SR))
        except ResultNotFoundError:
            return None

    def _fail(self, job: Job, error: Exception, outcome: Outcome) -> None:
        failed = _event(job, Action.GROUNDED, outcome, problem=type(error).__name__)
        if self.jobs.fail(job, Problem.of(error), partial(self.audit.append, failed)):
            self.log.warning("job_failed", job=job.job_id, kind=type(error).__name__)

    def _deliver(self, job_id: str, destination: str, attempts: int) -> None:
        delivery = self.deliveries.get(job_id, destination)
        if delivery is None or delivery.attempts != attempts:
            return
        job, problem, may_pass = self.jobs.get(job_id), None, False
        try:
            archive = self.archives.get(destination)
            if archive is None:
                raise DeliveryError(f"no destination is called {destination}", may_pass=False)
            archive.send([self.store.path(digest) for digest in self.deliveries.digests(job_id)])
        except DeliveryError as error:
            problem, may_pass = Problem.of(error), error.may_pass
        except Exception as error:
            if is_gone(error):
                raise
            problem, may_pass = Problem.of(error), True  # a fault of ours, or of a disk: a day is time to mend it
        arrived, failed = (
            _event(job, Action.EXPORTED, outcome, destination=destination, attempt=attempts + 1)
            for outcome in (Outcome.SUCCESS, Outcome.SERIOUS_FAILURE)
        )

        def record(connection: Connection, state: DeliveryState) -> None:
            if state is not DeliveryState.PENDING:
                self.audit.append(arrived if state is DeliveryState.DONE else failed, connection)

        state = self.deliveries.note(delivery, problem, may_pass=may_pass, then=record)
        if state is None and problem is None:
            self.audit.append(arrived)  # deleted or ordered anew meanwhile: it went out all the same
        said = "superseded" if state is None else state.value
        self.log.info("delivery", job=job_id, destination=destination, state=said, attempt=attempts + 1)


def _may_pass(error: Exception) -> bool:
    """Whether it is the database or the disk that is at fault, and not the job."""
    return is_gone(error) or is_full(error)


def _event(job: Job, action: Action, outcome: Outcome, **details: str | int) -> AuditEvent:
    return AuditEvent(
        action=action,
        outcome=outcome,
        actor_kind=ActorKind.SYSTEM,
        actor="worker",
        tenant=job.tenant,
        object_kind=ObjectKind.JOB,
        object_id=job.job_id,
        details=details,
    )
