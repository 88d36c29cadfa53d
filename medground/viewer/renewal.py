"""RenewedToken: an access token of an issuer, replaced shortly before it runs out; no browser ever sees one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from medground.schema.errors import AccessError
from medground.viewer.oidc import Granted, IssuerRefusedError

_BEFORE_S, _SHARE = 60.0, 0.2  # renewed so long before the end, or in the last fifth of a short life
_PAUSE_S = 10.0  # between two tries while the issuer is away and the token still counts
_ENDED = "Your organisation does not renew your sign-in any more. What was saved is kept."


class SignInEndedError(AccessError):
    """The issuer refuses to go on: only signing in again helps."""


class RenewedToken:
    """Gives the access token that counts now, and renews it when somebody asks for it late in its life.

    Without a refresh token, or where the issuer does not say how long a token lives, it is the one of the beginning.

    Args:
        granted: at signing in.
        renew: gives what counts next for a refresh token (RFC 6749, 6).
        clock: seconds, growing.
    """

    def __init__(
        self, granted: Granted, renew: Callable[[str], Granted], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._renew, self._clock, self._lock = renew, clock, threading.Lock()
        self._is_ended = False
        self._due_s: float | None = None
        self._take(granted, clock())

    def __call__(self) -> str:
        """The access token.

        Raises:
            SignInEndedError: the issuer refused to renew it.
            AccessError: it has run out, and the issuer does not answer.
        """
        with self._lock:  # a refresh token often counts once: two threads must not send the same
            now = self._clock()
            if self._is_ended:
                raise SignInEndedError(_ENDED)
            if self._granted.refresh_token is not None and self._due_s is not None and now >= self._due_s:
                self._replace(self._granted.refresh_token, now)
            return self._granted.access_token

    def _replace(self, refresh_token: str, now: float) -> None:
        try:
            self._take(self._renew(refresh_token), now)
        except IssuerRefusedError as error:
            self._is_ended = True
            raise SignInEndedError(_ENDED) from error
        except AccessError:
            if now >= self._ends_s:
                raise
            self._due_s = now + _PAUSE_S

    def _take(self, granted: Granted, now: float) -> None:
        life_s = granted.life_s
        self._granted, self._ends_s = granted, now + (life_s or 0.0)
        self._due_s = None if life_s is None else self._ends_s - min(_BEFORE_S, _SHARE * life_s)
