"""A DICOMweb archive, as it is configured."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator

from medground.schema.config import StrictConfig
from medground.serving.dicom_receiver.config import ClientTls, Seconds


class BearerToken(StrictConfig):
    """Credentials of a program: a token that somebody issued."""

    kind: Literal["bearer"] = "bearer"
    token: SecretStr


class Login(StrictConfig):
    """Credentials by name and password (RFC 7617)."""

    kind: Literal["basic"] = "basic"
    user: str
    password: SecretStr


Credentials = Annotated[BearerToken | Login, Field(discriminator="kind")]


class ArchiveConfig(StrictConfig):
    """An archive that speaks DICOMweb.

    Attributes:
        url: root of QIDO-RS, WADO-RS and STOW-RS, e.g. `https://archive.example/dicom-web`.
        tls: whose certificates count.
        credentials: None where it asks for none.
        allow_plain_text: `http` to another machine, e.g. in a network of its own.
        connect_seconds: until it is connected.
        silence_seconds: between two pieces of an answer.
        answer_seconds: for a whole answer.
        max_text_bytes: of an answer in JSON.
        max_instance_bytes: of one instance that is fetched.
        max_study_bytes: of all instances of a study that is fetched.
        max_instances: of a study that is fetched.
        request_bytes: of instances in one request, about; a larger instance has one of its own.
    """

    url: str
    tls: ClientTls = ClientTls()
    credentials: Credentials | None = None
    allow_plain_text: bool = False
    connect_seconds: Seconds = 10.0
    silence_seconds: Seconds = 60.0
    answer_seconds: Seconds = 3600.0
    max_text_bytes: int = Field(default=2**24, gt=0)
    max_instance_bytes: int = Field(default=2**31, gt=0)
    max_study_bytes: int = Field(default=2**34, gt=0)
    max_instances: int = Field(default=20_000, gt=0)
    request_bytes: int = Field(default=2**28, gt=0)

    @model_validator(mode="after")
    def _check(self) -> Self:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("url is none of http or https; give the root of the archive's DICOMweb services")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("url has credentials, a query or a fragment in it; give `credentials`, and the root alone")
        if parts.scheme == "http" and not self.allow_plain_text and not _is_this_machine(parts.hostname):
            raise ValueError(f"{parts.hostname} would be called in plain text: use https, or set allow_plain_text")
        return self


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
