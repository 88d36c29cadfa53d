"""Service: the parts that HTTP routes, the DICOM receiver and workers share, put together from a config."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from secrets import token_bytes

import httpx
from sqlalchemy import Connection, Engine
from structlog.typing import FilteringBoundLogger

from medground.audit.event import Action, ActorKind, AuditEvent, ObjectKind, Outcome
from medground.audit.log import AuditLog
from medground.audit.tables import create_tables as create_audit_tables
from medground.dicom.untrusted import UntrustedReader
from medground.model.bundle_facts import BundleFacts
from medground.serving.access.authenticator import Authenticator
from medground.serving.access.oidc import Oidc
from medground.serving.access.quota import Quota
from medground.serving.access.refusals import Refusals
from medground.serving.access.scope import Principal, PrincipalKind
from medground.serving.access.tokens import Tokens
from medground.serving.archives import open_web
from medground.serving.config import ServiceConfig
from medground.serving.database import connect, create_tables, is_gone
from medground.serving.deliveries import Deliveries
from medground.serving.dicom_receiver.dicom_web import DicomWebArchive
from medground.serving.instance_views import InstanceViews
from medground.serving.intake import HEADER_LIMITS, Intake
from medground.serving.jobs import Jobs
from medground.serving.metrics import Metrics
from medground.serving.model_card import NO_CARD, ServedCard
from medground.serving.objects import ObjectStore
from medground.serving.results import Results
from medground.serving.retention import Retention
from medground.serving.reviews import Reviews
from medground.serving.times import now_us, utc_now
from medground.serving.worklist import WorkList

SYSTEM = Principal("service", PrincipalKind.SYSTEM, "", frozenset(), "service")
"""Who starts and ends a process of the service."""


@dataclass(frozen=True, slots=True)
class Service:
    """What all sides share.

    Attributes:
        pulls: archives by name that studies may be fetched from.
        untrusted: decodes pixels in processes of their own.
        model: what answers; workers have its weights too.
        card: of the model, as it was found at the start.
        ready: functions that say whether a part of this process works; empty words if it does.
        nudges: functions that tell a worker in this process that there is something to do.
        ending: set once this process is asked to end.
    """

    config: ServiceConfig
    engine: Engine
    store: ObjectStore
    intake: Intake
    jobs: Jobs
    results: Results
    deliveries: Deliveries
    reviews: Reviews
    worklist: WorkList
    views: InstanceViews
    pulls: Mapping[str, DicomWebArchive]
    untrusted: UntrustedReader
    audit: AuditLog
    tokens: Tokens
    authenticator: Authenticator
    quota: Quota
    refusals: Refusals
    metrics: Metrics
    model: BundleFacts
    card: ServedCard
    log: FilteringBoundLogger
    ready: dict[str, Callable[[], str]] = field(default_factory=dict)
    nudges: list[Callable[[], None]] = field(default_factory=list)
    ending: threading.Event = field(default_factory=threading.Event)

    def nudge(self) -> None:
        """There may be something to do right now."""
        for tell in self.nudges:
            tell()

    def record(
        self,
        who: Principal | None,
        action: Action,
        *,
        source: str = "",
        outcome: Outcome = Outcome.SUCCESS,
        about: tuple[ObjectKind, str] = (ObjectKind.NONE, ""),
        connection: Connection | None = None,
        **details: str | int | float | bool,
    ) -> None:
        """Append to the audit log.

        Args:
            who: does it; None for nobody that is known.
            action: what.
            source: IP address.
            outcome: how it ended.
            about: kind and key of the object.
            connection: of the transaction it belongs to.
            details: see `medground.audit.event.DETAILS`.
        """
        event = AuditEvent(
            action=action,
            outcome=outcome,
            actor_kind=ActorKind(who.kind.value) if who else ActorKind.UNKNOWN,
            actor=who.subject if who else "",
            tenant=who.tenant if who else "",
            source=source,
            object_kind=about[0],
            object_id=about[1],
            details=details,
        )
        self.audit.append(event, connection)

    @property
    def retention(self) -> Retention:
        """What forgets."""
        return Retention(self.engine, self.store, self.config.retention, now_us, self.record_deletion)

    def record_deletion(self, study_key: str, tenant: str, images: int, connection: Connection) -> None:
        """Append that a study's time was over."""
        keeper = Principal("retention", PrincipalKind.SYSTEM, tenant, frozenset(), "retention")
        about = (ObjectKind.STUDY, study_key)
        self.record(keeper, Action.DELETED, about=about, connection=connection, images=images)


@contextmanager
def open_service(
    config: ServiceConfig, model: BundleFacts, log: FilteringBoundLogger, card: ServedCard = NO_CARD
) -> Iterator[Service]:
    """Open the database, the files and the log; waits while the database is away.

    Args:
        config: of the service.
        model: that answers.
        log: of this process.
        card: of the model.

    Raises:
        UsageError: the state folder cannot be written to, or the database is of another version.
    """
    store = ObjectStore(config.state / "objects")
    engine = connect(config.database_url)
    opened = ExitStack()
    try:
        tokens = Tokens(engine, now_us, token_bytes)
        _create_tables(engine, tokens, log)
        jobs = Jobs(engine, now_us)
        yield Service(
            config=config,
            engine=engine,
            store=store,
            intake=Intake(engine, store, now_us),
            jobs=jobs,
            results=Results(engine, jobs, now_us),
            deliveries=Deliveries(engine, now_us),
            reviews=Reviews(engine, now_us),
            worklist=WorkList(engine),
            views=InstanceViews(engine, store, HEADER_LIMITS),
            pulls={name: open_web(one, opened) for name, one in config.destinations.items() if one.pull},
            untrusted=opened.enter_context(UntrustedReader(workers=config.model.decoders)),
            audit=AuditLog(engine, utc_now),
            tokens=tokens,
            authenticator=Authenticator(tokens, _oidc(config, opened)),
            quota=Quota(config.quota, time.monotonic),
            refusals=Refusals(time.monotonic),
            metrics=Metrics(),
            model=model,
            card=card,
            log=log,
        )
    finally:
        opened.close()
        engine.dispose()


def _oidc(config: ServiceConfig, opened: ExitStack) -> Oidc | None:
    if config.oidc is None:
        return None
    return Oidc(config.oidc, opened.enter_context(httpx.Client()), now_us, time.monotonic)


def _create_tables(engine: Engine, tokens: Tokens, log: FilteringBoundLogger) -> None:
    while True:
        try:
            create_tables(engine)
            create_audit_tables(engine)
            tokens.create_table()
        except Exception as error:
            if not is_gone(error):
                raise
            log.warning("database_away", kind=type(error).__name__)
            time.sleep(1)
        else:
            return
