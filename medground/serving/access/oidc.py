"""Bearer tokens of an OpenID Connect issuer (RFC 7519, RFC 8725, RFC 9068, OpenID Connect Core 1.0)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx
from cryptography.exceptions import UnsupportedAlgorithm
from joserfc.errors import (
    BadSignatureError,
    ExpiredTokenError,
    InvalidClaimError,
    InvalidKeyCurveError,
    JoseError,
    KeyParameterError,
    UnsupportedAlgorithmError,
)
from joserfc.jwk import Key
from joserfc.jws import JWSRegistry
from joserfc.jwt import JWTClaimsRegistry, decode
from joserfc.util import urlsafe_b64decode

from medground.serving.access.issuer_keys import IssuerKeys
from medground.serving.access.oidc_config import ClaimPath, OidcConfig
from medground.serving.access.refusal import Reason, refused
from medground.serving.access.scope import LONGEST_NAME, Principal, PrincipalKind, is_tenant

KEY_TYPES: Final = {"RS256": "RSA", "PS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}

# RFC 8725, section 3.11: whatever else an issuer signs, e.g. `logout+jwt`, says so and is no proof of who asks.
_TYPES: Final = frozenset({"", "jwt", "at+jwt", "application/jwt", "application/at+jwt"})
_REASONS: Final = {
    "iss": Reason.ISSUER,
    "aud": Reason.AUDIENCE,
    "nbf": Reason.NOT_YET_VALID,
    "iat": Reason.NOT_YET_VALID,
}
_LAST_SECOND: Final = 253402300799  # of the year 9999
_UNREADABLE: Final = (JoseError, UnsupportedAlgorithm, ValueError, TypeError, KeyError, AttributeError, RecursionError)


class Oidc:
    """Tells who asks by a token of an issuer; may be asked from any thread.

    A token is an ID token or an access token that is a JWT. It is checked here alone: what the issuer withdraws before
    it expires is accepted until then, so issuers give tokens of minutes.

    Args:
        config: of the issuer.
        client: for the network; see `IssuerKeys`.
        now_us: microseconds since 1970, UTC, which the times in a token are held against.
        monotonic_s: seconds of a clock that never goes back, for the age of keys.
    """

    def __init__(
        self,
        config: OidcConfig,
        client: httpx.Client,
        now_us: Callable[[], int],
        monotonic_s: Callable[[], float],
    ) -> None:
        self._config, self._now_us = config, now_us
        self._keys = IssuerKeys(config, client, monotonic_s)

    def authenticate(self, token: str) -> Principal:
        """Who a token is for.

        The subject is a hash of issuer and `sub`, since the latter may be an address or a staff number.

        Raises:
            NotAuthenticatedError: it does not count; `reason` says why.
            AccessUnavailableError: the issuer does not answer, and its keys are not here.
        """
        if len(token) > self._config.max_token_bytes:
            raise refused(Reason.TOO_LONG)
        algorithm, key_id = self._header(token)
        claims = self._signed(token, algorithm, self._keys.find(key_id, KEY_TYPES[algorithm]))
        self._check(claims)
        return self._principal(claims)

    def _header(self, token: str) -> tuple[str, str]:
        """Algorithm and key id that an unproven token names."""
        try:
            header = json.loads(urlsafe_b64decode(token.encode("ascii").partition(b".")[0]))
            kind, has_extensions = header.get("typ", "").lower(), "crit" in header
            algorithm, key_id = header.get("alg"), header.get("kid")
        except _UNREADABLE:
            raise refused(Reason.MALFORMED) from None  # causes quote what was sent, here and below
        if kind not in _TYPES or has_extensions:  # RFC 7515, section 4.1.11: no extension is known here
            raise refused(Reason.MALFORMED)
        if not isinstance(algorithm, str) or algorithm not in self._config.algorithms:
            raise refused(Reason.ALGORITHM)
        if not isinstance(key_id, str):
            raise refused(Reason.UNKNOWN_KEY)
        return algorithm, key_id

    def _signed(self, token: str, algorithm: str, key: Key) -> dict[str, Any]:
        """The claims, once the signature is checked."""
        registry = _Registry(self._config.max_token_bytes, algorithm)
        try:
            return decode(token, key, registry=registry).claims
        except (BadSignatureError, KeyParameterError, InvalidKeyCurveError):
            raise refused(Reason.SIGNATURE) from None
        except _UNREADABLE:
            raise refused(Reason.MALFORMED) from None

    def _check(self, claims: dict[str, Any]) -> None:
        """Issuer, audience and times."""
        registry = JWTClaimsRegistry(
            now=self._now_us() // 1_000_000,
            leeway=self._config.leeway_s,
            iss={"essential": True, "value": self._config.issuer},
            aud={"essential": True, "value": self._config.audience},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
        )
        try:
            registry.validate(claims)
        except ExpiredTokenError:
            raise refused(Reason.EXPIRED, self._subject(claims)) from None
        except InvalidClaimError as error:
            raise refused(_REASONS.get(error.claim, Reason.CLAIMS), self._subject(claims)) from None
        except JoseError:
            raise refused(Reason.CLAIMS, self._subject(claims)) from None
        if claims["exp"] > _LAST_SECOND:
            raise refused(Reason.CLAIMS, self._subject(claims))

    def _principal(self, claims: dict[str, Any]) -> Principal:
        config, subject = self._config, self._subject(claims)
        tenant = config.tenant if config.tenant_claim is None else _at(claims, config.tenant_claim)
        if not isinstance(tenant, str) or not is_tenant(tenant):
            raise refused(Reason.TENANT, subject)
        values = _at(claims, config.scopes_claim)
        words = values.split() if isinstance(values, str) else values if isinstance(values, list) else []
        known = [word for word in words if isinstance(word, str)]
        scopes = frozenset(scope for word in known for scope in config.scopes_of.get(word, ()))
        name = _at(claims, config.name_claim)
        shown = "".join(filter(str.isprintable, name if isinstance(name, str) else ""))[:LONGEST_NAME].strip()
        expires_us = int(claims["exp"] * 1_000_000)
        return Principal(subject, PrincipalKind.OIDC, tenant, scopes, shown or subject, expires_us)

    def _subject(self, claims: dict[str, Any]) -> str:
        """What the audit log calls whoever it is: 128 bits that the issuer and `sub` decide."""
        digest = hashlib.sha256(f"{self._config.issuer}\n{claims.get('sub')}".encode("utf-8", "surrogatepass"))
        return f"oidc:{digest.hexdigest()[:32]}"


class _Registry(JWSRegistry):
    """One algorithm and the limits on sizes.

    joserfc's own warns each time that EdDSA is now to be called Ed25519 (RFC 9864); issuers go on sending EdDSA.
    """

    max_header_length = 2048  # some issuers name the certificate of the key in it
    max_signature_length = 2048  # an RSA key of 8192 bits makes 1366 characters

    def __init__(self, max_payload_length: int, algorithm: str) -> None:
        super().__init__(algorithms=[algorithm], strict_check_header=False)  # RFC 7515, section 4: ignore what is new
        self.max_payload_length = max_payload_length
        self._algorithm = algorithm

    def get_alg(self, name: str) -> Any:
        """The one algorithm.

        Raises:
            UnsupportedAlgorithmError: it is another one.
        """
        if name != self._algorithm:
            raise UnsupportedAlgorithmError
        return self.algorithms[name]


def _at(claims: Mapping[str, Any], path: ClaimPath) -> object:
    """What stands at the end of a path of names; None if it leads nowhere."""
    found: object = claims
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found
