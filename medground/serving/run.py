"""Run: one process of a service, from its config to its end.

`all` is everything in one process, `api` answers HTTP and receives DICOM, `worker` answers jobs and delivers. Any
number of each may run at once over one database and one state folder, and each can be killed at any moment.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from types import FrameType

import torch
import uvicorn
from sqlalchemy import select

import medground
from medground.audit.anchor import AnchorFile, anchor_head
from medground.audit.event import Action
from medground.inference.reader import Reader
from medground.model.bundle import read_facts
from medground.schema.errors import MedgroundError, UsageError
from medground.serving.access.scope import Principal, PrincipalKind
from medground.serving.archives import open_archives
from medground.serving.config import Role, ServiceConfig
from medground.serving.database import schema_versions
from medground.serving.dispatcher import Chore, Dispatcher
from medground.serving.http.app import guarded
from medground.serving.logs import make_log
from medground.serving.model import SharedReader
from medground.serving.receiving import receiving
from medground.serving.rules import Completion, check_questions
from medground.serving.service import Service, open_service
from medground.serving.times import now_us, utc_now
from medground.serving.worker import Worker
from medground.serving.workflows import Steps, WorkerSeat, Workflows

LoadReader = Callable[[Path | None, str], Reader]
HOUSEKEEPING_EVERY_US = 600_000_000
ANCHOR_EVERY_US = 60_000_000
WORKFLOWS_KEPT = timedelta(days=2)
SYSTEM = Principal("service", PrincipalKind.SYSTEM, "", frozenset(), "service")


def serve(config: ServiceConfig, role: Role, load: LoadReader, *, say: Callable[[str], None]) -> None:
    """Run a process of a service until it is asked to end (SIGTERM, SIGINT).

    Args:
        config: of the service.
        role: what this process does.
        load: gives the model for a bundle and a device.
        say: told in words for people where it listens.

    Raises:
        UsageError: it cannot listen there, the state folder or database cannot be used, or a rule asks no question.
        BundleError: the model cannot be used.
    """
    log = make_log(role.value)
    config.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    facts = read_facts(config.model.bundle)
    check_questions(config.rules, facts.vocabulary)
    with open_service(config, facts, log) as service, ExitStack() as parts:
        _ready(service)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _end(service))
        service.record(SYSTEM, Action.STARTED, role=role.value, version=medground.__version__)
        if role is not Role.API:
            parts.enter_context(working(service, load))
        if role is Role.WORKER:
            log.info("working")
            say("working; stop with Ctrl-C")
            service.ending.wait()
        else:
            if config.dicom is not None:
                parts.enter_context(receiving(service, config.dicom, say))
            _listen(service, say)
        service.ending.set()
        with suppress(MedgroundError):  # a log that is away keeps nobody from ending
            service.record(SYSTEM, Action.STOPPED, role=role.value)
    log.info("ended")


def _ready(service: Service) -> None:
    def database() -> str:
        try:
            with service.engine.connect() as connection:
                connection.scalar(select(schema_versions.c.version))
        except Exception:
            return "does not answer"
        return ""

    def files() -> str:
        try:
            with service.store.incoming() as incoming:
                incoming.write(b"ready")
        except OSError:
            return "cannot be written"
        return ""

    service.ready.update(database=database, files=files)


def _end(service: Service) -> Callable[[int, FrameType | None], None]:
    def end(number: int, frame: FrameType | None) -> None:
        del number, frame
        service.ending.set()

    return end


@contextmanager
def working(service: Service, load: LoadReader) -> Iterator[None]:
    """Answer jobs and deliver results while the block lasts: model, workflows and dispatcher; once in a process.

    Args:
        service: whose.
        load: gives the model for a bundle and a device.
    """
    config = service.config
    if config.model.threads:
        torch.set_num_threads(config.model.threads)
    reader = SharedReader(load(config.model.bundle, config.model.device))
    service.metrics.follow(reader)
    service.ready["model"] = lambda: "" if reader.is_alive else "has ended"
    service.record(SYSTEM, Action.MODEL_LOADED, bundle=reader.info.sha256[:40], version=reader.info.version)
    with ExitStack() as parts:
        parts.callback(reader.close)
        worker = Worker(
            engine=service.engine,
            store=service.store,
            jobs=service.jobs,
            results=service.results,
            deliveries=service.deliveries,
            audit=service.audit,
            reader=reader,
            untrusted=service.untrusted,
            archives=parts.enter_context(open_archives(config)),
            log=service.log,
            sleep=time.sleep,
        )
        seat = parts.enter_context(WorkerSeat(config.state / "workers"))
        workflows = parts.enter_context(
            Workflows(
                config.workflows_url,
                seat.name,
                Steps(worker.answer, worker.deliver),
                model_sha256=reader.info.sha256,
                jobs_at_once=config.model.jobs_at_once,
                destinations=config.destinations,
            )
        )
        completion = Completion(
            service.engine, service.jobs, service.deliveries, config.rules, int(config.quiet_s * 1e6), now_us
        )
        dispatcher = parts.enter_context(
            Dispatcher(
                service.engine,
                service.jobs,
                service.deliveries,
                completion,
                workflows,
                executor=seat.name,
                model_sha256=reader.info.sha256,
                now_us=now_us,
                log=service.log,
                chores=_chores(service, workflows),
            )
        )
        service.nudges.append(dispatcher.nudge)
        service.ready["dispatcher"] = lambda: "" if dispatcher.is_turning else "has not looked for work for long"
        service.log.info("model_loaded", model=reader.info.name, version=reader.info.version, executor=seat.name)
        yield


def _chores(service: Service, workflows: Workflows) -> list[Chore]:
    """What a worker does now and then besides answering."""

    def forget_workflows() -> None:
        workflows.forget_ended(utc_now() - WORKFLOWS_KEPT)

    chores = [Chore(service.retention.run, HOUSEKEEPING_EVERY_US), Chore(forget_workflows, HOUSEKEEPING_EVERY_US)]
    if service.config.anchor_file is not None:
        anchors = AnchorFile(service.config.anchor_file)
        chores.append(Chore(lambda: _anchor(service, anchors), ANCHOR_EVERY_US))
    return chores


def _anchor(service: Service, anchors: AnchorFile) -> None:
    """Note the head of the audit log elsewhere; where that is not possible now, the work goes on."""
    try:
        anchor_head(service.audit, anchors, utc_now)
    except MedgroundError as error:
        service.log.error("audit_not_anchored", kind=type(error).__name__)


def _listen(service: Service, say: Callable[[str], None]) -> None:
    """Answer HTTP until the end."""
    http = service.config.http
    try:
        listening = socket.create_server((http.host, http.port), family=_family(http.host), backlog=512)
    except OSError as cause:
        why = os.strerror(cause.errno) if cause.errno else type(cause).__name__
        raise UsageError(f"{http.host}:{http.port} cannot be listened at ({why}): set http.port, or --port") from cause
    port = listening.getsockname()[1]
    options: dict[str, object] = {}
    if http.tls:
        options = {"ssl_certfile": str(http.tls.certificate), "ssl_keyfile": str(http.tls.key)}
        if http.tls.client_ca:
            options |= {"ssl_ca_certs": str(http.tls.client_ca), "ssl_cert_reqs": 2}
    server = _Server(
        uvicorn.Config(
            guarded(service),
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=10,
            h11_max_incomplete_event_size=65536,
            proxy_headers=http.behind_proxy,
            **options,  # type: ignore[arg-type]
        )
    )
    threading.Thread(target=_ends, args=(service, server), daemon=True).start()
    service.log.info("listening", host=http.host, port=port)
    say(f"listening on {'https' if http.tls else 'http'}://{http.host}:{port}; stop with Ctrl-C")
    server.run(sockets=[listening])


class _Server(uvicorn.Server):
    """uvicorn without signal handlers of its own: ours end every part."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `serve`."""
        yield


def _ends(service: Service, server: uvicorn.Server) -> None:
    service.ending.wait()
    server.should_exit = True


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
