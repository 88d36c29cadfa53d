"""Sessions: who is signed in, when that ends, and what is remembered of answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from medground.client.client import Client
from medground.client.parts import Me
from medground.viewer import sessions as module
from medground.viewer.sessions import Session, Sessions
from tests.viewer.people import Clock

ME = Me(name="Ann Example", tenant="clinic", scopes=("read",), kind="token", expires=None)


class Closing(Client):
    """A client that says whether it was closed."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:1", "mg_x")
        self.closed = 0

    def close(self) -> None:
        self.closed += 1
        super().close()


@pytest.fixture
def sessions(clock: Clock) -> Sessions:
    return Sessions(clock, idle_s=60, longest_s=600)


def test_a_cookie_opens_the_session_that_it_was_given_for(sessions: Sessions) -> None:
    clients = Closing(), Closing()
    first, second = (sessions.begin(client, ME) for client in clients)
    assert first != second
    assert min(len(first), len(second)) >= 43  # 256 random bits
    for secret, client in zip((first, second), clients, strict=True):
        found = sessions.get(secret)
        assert found is not None
        assert (found.client, found.me) == (client, ME)
    for wrong in (None, "", first[:-1], f"{first} ", second.swapcase()):
        assert sessions.get(wrong) is None


def test_no_cookie_stays_in_memory(sessions: Sessions) -> None:
    secret = sessions.begin(Closing(), ME)
    assert secret not in repr(vars(sessions))


def test_a_session_ends_after_silence(sessions: Sessions, clock: Clock) -> None:
    client = Closing()
    secret = sessions.begin(client, ME)
    for _ in range(3):
        clock.now_s += 60
        assert sessions.get(secret) is not None
    clock.now_s += 60
    assert sessions.get(secret, is_sign_of_life=False) is not None
    clock.now_s += 1
    assert client.closed == 0
    assert sessions.get(secret) is None
    assert client.closed == 1


def test_a_session_ends_after_the_longest_time(sessions: Sessions, clock: Clock) -> None:
    secret = sessions.begin(Closing(), ME)
    for _ in range(10):
        clock.now_s += 60
        assert sessions.get(secret) is not None
    clock.now_s += 1
    assert sessions.get(secret) is None


def test_a_new_session_ends_old_ones(sessions: Sessions, clock: Clock) -> None:
    client = Closing()
    sessions.begin(client, ME)
    clock.now_s += 61
    sessions.begin(Closing(), ME)
    assert client.closed == 1


def test_signing_out_ends_one(sessions: Sessions) -> None:
    gone, stays = Closing(), Closing()
    secrets = sessions.begin(gone, ME), sessions.begin(stays, ME)
    for nobody in (None, "", "x"):
        sessions.end(nobody)
    sessions.end(secrets[0])
    sessions.end(secrets[0])
    assert (gone.closed, stays.closed) == (1, 0)
    assert sessions.get(secrets[0]) is None
    assert sessions.get(secrets[1]) is not None


def test_closing_ends_all(sessions: Sessions) -> None:
    clients = [Closing() for _ in range(3)]
    secrets = [sessions.begin(client, ME) for client in clients]
    sessions.close()
    assert [client.closed for client in clients] == [1, 1, 1]
    assert [sessions.get(secret) for secret in secrets] == [None] * 3


def test_there_are_not_any_number(sessions: Sessions, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    secrets = []
    for _ in range(3):
        clock.now_s += 1
        secrets.append(sessions.begin(Closing(), ME))
    clock.now_s += 1
    assert sessions.get(secrets[0]) is not None  # now the second has been silent longest
    secrets.append(sessions.begin(Closing(), ME))
    assert [sessions.get(secret) is not None for secret in secrets] == [True, False, True, True]


def _asking(answers: list[Any]) -> Callable[[], Any]:
    return lambda: answers.pop(0)


def test_what_was_answered_lately_is_not_asked_again(clock: Clock) -> None:
    session, answers = Session(ME, Closing(), 0, 0, clock), ["a", "b", "c"]
    assert session.kept("model", 60, _asking(answers)) == "a"
    clock.now_s += 60
    assert session.kept("model", 60, _asking(answers)) == "a"
    assert session.kept("sources", 60, _asking(answers)) == "b"
    clock.now_s += 1
    assert session.kept("model", 60, _asking(answers)) == "c"


def test_an_answer_that_is_forgotten_is_asked_for_again(clock: Clock) -> None:
    session, answers = Session(ME, Closing(), 0, 0, clock), ["a", "b"]
    assert session.kept("model", 60, _asking(answers)) == "a"
    session.forget("model")
    session.forget("what was never asked")
    assert session.kept("model", 60, _asking(answers)) == "b"


def test_what_was_not_answered_is_not_kept(clock: Clock) -> None:
    session = Session(ME, Closing(), 0, 0, clock)
    with pytest.raises(IndexError):
        session.kept("model", 60, _asking([]))
    assert session.kept("model", 60, _asking(["a"])) == "a"
