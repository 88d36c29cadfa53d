"""Sessions: who is signed in. A browser has a random cookie; the credentials stay in the memory of the viewer."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from medground.client.client import Client
from medground.client.parts import Me

if TYPE_CHECKING:
    from medground.viewer.memory import Memory

Kept = TypeVar("Kept")

COOKIE = "medground_viewer"
MOST = 10_000  # sessions at once; beyond, the one that has been silent longest ends


@dataclass(slots=True)
class Session:
    """A browser that is signed in.

    Attributes:
        me: who it is, as the service says.
        client: with that person's credentials.
        began_s, seen_s: seconds of `clock`.
        clock: seconds, growing.
        memory: what the page remembers of the person.
    """

    me: Me
    client: Client
    began_s: float
    seen_s: float
    clock: Callable[[], float]
    memory: Memory | None = None
    _kept: dict[str, tuple[float, object]] = field(default_factory=dict)

    def kept(self, name: str, life_s: float, ask: Callable[[], Kept]) -> Kept:
        """What the service answered lately, or answers now.

        Args:
            name: of what is asked.
            life_s: an older answer is asked for anew.
            ask: asks.
        """
        now, before = self.clock(), self._kept.get(name)
        if before is not None and now - before[0] <= life_s:
            return before[1]  # type: ignore[return-value]  # by its name it is what `ask` gives
        answer = ask()
        self._kept[name] = (now, answer)
        return answer

    def forget(self, name: str) -> None:
        """Ask anew next time."""
        self._kept.pop(name, None)


class Sessions:
    """All sessions of a viewer.

    Attributes:
        clock: seconds, growing.

    Args:
        clock: as the attribute.
        idle_s: a session without a sign of life ends after so long.
        longest_s: any session ends after so long.
    """

    def __init__(self, clock: Callable[[], float], *, idle_s: float, longest_s: float) -> None:
        self.clock, self._idle_s, self._longest_s = clock, idle_s, longest_s
        self._by_digest: dict[str, Session] = {}
        self._lock = threading.Lock()

    def begin(self, client: Client, me: Me) -> str:
        """Begin a session.

        Args:
            client: with the person's credentials; closed when the session ends.
            me: what the service says of them.

        Returns:
            What the browser's cookie holds.
        """
        secret, now = secrets.token_urlsafe(32), self.clock()
        with self._lock:
            self._end_old(now)
            while len(self._by_digest) >= MOST:
                self._end(min(self._by_digest, key=lambda key: self._by_digest[key].seen_s))
            self._by_digest[_digest(secret)] = Session(me, client, now, now, self.clock)
        return secret

    def get(self, secret: str | None, *, is_sign_of_life: bool = True) -> Session | None:
        """The session of a cookie; None if it has ended or never was.

        Args:
            secret: what the cookie holds.
            is_sign_of_life: a person did something, so that the idle time begins anew.
        """
        if not secret:
            return None
        now = self.clock()
        with self._lock:
            self._end_old(now)
            found = self._by_digest.get(_digest(secret))
            if found is not None and is_sign_of_life:
                found.seen_s = now
            return found

    def end(self, secret: str | None) -> None:
        """Sign out."""
        if secret:
            with self._lock:
                self._end(_digest(secret))

    def drop(self, session: Session) -> None:
        """End a session whose credentials count no more."""
        with self._lock:
            for digest in [digest for digest, one in self._by_digest.items() if one is session]:
                self._end(digest)

    def close(self) -> None:
        """End all."""
        with self._lock:
            for digest in list(self._by_digest):
                self._end(digest)

    def _end_old(self, now: float) -> None:
        for digest, one in list(self._by_digest.items()):
            if now - one.seen_s > self._idle_s or now - one.began_s > self._longest_s:
                self._end(digest)

    def _end(self, digest: str) -> None:
        ended = self._by_digest.pop(digest, None)
        if ended is not None:
            ended.client.close()


def _digest(secret: str) -> str:
    """So that the memory of the viewer holds no cookie."""
    return hashlib.sha256(secret.encode()).hexdigest()
