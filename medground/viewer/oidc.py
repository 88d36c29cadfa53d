"""CodeFlow: signing in by an OpenID Connect issuer; what comes of it is an access token, which the service judges."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import math
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx

from medground.schema.errors import AccessError, UsageError
from medground.viewer.config import OidcSignIn

_LIFE_S, _MOST = 600.0, 10_000
_MAX_ANSWER_BYTES, _TIMEOUT_S = 256 * 2**10, 10.0
_REFUSED = (400, 401, 403)  # RFC 6749, 5.2: 400, and 401 where the client is not known; some answer 403
_FOR_GOOD = ("invalid_grant", "invalid_client", "unauthorized_client")  # of its errors: asking again does not help


@dataclass(frozen=True, slots=True)
class _Begun:
    verifier: str
    at_s: float


@dataclass(frozen=True, slots=True)
class Granted:
    """What the issuer gave (RFC 6749, 5.1).

    Attributes:
        access_token: for the service.
        refresh_token: for another access token; None if the issuer gives none.
        life_s: of the access token; None if the issuer does not say.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    life_s: float | None = None


class IssuerRefusedError(AccessError):
    """The token endpoint says no, and will say so again."""


class CodeFlow:
    """The code flow with PKCE (OpenID Connect Core 1.0, 3.1; RFC 7636).

    The token is not looked into: whom it names and whether it counts is for the service to say, which checks its
    signature, issuer and audience.

    Args:
        config: the issuer.
        redirect: where the issuer sends the browser back to.
        clock: seconds, growing.
        transport: for tests.
    """

    def __init__(
        self,
        config: OidcSignIn,
        redirect: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._config, self._redirect, self._clock = config, redirect, clock
        self._http = httpx.Client(timeout=_TIMEOUT_S, transport=transport, follow_redirects=False)
        self._begun: dict[str, _Begun] = {}
        self._lock = threading.Lock()
        self._secret = config.client_secret_file.read_text("utf-8").strip() if config.client_secret_file else None

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def begin(self) -> tuple[str, str]:
        """Where to send the browser, and the state that it keeps in a cookie.

        Raises:
            AccessError: the issuer does not answer as one does.
        """
        address = self._discovered("authorization_endpoint")
        state, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        with self._lock:
            now = self._clock()
            self._begun = {key: one for key, one in self._begun.items() if now - one.at_s < _LIFE_S}
            if len(self._begun) >= _MOST:
                raise AccessError("too many people are signing in at once; wait a minute and try again")
            self._begun[state] = _Begun(verifier, now)
        wanted = {
            "response_type": "code",
            "client_id": self._config.client_id,
            "redirect_uri": self._redirect,
            "scope": " ".join(self._config.scopes),
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        if self._config.audience:
            wanted["audience"] = self._config.audience
        return f"{address}{'&' if urlsplit(address).query else '?'}{urlencode(wanted)}", state

    def end(self, answered: Mapping[str, str], kept: str) -> Granted:
        """What the issuer gives for what it answered.

        Args:
            answered: query of the address that the browser came back by.
            kept: state in the browser's cookie.

        Raises:
            AccessError: it was not begun by this browser, or the issuer refuses.
        """
        state = answered.get("state", "")
        with self._lock:
            begun = self._begun.pop(state, None)
        is_ours = begun is not None and hmac.compare_digest(state.encode(), kept.encode())
        if begun is None or not is_ours or self._clock() - begun.at_s > _LIFE_S:
            raise AccessError("this way of signing in was not begun here, or took longer than ten minutes: begin again")
        if "code" not in answered:
            raise AccessError(f"the issuer refused: {answered.get('error', 'it gave no code')[:100]}")
        form = {
            "grant_type": "authorization_code",
            "code": answered["code"],
            "redirect_uri": self._redirect,
            "client_id": self._config.client_id,
            "code_verifier": begun.verifier,
        }
        return self._given(form)

    def renew(self, refresh_token: str) -> Granted:
        """Another access token (RFC 6749, 6), with the refresh token that counts from now on.

        Args:
            refresh_token: that was given last.

        Raises:
            IssuerRefusedError: it counts no more.
            AccessError: the issuer does not answer as one does.
        """
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": self._config.client_id}
        given = self._given(form)
        return given if given.refresh_token else replace(given, refresh_token=refresh_token)

    def _given(self, form: dict[str, str]) -> Granted:
        if self._secret is not None:
            form["client_secret"] = self._secret
        given = self._asked("POST", self._discovered("token_endpoint"), form)
        token, refresh_token = given.get("access_token"), given.get("refresh_token")
        if not isinstance(token, str) or not token:
            raise AccessError("the issuer gave no access token; its administrator has to allow one for this client")
        is_text = isinstance(refresh_token, str) and refresh_token != ""
        return Granted(token, refresh_token if is_text else None, _life_s(given.get("expires_in")))

    def _discovered(self, name: str) -> str:
        issuer = str(self._config.issuer).rstrip("/")
        _require_encrypted(issuer, "address")
        found = self._asked("GET", f"{issuer}/.well-known/openid-configuration")
        if str(found.get("issuer", "")).rstrip("/") != issuer:
            raise AccessError("the issuer's discovery document names another issuer")
        address = found.get(name)
        if not isinstance(address, str):
            raise AccessError(f"the issuer's discovery document has no {name}")
        _require_encrypted(address, name)
        return address

    def _asked(self, method: str, address: str, form: Mapping[str, str] | None = None) -> Mapping[str, Any]:
        try:
            with self._http.stream(method, address, data=form) as answer:
                content = b""
                for part in answer.iter_bytes():
                    content += part
                    if len(content) > _MAX_ANSWER_BYTES:
                        raise AccessError("the issuer's answer is too long")
                status = answer.status_code
        except httpx.HTTPError as error:
            raise AccessError(f"the issuer does not answer ({type(error).__name__}); try again in a minute") from error
        try:
            found = json.loads(content)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise AccessError(f"the issuer answered {status} and nothing that can be read")
        if status != 200:
            told = found.get("error", status)
            is_for_good = method == "POST" and status in _REFUSED and told in _FOR_GOOD
            kind = IssuerRefusedError if is_for_good else AccessError
            raise kind(f"the issuer refused: {str(told)[:100]}")
        return found


def _life_s(told: object) -> float | None:
    """Seconds of an access token; some issuers write the number as text."""
    try:
        life_s = float(told) if isinstance(told, int | float | str) else 0.0
    except (ValueError, OverflowError):
        return None
    return life_s if 0 < life_s < math.inf else None


def _require_encrypted(address: str, name: str) -> None:
    """Whoever reads along, or answers in the issuer's place, would have the credentials."""
    parts = urlsplit(address)
    if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
        raise AccessError(f"the issuer's {name} is not encrypted")


def check_secret(config: OidcSignIn) -> None:
    """Refuse a secret that cannot be read, before the first person wants to sign in.

    Raises:
        UsageError: it cannot.
    """
    file = config.client_secret_file
    if file is not None:
        try:
            file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"oidc.client_secret_file {file} cannot be read: {error}") from error
