"""The public keys of an OpenID Connect issuer: found by discovery, fetched, kept, fetched again."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx
from cryptography.exceptions import UnsupportedAlgorithm
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.util import base64_to_int

from medground.schema.errors import AccessUnavailableError
from medground.serving.access.oidc_config import OidcConfig, is_safe_url
from medground.serving.access.refusal import Reason, refused

DISCOVERY: Final = "/.well-known/openid-configuration"
"""OpenID Connect Discovery 1.0, section 4."""

# Nothing else of a key is read: no private part, and no `oct`, which is a secret and can be no public key.
_PUBLIC_MEMBERS: Final = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
_IMPORTS: Final[Mapping[str, Callable[[Any], Key]]] = {
    "RSA": RSAKey.import_key,
    "EC": ECKey.import_key,
    "OKP": OKPKey.import_key,
}
_RSA_BITS: Final = range(2048, 8193)  # NIST SP 800-131A; and no more than can be checked quickly
_log = logging.getLogger(__name__)


class _UnusableError(Exception):
    """The issuer did not answer, or with something else; the message is ours and quotes nothing."""


@dataclass(frozen=True, slots=True)
class _Keys:
    by_id: Mapping[tuple[str, str], Key]
    ids: frozenset[str]
    fetched_s: float


class IssuerKeys:
    """The keys of an issuer; may be asked from any thread.

    Whoever asks for a key that is here does not wait for the network, except when keys are fetched for the first time
    or are too old to be used at all.

    Args:
        config: of the issuer.
        client: for the network, with the certificates and proxies of the place.
        monotonic_s: seconds of a clock that never goes back.
    """

    def __init__(self, config: OidcConfig, client: httpx.Client, monotonic_s: Callable[[], float]) -> None:
        self._config, self._client, self._monotonic_s = config, client, monotonic_s
        self._lock = threading.Lock()
        self._keys: _Keys | None = None
        self._tried_s = float("-inf")
        self._failed = False

    def find(self, key_id: str, key_type: str) -> Key:
        """The key of that id and type (`RSA`, `EC`, `OKP`).

        Raises:
            NotAuthenticatedError: the issuer has none.
            AccessUnavailableError: that cannot be said, since the issuer does not answer.
        """
        keys = self._current()
        if key_id not in keys.ids:
            self._fetch(self._config.refetch_pause_s, blocking=True)
            keys = self._keys or keys
            if key_id not in keys.ids and self._failed:
                raise self._unavailable(self._config.refetch_pause_s)
        key = keys.by_id.get((key_id, key_type))
        if key is None:
            raise refused(Reason.WRONG_KEY_TYPE if key_id in keys.ids else Reason.UNKNOWN_KEY)
        return key

    def _current(self) -> _Keys:
        config, keys = self._config, self._keys
        if self._age_s(keys) > config.keys_life_s:
            if self._age_s(keys) <= config.keys_life_s + config.keys_grace_s:
                self._fetch(config.refetch_pause_s, blocking=False)  # one asks, the others go on with these
            else:
                self._fetch(config.retry_pause_s, blocking=True)
            keys = self._keys
        if keys is None or self._age_s(keys) > config.keys_life_s + config.keys_grace_s:
            raise self._unavailable(config.retry_pause_s)
        return keys

    def _age_s(self, keys: _Keys | None) -> float:
        return self._monotonic_s() - keys.fetched_s if keys else float("inf")

    def _unavailable(self, pause_s: float) -> AccessUnavailableError:
        wait = max(1.0, self._tried_s + pause_s - self._monotonic_s())
        return AccessUnavailableError(
            f"the issuer of identities does not answer as it should, so nobody can be let in by it; "
            f"try again in {wait:.0f} s",
            reason=Reason.ISSUER_UNREACHABLE,
            wait_s=wait,
        )

    def _fetch(self, pause_s: float, *, blocking: bool) -> None:
        """Fetch the keys, unless the issuer was asked a short while ago, by another thread perhaps."""
        if not self._lock.acquire(blocking):
            return
        try:
            if self._monotonic_s() - self._tried_s < pause_s:
                return
            try:
                self._keys = self._load()
                self._failed = False
            except _UnusableError as error:
                self._failed = True
                _log.warning("the keys of the OpenID Connect issuer were not fetched: %s", error)
            self._tried_s = self._monotonic_s()
        finally:
            self._lock.release()

    def _load(self) -> _Keys:
        discovered = self._get(self._config.issuer.rstrip("/") + DISCOVERY, "the discovery document")
        if discovered.get("issuer") != self._config.issuer:  # OpenID Connect Discovery 1.0, section 4.3
            raise _UnusableError("the discovery document is of another issuer")
        address = discovered.get("jwks_uri")
        if not isinstance(address, str) or not is_safe_url(address):
            raise _UnusableError("the discovery document names no address of keys, or one without https")
        listed = self._get(address, "the list of keys").get("keys")
        by_id: dict[tuple[str, str], Key] = {}
        for entry in listed if isinstance(listed, list) else []:
            if found := _imported(entry):
                by_id.setdefault(found[0], found[1])
        if not by_id:
            raise _UnusableError("the list of keys has none that can check a signature")
        return _Keys(by_id, frozenset(key_id for key_id, _ in by_id), self._monotonic_s())

    def _get(self, address: str, what: str) -> dict[str, Any]:
        """A JSON object, read no further than the limits on its size and time allow."""
        # Uncompressed, so that what is counted is what there is.
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        timeout_s, at_most = self._config.timeout_s, self._config.max_answer_bytes
        deadline, body = self._monotonic_s() + timeout_s, bytearray()
        try:
            with self._client.stream(
                "GET", address, headers=headers, follow_redirects=False, timeout=timeout_s
            ) as answer:
                if answer.status_code != httpx.codes.OK:
                    raise _UnusableError(f"{what} was answered with status {answer.status_code}")
                if answer.headers.get("Content-Encoding", "identity") != "identity":
                    raise _UnusableError(f"{what} came compressed")
                for chunk in answer.iter_raw():
                    body += chunk
                    if len(body) > at_most:
                        raise _UnusableError(f"{what} is longer than {at_most} bytes")
                    if self._monotonic_s() > deadline:  # the timeout of httpx is for each chunk
                        raise _UnusableError(f"{what} took longer than {timeout_s:g} s")
            content = json.loads(body)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, RecursionError) as error:
            raise _UnusableError(f"{what} cannot be had ({type(error).__name__})") from None
        if not isinstance(content, dict):
            raise _UnusableError(f"{what} is no JSON object")
        return content


def _imported(entry: object) -> tuple[tuple[str, str], Key] | None:
    """A key by its id and type; None if it is of no use for signatures (RFC 7517, section 5: such are passed over)."""
    if not isinstance(entry, dict):
        return None
    key_id, key_type = entry.get("kid"), entry.get("kty")
    if not isinstance(key_id, str) or not key_id or not isinstance(key_type, str) or key_type not in _PUBLIC_MEMBERS:
        return None
    operations = entry.get("key_ops", ["verify"])
    if entry.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        return None
    members = ("kty", "kid", "alg", *_PUBLIC_MEMBERS[key_type])
    public = {name: entry[name] for name in members if name in entry}
    try:
        if key_type == "RSA" and base64_to_int(public["n"]).bit_length() not in _RSA_BITS:
            return None
        return (key_id, key_type), _IMPORTS[key_type](public)
    except (JoseError, UnsupportedAlgorithm, ValueError, TypeError, KeyError, AttributeError):
        return None
