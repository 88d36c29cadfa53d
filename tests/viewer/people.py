"""People who are signed in: sessions of the viewer with credentials of a real service."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from medground.client.client import Client
from medground.serving.access.scope import Scope
from medground.viewer.memory import memory_of
from medground.viewer.sessions import Session
from tests.serving.running import CLINIC, Running

USER = (Scope.GROUND, Scope.READ, Scope.REVIEW, Scope.SIGN)


class Clock:
    """Seconds that tests set forward."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@dataclass(frozen=True)
class Asked:
    """A question that was answered.

    Attributes:
        study: its key.
        job: that answered.
    """

    study: str
    job: str

    @property
    def place(self) -> str:
        """What the stage calls what it shows."""
        return f"{self.study}.{self.job}"


class People:
    """Makes sessions, each by a clock of its own."""

    def __init__(self, house: Running) -> None:
        self._house, self._opened = house, ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    def session(self, *scopes: Scope, tenant: str = CLINIC, token: str | None = None) -> Session:
        """A new session: with these scopes, or those of who asks, reviews and signs."""
        plain = token or self._house.token(*(scopes or USER), tenant=tenant)
        client = self._opened.enter_context(Client(self._house.url, plain))
        clock = Clock()
        return Session(client.me(), client, clock(), clock(), clock)

    def away(self, session: Session) -> Session:
        """The same person, with a service that does not answer."""
        client = self._opened.enter_context(Client("http://127.0.0.1:1", "mg_x", timeout_s=2))
        return Session(session.me, client, session.began_s, session.seen_s, session.clock, memory_of(session))
