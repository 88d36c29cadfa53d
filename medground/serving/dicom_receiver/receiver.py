"""The receiver: listens, and gives every caller a thread; there are only so many."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from medground.schema.errors import UsageError
from medground.serving.dicom_receiver.commitment import CommitmentStore
from medground.serving.dicom_receiver.commitment_reports import CommitmentReports
from medground.serving.dicom_receiver.config import ReceiverConfig
from medground.serving.dicom_receiver.connection import AssociationSummary, Connection, Receiving
from medground.serving.dicom_receiver.instances import Intake
from medground.serving.dicom_receiver.peers import Address, Peers, Refusal, RefusalReason, address_of
from medground.serving.dicom_receiver.requester import Timeouts
from medground.serving.dicom_receiver.sop_classes import STORAGE_COMMITMENT, presentation_contexts
from medground.serving.dicom_receiver.tls import server_context
from medground.serving.dicom_receiver.wire import Wire

_log = logging.getLogger(__name__)
_BACKLOG: Final = 512
_STRANGERS_SHARE: Final = 4  # of the waiting connections one in so many may be from where nobody may call
_PAUSE_SECONDS: Final = 0.1
_CUT_SECONDS: Final = 5.0  # for whoever waits for a database rather than for the other side


def _nothing(_: object) -> None:
    pass


class DicomReceiver:
    """Receives instances by C-STORE, answers C-ECHO, and commits to storage.

    Args:
        config: who may call, and how much.
        intake: what keeps instances.
        commitments: what keeps requests for storage commitment; without it that service is not offered.
        on_refusal: told of everybody who was not let in; called from many threads.
        on_end: told of each association that is over; called from many threads.
        clock: seconds that never go back.

    Raises:
        UsageError: the TLS files cannot be used.
    """

    def __init__(
        self,
        config: ReceiverConfig,
        intake: Intake,
        commitments: CommitmentStore | None = None,
        *,
        on_refusal: Callable[[Refusal], None] = _nothing,
        on_end: Callable[[AssociationSummary], None] = _nothing,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        peers, limits = Peers(config.peers), config.limits
        reports = None
        if commitments is not None:
            timeouts = Timeouts(answer=limits.idle_seconds, send=limits.send_seconds)
            retry = config.report_retry_seconds
            reports = CommitmentReports(commitments, peers, retry_seconds=retry, timeouts=timeouts, clock=clock)
        contexts = [one for one in presentation_contexts() if reports or one.abstract_syntax != STORAGE_COMMITMENT]
        self._config = config
        self._receiving = Receiving(
            peers=peers,
            limits=limits,
            contexts=contexts,
            places=threading.BoundedSemaphore(limits.max_associations),
            intake=intake,
            reports=reports,
            tls=server_context(config.tls) if config.tls is not None else None,
            on_refusal=on_refusal,
            on_end=on_end,
            clock=clock,
        )
        self._lock = threading.Lock()
        self._connections: dict[threading.Thread, tuple[Connection, bool]] = {}
        self._listener: socket.socket | None = None
        self._accepting: threading.Thread | None = None

    @property
    def port(self) -> int:
        """Where it listens; 0 while it does not."""
        return int(self._listener.getsockname()[1]) if self._listener is not None else 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Listen, and send the reports of storage commitment that are left from before; once only.

        Raises:
            UsageError: the port cannot be listened at.
        """
        host, port = self._config.host, self._config.port
        family = socket.AF_INET if host.version == 4 else socket.AF_INET6
        both = family == socket.AF_INET6 and host.is_unspecified and socket.has_dualstack_ipv6()
        try:
            self._listener = socket.create_server(
                (str(host), port), family=family, backlog=_BACKLOG, dualstack_ipv6=both
            )
        except OSError as cause:
            raise UsageError(
                f"port {port} of {host} cannot be listened at ({cause.strerror}); give another port"
            ) from cause
        if self._receiving.reports is not None:
            self._receiving.reports.start()
        self._accepting = threading.Thread(
            target=self._accept, args=(self._listener,), name="DICOM receiver", daemon=True
        )
        self._accepting.start()

    def stop(self, *, drain_seconds: float = 20.0) -> None:
        """Listen no more; what is being received is answered first, what waits is aborted.

        Args:
            drain_seconds: after which everything is cut.
        """
        if self._listener is None or self._accepting is None:
            return
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._accepting.join()
        self._listener.close()
        self._listener = None
        with self._lock:
            left = list(self._connections.items())
        for _, (connection, _) in left:
            connection.stop()
        deadline = time.monotonic() + drain_seconds
        for thread, _ in left:
            thread.join(max(deadline - time.monotonic(), 0))
        for thread, (connection, _) in left:
            if thread.is_alive():
                connection.cut()
                thread.join(_CUT_SECONDS)
        if self._receiving.reports is not None:
            self._receiving.reports.stop(_CUT_SECONDS)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, (host, *_) = listener.accept()
            except OSError as error:
                if listener.fileno() < 0 or not _listens(listener):
                    return
                _log.error("a connection could not be accepted (%s)", error.strerror)  # e.g. too many open files
                time.sleep(_PAUSE_SECONDS)
                continue
            self._take(connection, address_of(host))

    def _take(self, connection: socket.socket, address: Address) -> None:
        """Give a connection a thread, or close it where too many wait already."""
        is_stranger = not self._receiving.peers.knows(address)
        if not self._has_room(is_stranger):
            self._receiving.refuse(Refusal(RefusalReason.CONNECTIONS, str(address)))
            connection.close()
            return
        limits = self._receiving.limits
        wire = Wire(
            connection,
            max_pdu_bytes=limits.max_pdu_bytes,
            pdu_seconds=limits.pdu_seconds,
            send_seconds=limits.send_seconds,
            clock=self._receiving.clock,
        )
        taken = Connection(self._receiving, wire, address)
        thread = threading.Thread(target=self._run, args=(taken,), name="DICOM association", daemon=True)
        with self._lock:
            self._connections[thread] = (taken, is_stranger)
        try:
            thread.start()
        except RuntimeError:  # no more threads
            with self._lock:
                del self._connections[thread]
            _log.error("there is no thread for a connection")
            wire.close()

    def _run(self, connection: Connection) -> None:
        try:
            connection.run()
        finally:
            with self._lock:
                del self._connections[threading.current_thread()]

    def _has_room(self, is_stranger: bool) -> bool:
        """Strangers must not take the places where those who may call wait to be let in."""
        most = self._receiving.limits.max_waiting
        with self._lock:
            waiting = [stranger for one, stranger in self._connections.values() if not one.is_association]
        return len(waiting) < most and not (is_stranger and sum(waiting) >= max(most // _STRANGERS_SHARE, 1))


def _listens(listener: socket.socket) -> bool:
    return bool(listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
