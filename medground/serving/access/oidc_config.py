"""Settings of an OpenID Connect issuer whose bearer tokens are accepted."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from medground.schema.config import StrictConfig
from medground.serving.access.scope import Scope, is_tenant

Algorithm = Literal["RS256", "PS256", "ES256", "EdDSA"]
"""RFC 7518, section 3.1 and RFC 8037; all with a key pair, so that no public key can serve as a secret."""

ClaimPath = tuple[str, ...]


class OidcConfig(StrictConfig):
    """An issuer, and what its claims mean here.

    Attributes:
        issuer: as it stands in `iss` of its tokens and in its discovery document, character by character.
        audience: what `aud` must hold: the id of this service at the issuer.
        tenant: of everybody who comes by this issuer; exclusive with `tenant_claim`.
        tenant_claim: where the tenant stands, as the names to go through, e.g. ("realm_access", "tenant").
        scopes_claim: where roles or groups stand; a list, or one string with blanks between.
        scopes_of: which scopes each value of it gives; other values give none.
        name_claim: where the name stands that is shown to people.
        algorithms: of signatures that are accepted.
        leeway_s: by which clocks may differ.
        timeout_s: for each answer of the issuer.
        keys_life_s: for so long fetched keys are used before they are fetched again; a key that the issuer takes back
            is accepted for so long.
        keys_grace_s: for so long beyond that they are used while the issuer does not answer.
        refetch_pause_s: an unknown key id, or a failure while there are keys, has them fetched at most once in so long.
        retry_pause_s: while there are none, the issuer is asked at most once in so long.
        max_token_bytes: of a token.
        max_answer_bytes: of an answer of the issuer.
    """

    issuer: str
    audience: str = Field(min_length=1)
    tenant: str | None = None
    tenant_claim: ClaimPath | None = Field(default=None, min_length=1)
    scopes_claim: ClaimPath = Field(default=("roles",), min_length=1)
    scopes_of: Mapping[str, frozenset[Scope]]
    name_claim: ClaimPath = Field(default=("name",), min_length=1)
    algorithms: frozenset[Algorithm] = Field(default=frozenset({"RS256", "PS256", "ES256", "EdDSA"}), min_length=1)
    leeway_s: int = Field(default=60, ge=0, le=300)
    timeout_s: float = Field(default=5.0, gt=0, le=60)
    keys_life_s: float = Field(default=3600.0, gt=0)
    keys_grace_s: float = Field(default=24 * 3600.0, ge=0)
    refetch_pause_s: float = Field(default=60.0, ge=1)
    retry_pause_s: float = Field(default=5.0, ge=1)
    max_token_bytes: int = Field(default=16 * 2**10, gt=0, le=128 * 2**10)
    max_answer_bytes: int = Field(default=256 * 2**10, gt=0, le=16 * 2**20)

    @field_validator("issuer")
    @classmethod
    def _issuer_is_safe(cls, value: str) -> str:
        if not is_safe_url(value) or "?" in value or "#" in value:  # OpenID Connect Discovery 1.0, section 3
            raise ValueError("the issuer needs https, or http on a loopback address, with no user, query or fragment")
        return value

    @model_validator(mode="after")
    def _one_tenant(self) -> Self:
        if (self.tenant is None) == (self.tenant_claim is None):
            raise ValueError("give tenant or tenant_claim, and not both")
        if self.tenant is not None and not is_tenant(self.tenant):
            raise ValueError("tenant is 1 to 64 letters, digits, '.', '_' and '-', a letter or digit first")
        return self


def is_safe_url(url: str) -> bool:
    """Whether keys may be fetched from there: https, or http that does not leave this machine."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or "@" in parts.netloc:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
