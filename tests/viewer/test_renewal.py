"""An access token that runs out: renewed in time, by each refresh token once, and ended where the issuer refuses."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from medground.schema.errors import AccessError
from medground.viewer.oidc import CodeFlow, Granted
from medground.viewer.renewal import RenewedToken, SignInEndedError
from tests.viewer.code_issuer import DISCOVERY, TOKEN, CodeIssuer, sent_back
from tests.viewer.people import Clock

Signed = Callable[[], RenewedToken]


@pytest.fixture
def signed(issuer: CodeIssuer, flow: CodeFlow, clock: Clock) -> Signed:
    """Signs in, and forgets what the issuer was asked for that."""

    def made() -> RenewedToken:
        address, state = flow.begin()
        token = RenewedToken(flow.end(sent_back(address), state), flow.renew, clock)
        issuer.paths()
        return token

    return made


def another(issuer: CodeIssuer) -> None:
    """Tokens of one second are alike otherwise."""
    issuer.claims["jti"] = issuer.claims.get("jti", 0) + 1


@pytest.mark.parametrize(("life_s", "before_s"), [(600, 60), (300, 60), (100, 20), (10, 2)])
def test_it_is_renewed_shortly_before_it_runs_out(
    issuer: CodeIssuer, signed: Signed, clock: Clock, life_s: int, before_s: int
) -> None:
    issuer.life_s = life_s
    token = signed()
    given = [token()]
    for _ in range(3):
        another(issuer)
        clock.now_s += life_s - before_s - 1
        assert token() == given[-1]
        assert issuer.paths() == []
        clock.now_s += 1
        given.append(token())
        assert issuer.paths() == [DISCOVERY, TOKEN]
    assert all(one != other for one, other in pairwise(given))


def test_it_is_renewed_after_it_ran_out(issuer: CodeIssuer, signed: Signed, clock: Clock) -> None:
    token = signed()
    first = token()
    another(issuer)
    clock.now_s += 6000
    assert token() != first


def test_a_refresh_token_that_counts_more_than_once(issuer: CodeIssuer, signed: Signed, clock: Clock) -> None:
    issuer.is_rotating = False
    token = signed()
    for _ in range(3):
        another(issuer)
        before = token()
        clock.now_s += 600
        assert token() != before


def test_many_threads_send_a_refresh_token_once(issuer: CodeIssuer, signed: Signed, clock: Clock) -> None:
    token = signed()
    another(issuer)
    clock.now_s += 590
    with ThreadPoolExecutor(8) as threads:
        given = set(threads.map(lambda _: token(), range(32)))
    assert len(given) == 1
    assert issuer.paths() == [DISCOVERY, TOKEN]


def test_an_issuer_that_refuses_ends_it(issuer: CodeIssuer, signed: Signed, clock: Clock) -> None:
    token = signed()
    issuer.revoke()
    assert token()
    clock.now_s += 590
    words = "Your organisation does not renew your sign-in any more. What was saved is kept."
    for _ in range(2):
        with pytest.raises(SignInEndedError) as error:
            token()
        assert str(error.value) == words
    assert issuer.paths() == [DISCOVERY, TOKEN]  # a refusal is not asked for again


def test_an_issuer_that_is_away_is_asked_again(issuer: CodeIssuer, signed: Signed, clock: Clock) -> None:
    token = signed()
    first = token()
    another(issuer)
    issuer.replaced[TOKEN] = lambda: (503, {}, b"{}")
    clock.now_s += 540
    for pause_s in (0, 9):  # the token still counts, and the issuer is left in peace for a while
        clock.now_s += pause_s
        assert token() == first
    assert issuer.paths() == [DISCOVERY, TOKEN]
    clock.now_s += 1
    assert token() == first
    assert issuer.paths() == [DISCOVERY, TOKEN]
    clock.now_s += 50
    with pytest.raises(AccessError, match="the issuer refused: 503") as error:
        token()
    assert not isinstance(error.value, SignInEndedError)
    del issuer.replaced[TOKEN]
    clock.now_s += 10
    assert token() != first


def test_an_issuer_that_hangs_is_left_in_peace_after_each_try(clock: Clock) -> None:
    begun_s: list[float] = []

    def hang(refresh_token: str) -> Granted:
        begun_s.append(clock.now_s - 1000)
        clock.now_s += 20
        raise AccessError(f"the issuer does not answer, try {len(begun_s)}")

    token = RenewedToken(Granted("a", "r", 600), hang, clock)
    for at_s, tries in ((540, 1), (560, 1), (569, 1), (570, 2)):
        clock.now_s = 1000 + at_s
        assert token() == "a"
        assert len(begun_s) == tries
    for at_s, tries in ((599, 2), (600, 3), (620, 3), (629, 3), (630, 4), (650, 4), (659, 4)):
        clock.now_s = max(clock.now_s, 1000 + at_s)
        if at_s == 599:
            assert token() == "a"
            continue
        with pytest.raises(AccessError, match=f"the issuer does not answer, try {tries}"):
            token()
    assert begun_s == [540, 570, 600, 630]


@pytest.mark.parametrize("granted", [Granted("a", None, 600), Granted("a", "r", None)])
def test_what_cannot_be_renewed_stays(clock: Clock, granted: Granted) -> None:
    token = RenewedToken(granted, lambda _: pytest.fail("there is nothing to renew it by"), clock)
    clock.now_s += 6000
    assert token() == "a"
