"""An OpenID Connect issuer on loopback with the code flow: it checks the verifier, and signs the tokens it gives."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx

from medground.viewer.config import OidcSignIn
from medground.viewer.sign_in import BACK
from tests.serving.access.issuer import RsaKey, written
from tests.viewer.loopback import Answer, Asked, serving

CLIENT, AUDIENCE = "viewer", "medground"
REDIRECT = f"http://127.0.0.1:8501{BACK}"
DISCOVERY, TOKEN = "/realm/.well-known/openid-configuration", "/realm/token"
NOT_OURS = "was not begun here, or took longer than ten minutes: begin again"


class CodeIssuer:
    """The issuer; whoever comes to its authorization endpoint is signed in at once and sent back with a code.

    Attributes:
        url: of the issuer.
        key: that signs access tokens.
        claims: of access tokens, besides those of the protocol.
        secret: of the client; empty for a public one.
        discovered: entries of the discovery document in place of the usual ones.
        life_s: that is told of an access token; left out where None.
        is_rotating: a refresh token counts once, and another one is given with each access token.
        replaced: by path, the answer in place of the usual one.
        asked: what it was asked, in order.
    """

    def __init__(self) -> None:
        self.url = ""
        self.key = RsaKey("rsa-1")
        self.claims: dict[str, Any] = {"sub": "staff-1", "name": "Li^Na", "tenant": "clinic", "roles": ["radiologist"]}
        self.secret = ""
        self.life_s: object = 600
        self.is_rotating = True
        self.discovered: dict[str, Any] = {}
        self.replaced: dict[str, Callable[[], Answer]] = {}
        self.asked: list[Asked] = []
        self._codes: dict[str, Mapping[str, str]] = {}
        self._refresh_tokens: set[str] = set()

    @contextmanager
    def listening(self) -> Iterator[CodeIssuer]:
        with serving(self._answer) as address:
            self.url = f"{address}/realm"
            yield self

    def paths(self) -> list[str]:
        """What was asked for since it was last looked at."""
        found = [one.path for one in self.asked]
        self.asked.clear()
        return found

    def _answer(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        if asked.path in self.replaced:
            return self.replaced[asked.path]()
        match asked.path:
            case found if found == DISCOVERY:
                usual = {
                    "issuer": self.url,
                    "jwks_uri": f"{self.url}/keys",
                    "authorization_endpoint": f"{self.url}/authorize",
                    "token_endpoint": f"{self.url}/token",
                }
                return _json(200, {**usual, **self.discovered})
            case "/realm/keys":
                return _json(200, {"keys": [self.key.public()]})
            case "/realm/authorize":
                return self._authorize(asked.query)
            case found if found == TOKEN and asked.method == "POST":
                is_refresh = asked.form.get("grant_type") == "refresh_token"
                return self._refreshed(asked.form) if is_refresh else self._token(asked.form)
        return _json(404, {"error": "not_found"})

    def _authorize(self, query: Mapping[str, str]) -> Answer:
        code = secrets.token_urlsafe(16)
        self._codes[code] = query
        return 302, {"Location": f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"}, b""

    def _token(self, form: Mapping[str, str]) -> Answer:
        """RFC 6749, 4.1.3 and RFC 7636, 4.6: a code counts once, for who asked for it."""
        begun = self._codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if (
            begun is None
            or form.get("grant_type") != "authorization_code"
            or begun["response_type"] != "code"
            or begun["code_challenge_method"] != "S256"
            or base64.urlsafe_b64decode(begun["code_challenge"] + "=") != digest
            or form.get("redirect_uri") != begun["redirect_uri"]
            or not form.get("client_id") == begun["client_id"] == CLIENT
        ):
            return _json(400, {"error": "invalid_grant"})
        return self._granted(form, {"refresh_token": self._refresh_token()})

    def _refreshed(self, form: Mapping[str, str]) -> Answer:
        """RFC 6749, 6, with the rotation of RFC 9700, 4.14.2: what was used once counts no more."""
        given = form.get("refresh_token", "")
        if given not in self._refresh_tokens or form.get("client_id") != CLIENT:
            return _json(400, {"error": "invalid_grant"})
        if not self.is_rotating:
            return self._granted(form, {})
        self._refresh_tokens.discard(given)
        return self._granted(form, {"refresh_token": self._refresh_token()})

    def _granted(self, form: Mapping[str, str], more: Mapping[str, str]) -> Answer:
        if form.get("client_secret", "") != self.secret:
            return _json(401, {"error": "invalid_client"})
        life = {} if self.life_s is None else {"expires_in": self.life_s}
        return _json(200, {"access_token": self.token(), "token_type": "Bearer", **life, **more})

    def _refresh_token(self) -> str:
        made = secrets.token_urlsafe(24)
        self._refresh_tokens.add(made)
        return made

    def revoke(self) -> None:
        """End what was granted: no refresh token counts any more."""
        self._refresh_tokens.clear()

    def token(self) -> str:
        now = int(time.time())
        claims = {"iss": self.url, "aud": AUDIENCE, "iat": now, "exp": now + 600, **self.claims}
        return written({"alg": "RS256", "kid": self.key.key_id}, claims, self.key.sign)


def _json(status: int, document: object) -> Answer:
    return status, {"Content-Type": "application/json"}, json.dumps(document).encode()


def config_of(issuer: CodeIssuer, **more: Any) -> OidcSignIn:
    return OidcSignIn.model_validate({"issuer": issuer.url, "client_id": CLIENT, **more})


def sent_back(address: str) -> dict[str, str]:
    """What the issuer sends a browser back with."""
    answer = httpx.get(address, trust_env=False)
    assert answer.status_code == 302
    assert answer.headers["location"].startswith(f"{REDIRECT}?")
    return dict(parse_qsl(urlsplit(answer.headers["location"]).query))
