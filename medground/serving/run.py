"""Run: one process of a service, from its config to its end.

`all` is everything in one process, `api` answers HTTP and receives DICOM, `worker` answers jobs and delivers. Any
number of each may run at once over one database and one state folder, and each can be killed at any moment.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn
from sqlalchemy import select

import medground
from medground.audit.event import Action
from medground.model.bundle_facts import read_facts
from medground.schema.errors import MedgroundError, UsageError
from medground.serving.config import Role, ServiceConfig
from medground.serving.database import schema_versions
from medground.serving.http.app import guarded
from medground.serving.logs import make_log
from medground.serving.model_card import CardState, card_of
from medground.serving.parent import end_with
from medground.serving.receiving import receiving
from medground.serving.rules import check_questions
from medground.serving.service import SYSTEM, Service, open_service

if TYPE_CHECKING:
    from medground.serving.working import LoadReader


def serve(
    config: ServiceConfig,
    role: Role,
    load: LoadReader,
    *,
    say: Callable[[str], None],
    input_file: int | None = None,
) -> None:
    """Run a process of a service until it is asked to end (SIGTERM, SIGINT).

    Args:
        config: of the service.
        role: what this process does.
        load: gives the model for a bundle and a device.
        say: told in words for people where it listens.
        input_file: descriptor of a pipe whose end is the end of this process as well; see `parent`.

    Raises:
        UsageError: it cannot listen there, the state folder or database cannot be used, or a rule asks no question.
        BundleError: the model cannot be used.
        CardError: the model has no card that holds, and has to have one.
    """
    log = make_log(role.value)
    config.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    facts = read_facts(config.model.bundle)
    card = card_of(config.model, facts.info, os.environ)
    if card.state is not CardState.VERIFIED:
        log.warning("model_without_card", model=facts.info.name, version=facts.info.version, reason=card.state.value)
    check_questions(config.rules, facts.vocabulary)
    with open_service(config, facts, log, card) as service, ExitStack() as parts:
        _ready(service)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _end(service))
        if input_file is not None:
            end_with(input_file, service.ending.set)
        service.record(SYSTEM, Action.STARTED, role=role.value, version=medground.__version__)
        if role is not Role.API:
            from medground.serving.working import working  # brings torch and MONAI, which take seconds and memory

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
