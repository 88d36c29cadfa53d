"""Reports that answer requests for storage commitment: over the same association while it lasts, else over our own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Container, Sequence
from typing import Final

from medground.schema.errors import PeerError
from medground.serving.dicom_receiver.commands import Status
from medground.serving.dicom_receiver.commitment import (
    CommitmentRequest,
    CommitmentStore,
    FailureReason,
    RequestKey,
    report,
)
from medground.serving.dicom_receiver.config import Peer
from medground.serving.dicom_receiver.peers import Peers
from medground.serving.dicom_receiver.requester import Timeouts, association
from medground.serving.dicom_receiver.sop_classes import PLAIN_SYNTAXES, STORAGE_COMMITMENT

_log = logging.getLogger(__name__)
_LONGEST_PAUSE: Final = 3600.0
# Whatever else a report is answered with, it has arrived, and to send the same again would not help.
_ONCE_MORE = frozenset({Status.PROCESSING_FAILURE, Status.RESOURCE_LIMITATION})


def has_arrived(status: int | None) -> bool:
    """Whether the answer to a report means that it need not be sent again."""
    return status is not None and status not in _ONCE_MORE


class CommitmentReports:
    """Sends every report until it has been taken, and no report twice at the same time.

    Args:
        store: where requests are kept.
        peers: who may call, with the addresses that reports go to.
        retry_seconds: before a report is sent again over an association of our own; doubled each time.
        timeouts: of such an association.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        store: CommitmentStore,
        peers: Peers,
        *,
        retry_seconds: float,
        timeouts: Timeouts,
        clock: Callable[[], float],
    ) -> None:
        self._store, self._peers, self._timeouts, self._clock = store, peers, timeouts, clock
        self._retry_seconds = retry_seconds
        self._lock = threading.Lock()
        self._taken: set[RequestKey] = set()
        self._pauses: dict[RequestKey, tuple[float, float]] = {}  # when it is due again, and how long the pause was
        self._news = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="commitment reports", daemon=True)

    def start(self) -> None:
        """Send what is left from before, and go on."""
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Stop once the report that is being sent has been answered or has failed, or after so many seconds."""
        self._stopping.set()
        self._news.set()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def requested(self, request: CommitmentRequest) -> None:
        """Keep a new request, whose report is taken: `done` must follow.

        Raises:
            Exception: of the store.
        """
        with self._lock:
            self._taken.add(request.key)
        try:
            self._store.add(request)
        except BaseException:
            self.done(request, arrived=False)
            raise

    def take(self, peer: Peer, tried: Container[RequestKey] = ()) -> CommitmentRequest | None:
        """A request of a peer that nobody is reporting on at this time: `done` must follow. None if there is none.

        Args:
            peer: who asked.
            tried: keys of the requests that are not wanted.

        Raises:
            Exception: of the store.
        """
        here = (peer.tenant, peer.calling_ae_title, peer.called_ae_title)
        for request in self._store.pending():
            if request.key[:3] == here and request.key not in tried and self._take(request):
                return request
        return None

    def done(self, request: CommitmentRequest, *, arrived: bool) -> None:
        """A report was answered, or could not be sent.

        Raises:
            Exception: of the store; the report will then be sent again.
        """
        try:
            if arrived:
                self._store.reported(request)
        finally:
            with self._lock:
                self._taken.discard(request.key)
            self._news.set()

    def judge(self, request: CommitmentRequest) -> Sequence[FailureReason | None]:
        """What the store says of each instance now.

        Raises:
            Exception: of the store.
        """
        return self._store.judge(request)

    def _take(self, request: CommitmentRequest) -> bool:
        with self._lock:
            if request.key in self._taken:
                return False
            self._taken.add(request.key)
        if any(one.key == request.key for one in self._store.pending()):
            return True
        with self._lock:  # reported on since it was read
            self._taken.discard(request.key)
        return False

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._news.clear()
            wait = _LONGEST_PAUSE
            try:
                for request in self._store.pending():
                    wait = min(wait, self._attend(request))
                    if self._stopping.is_set():
                        return
            except Exception as error:  # of the store, which may be back soon
                _log.warning("requests for storage commitment cannot be read (%s)", type(error).__name__)
                wait = self._retry_seconds
            self._news.wait(wait)

    def _attend(self, request: CommitmentRequest) -> float:
        """Send a report if it is due and there is an address for it; seconds until it wants to be looked at again."""
        peer = self._peers.of(request.calling_ae_title, request.called_ae_title, request.tenant)
        if peer is None or peer.reports_to is None:
            return _LONGEST_PAUSE
        due, pause = self._pauses.get(request.key, (0.0, self._retry_seconds / 2))
        left = due - self._clock()
        if left > 0:
            return left
        if not self._take(request):
            return _LONGEST_PAUSE  # `done` will tell
        arrived = False
        try:
            arrived = self._send(request, peer)
        except PeerError as error:
            _log.warning("a report of storage commitment could not be sent: %s", error)
        finally:
            pause = min(2 * pause, _LONGEST_PAUSE)
            self._pauses[request.key] = (self._clock() + pause, pause)
            self.done(request, arrived=arrived)
        if arrived:
            self._pauses.pop(request.key, None)
        return _LONGEST_PAUSE if arrived else pause

    def _send(self, request: CommitmentRequest, peer: Peer) -> bool:
        if peer.reports_to is None:
            return False
        proposed = [(STORAGE_COMMITMENT, PLAIN_SYNTAXES)]
        verdicts = self._store.judge(request)
        with association(
            peer.reports_to,
            peer.called_ae_title,
            proposed,
            timeouts=self._timeouts,
            clock=self._clock,
            provided=[STORAGE_COMMITMENT],
        ) as asked:
            context = asked.context_for(STORAGE_COMMITMENT)
            if context is None:
                title = peer.reports_to.ae_title
                raise PeerError(f"{title} takes no reports of storage commitment; let it, or take `reports_to` away")
            command, content = report(request, verdicts, 1, context.transfer_syntax_uid)
            return has_arrived(asked.ask(context, command, content).status)
