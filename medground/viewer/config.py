"""ViewerConfig: where the service is, who may sign in how, and when a session ends."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Self

from pydantic import Field, HttpUrl, ValidationError, model_validator

from medground.schema.config import StrictConfig
from medground.schema.errors import UsageError


class OidcSignIn(StrictConfig):
    """Signing in by an OpenID Connect issuer, with the code flow and PKCE (RFC 7636).

    Attributes:
        issuer: as in its discovery document.
        client_id: of the viewer, registered there with the redirect URI `<address of the viewer>/sign-in/back`.
        client_secret_file: file with the secret of a confidential client; left out for a public one.
        scopes: that are asked for.
        audience: asked for with the parameter `audience`, where the issuer wants one named for access tokens.
    """

    issuer: HttpUrl
    client_id: str = Field(min_length=1, max_length=200)
    client_secret_file: Path | None = None
    scopes: tuple[str, ...] = ("openid",)
    audience: str | None = None


class Tls(StrictConfig):
    """Certificate and key of the page, PEM."""

    certificate: Path
    key: Path


class ViewerConfig(StrictConfig):
    """Everything about a viewer; what is left out is closed or small.

    Attributes:
        service: root of the service; None where the viewer starts one of its own.
        host, port: where the page is; any address but loopback takes `tls`, or a proxy in front that has it
            (`behind_proxy`).
        address: as browsers name the page, where that is not host and port: behind a proxy.
        tls: of the page.
        behind_proxy: TLS ends at a proxy that alone can reach this port.
        oidc: signing in by an issuer, besides tokens.
        idle_minutes: a session without a sign of life ends after so long.
        longest_hours: any session ends after so long.
        pixels_mib: of one browser; slices beyond are fetched again when they are looked at.
        request_timeout_s: for one answer of the service.
    """

    service: HttpUrl | None = None
    host: str = "127.0.0.1"
    port: int = Field(default=8501, ge=0, le=65535)
    address: HttpUrl | None = None
    tls: Tls | None = None
    behind_proxy: bool = False
    oidc: OidcSignIn | None = None
    idle_minutes: float = Field(default=30, gt=0, le=24 * 60)
    longest_hours: float = Field(default=12, gt=0, le=7 * 24)
    pixels_mib: int = Field(default=1536, ge=64, le=16384)
    request_timeout_s: float = Field(default=60, gt=0, le=600)

    @model_validator(mode="after")
    def _closed(self) -> Self:
        if self.host not in ("127.0.0.1", "::1", "localhost") and self.tls is None and not self.behind_proxy:
            raise ValueError(
                f"host {self.host!r} is no loopback address: patients would be shown without encryption; "
                "set tls, or behind_proxy where a proxy with TLS alone can reach it"
            )
        return self

    @property
    def is_encrypted(self) -> bool:
        """Whether browsers see the page by HTTPS."""
        is_named_so = self.address is not None and self.address.scheme == "https"
        return self.tls is not None or self.behind_proxy or is_named_so

    @property
    def url(self) -> str:
        """The page as browsers name it, without a slash at its end."""
        if self.address is not None:
            return str(self.address).rstrip("/")
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"


def read_config(path: Path) -> ViewerConfig:
    """A config file.

    Args:
        path: TOML.

    Raises:
        UsageError: it cannot be read, or a setting is unknown or wrong.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"the config {path} cannot be read: {error}") from error
    try:
        return ViewerConfig.model_validate(content)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'config'}: {one['msg']}" for one in error.errors())
        raise UsageError(f"the config {path} is wrong: {wrong}") from None
