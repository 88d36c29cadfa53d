"""RenewedToken: an access token of an issuer, replaced shortly before it runs out; no browser ever sees one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from medground.schema.errors import AccessError
from medground.viewer.oidc import Granted, IssuerRefusedError

_BEFORE_S, _SHARE = 60.0, 0.2  # renewed so long before the end, or in the last fifth of a short life
_PAUSE_S = 10.0  # between the end of a try that failed and the next one
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
        self._fault = ""  # of the last try
        self._take(granted, clock())

    def __call__(self) -> str:
        """The access token.

        Raises:
            SignInEndedError: the issuer refused to renew it.
            AccessError: it has run out, and the issuer does not answer.
        """
        with self._lock:  # a refresh token often counts once: two threads must not send the same
            now, refresh_token = self._clock(), self._granted.refresh_token
            if self._is_ended:
                raise SignInEndedError(_ENDED)
            if refresh_token is not None and self._due_s is not None and now >= self._due_s:
                self._replace(refresh_token, now)
            elif self._fault and now >= self._ends_s:
                raise AccessError(self._fault)
            return self._granted.access_token

    def _replace(self, refresh_token: str, now: float) -> None:
        try:
            self._take(self._renew(refresh_token), now)
        except IssuerRefusedError as error:
            self._is_ended = True
            raise SignInEndedError(_ENDED) from error
        except AccessError as error:
            failed_s = self._clock()  # an issuer that hangs took longer than the pause
            self._due_s, self._fault = failed_s + _PAUSE_S, str(error)
            if failed_s >= self._ends_s:
                raise

    def _take(self, granted: Granted, now: float) -> None:
        life_s = granted.life_s
        self._granted, self._ends_s, self._fault = granted, now + (life_s or 0.0), ""
        self._due_s = None if life_s is None else self._ends_s - min(_BEFORE_S, _SHARE * life_s)
