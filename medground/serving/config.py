"""ServiceConfig: one TOML file says what a service is; what it leaves out is closed or small.

::

    state = "/var/lib/medground"

    [http]
    port = 8080

    [[rules]]
    modality = "DX"
    questions = ["is there a nodule?", "is there a pneumothorax?"]
    deliver_to = ["pacs"]

    [destinations.pacs]
    dicomweb = { url = "https://pacs.example/dicom-web" }
    token_file = "/run/secrets/pacs"

Secrets are not written in it: a file that holds one is named instead.
"""

from __future__ import annotations

import ipaddress
import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from medground.schema.config import StrictConfig
from medground.schema.errors import UsageError
from medground.serving.access.oidc_config import OidcConfig
from medground.serving.access.quota import QuotaConfig
from medground.serving.dicom_receiver.archive_config import ArchiveConfig
from medground.serving.dicom_receiver.config import AeTitle, ReceiverConfig, Remote

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
DestinationName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9._-]{0,63}$")]  # a word in the audit log
Port = Annotated[int, Field(ge=0, le=65535)]
MIB = 2**20


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Role(StrEnum):
    """What a process does: all of it, or one side."""

    ALL = "all"
    API = "api"
    WORKER = "worker"


class TlsConfig(StrictConfig):
    """A certificate of our own, and whose certificates clients must have; PEM files."""

    certificate: Path
    key: Path
    client_ca: Path | None = None


class HttpConfig(StrictConfig):
    """The HTTP side.

    Attributes:
        host, port: where to listen; port 0 takes a free one.
        tls: without it only loopback is listened on.
        behind_proxy: listen beyond loopback without TLS, since a proxy of the same network ends it.
        cors_origins: pages of these origins may call; none by default.
        max_body_bytes: of one request.
        max_parts: files in one request.
        max_wait_s: for so long `POST /v1/ground` waits for an answer before it gives the job instead.
    """

    host: str = "127.0.0.1"
    port: Port = 8080
    tls: TlsConfig | None = None
    behind_proxy: bool = False
    cors_origins: tuple[str, ...] = ()
    max_body_bytes: int = Field(default=512 * MIB, gt=0)
    max_parts: int = Field(default=2000, gt=0)
    max_wait_s: float = Field(default=60, ge=0, le=600)

    @model_validator(mode="after")
    def _closed(self) -> Self:
        if not (self.tls or self.behind_proxy or is_loopback(self.host)):
            raise ValueError(
                f"http.host {self.host} is reachable from outside: set http.tls, or http.behind_proxy = true"
            )
        return self


class Rule(StrictConfig):
    """Which questions a study that arrives by DICOM is asked; what is left out fits everything.

    Attributes:
        calling_ae, modality, body_part: of the study.
        tenant: whose studies.
        questions: in English or Chinese.
        deliver_to: names of destinations.
    """

    calling_ae: AeTitle | None = None
    modality: str | None = Field(default=None, max_length=16)
    body_part: str | None = Field(default=None, max_length=64)
    tenant: Name | None = None
    questions: tuple[str, ...] = Field(min_length=1, max_length=64)
    deliver_to: tuple[DestinationName, ...] = ()

    def fits(self, *, tenant: str, calling_ae: str, modalities: str, body_parts: str) -> bool:
        """Whether a study is meant; modalities and body parts are joined by backslashes."""
        return (
            self.tenant in (None, tenant)
            and self.calling_ae in (None, calling_ae)
            and (self.modality is None or self.modality.upper() in modalities.upper().split("\\"))
            and (self.body_part is None or self.body_part.upper() in body_parts.upper().split("\\"))
        )


class Destination(StrictConfig):
    """An archive: by DICOMweb, or by C-STORE.

    Attributes:
        dicomweb: its DICOMweb service; credentials come from the files below.
        token_file: holds a bearer token.
        user, password_file: the other way to sign in.
        dicom: its C-STORE provider.
        calling_ae_title: what we call ourselves there.
        pull: whether studies may be looked for and fetched there, by DICOMweb.
        tenant: whose archive it is: nobody else looks into it or sends results there; None is for all.
    """

    dicomweb: ArchiveConfig | None = None
    token_file: Path | None = None
    user: str | None = None
    password_file: Path | None = None
    dicom: Remote | None = None
    calling_ae_title: AeTitle = "MEDGROUND"
    pull: bool = False
    tenant: Name | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.dicomweb is None) == (self.dicom is None):
            raise ValueError("a destination has either dicomweb or dicom")
        if self.dicomweb is None and (self.pull or self.token_file or self.user or self.password_file):
            raise ValueError("pull and credentials belong to dicomweb")
        if (self.user is None) != (self.password_file is None) or (self.user and self.token_file):
            raise ValueError("give token_file, or user and password_file, or none of them")
        if self.dicomweb is not None and self.dicomweb.credentials is not None:
            raise ValueError("secrets are not written here: name the file with token_file or password_file")
        return self

    def serves(self, tenant: str) -> bool:
        """Whether a tenant may use it."""
        return self.tenant in (None, tenant)


class ModelChoice(StrictConfig):
    """Which model answers.

    Attributes:
        bundle: folder; None for the shipped one.
        card: folder of its card; None for the one beside the bundle, called as it with `_card` at the end.
        require_card: refuse a bundle that has no verified card.
        trusted_keys: public keys whose cards count, or folders of `*.pub`, besides those of the package.
        device: where it runs.
        jobs_at_once: jobs that one process works on at the same time.
        threads: of the CPU for one reading; None for all.
        decoders: processes that decode pixels.
    """

    bundle: Path | None = None
    card: Path | None = None
    require_card: bool = True
    trusted_keys: tuple[Path, ...] = ()
    device: Literal["auto", "cpu", "cuda"] = "auto"
    jobs_at_once: int = Field(default=4, ge=1, le=64)
    threads: int | None = Field(default=None, ge=1)
    decoders: int = Field(default=2, ge=1, le=64)


class RetentionConfig(StrictConfig):
    """How long things are kept; None keeps them for good.

    Attributes:
        studies_days: images and everything that was answered of them, after the last image came.
        keys_days: idempotency keys.
        commitments_days: requests for storage commitment whose report nobody has taken.
    """

    studies_days: float | None = Field(default=None, gt=0)
    keys_days: float = Field(default=7, gt=0)
    commitments_days: float = Field(default=30, gt=0)


class ServiceConfig(StrictConfig):
    """A whole service.

    Attributes:
        state: folder for files and, unless `database` names another, the database. Processes of one service on
            several machines share it by a network file system.
        database: `sqlite:///path`, or `postgresql://user@host/name` (passwords by ~/.pgpass or PGPASSWORD); None for
            a file in `state`.
        dicom: the DICOM receiver; nothing listens if None.
        quiet_s: a study that came by DICOM is complete when nothing of it came for so long.
        organization: that reviewers answer to; stands in signed reports.
        anchor_file: the audit log's head is written there, best on another machine.
    """

    state: Path = Path("medground-state")
    database: str | None = None
    organization: str = Field(default="medground", min_length=1, max_length=64)
    anchor_file: Path | None = None
    http: HttpConfig = HttpConfig()
    dicom: ReceiverConfig | None = None
    quiet_s: float = Field(default=30, gt=0, le=86400)
    model: ModelChoice = ModelChoice()
    rules: tuple[Rule, ...] = ()
    destinations: dict[DestinationName, Destination] = Field(default_factory=dict)
    oidc: OidcConfig | None = None
    quota: QuotaConfig = QuotaConfig()
    retention: RetentionConfig = RetentionConfig()

    @model_validator(mode="after")
    def _destinations_exist(self) -> Self:
        for rule in self.rules:
            for name in rule.deliver_to:
                if name not in self.destinations:
                    raise ValueError(f"a rule delivers to {name!r}, and [destinations.{name}] is not there")
                owner = self.destinations[name].tenant
                if owner not in (None, rule.tenant):
                    raise ValueError(f"a rule delivers to {name!r}, which is {owner}'s alone: give it that tenant")
        return self

    @property
    def database_url(self) -> str:
        """Of the tables of the service."""
        return self.database or f"sqlite:///{self.state / 'medground.db'}"

    @property
    def workflows_url(self) -> str:
        """Of the tables of the workflows: the same PostgreSQL, or a file of its own."""
        if self.database_url.startswith("sqlite"):
            return f"sqlite:///{self.state / 'workflows.db'}"
        return self.database_url


def load_config(path: Path | None) -> ServiceConfig:
    """Read the config file; None for the defaults.

    Raises:
        UsageError: it cannot be read, or a setting in it is unknown or out of range.
    """
    if path is None:
        return ServiceConfig()
    try:
        return ServiceConfig.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as cause:
        raise UsageError(f"the config file {path} cannot be read ({cause.strerror})") from cause
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as cause:
        raise UsageError(f"the config file {path} is no TOML: {cause}") from cause
    except ValidationError as cause:
        first = cause.errors(include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise UsageError(f"the config file {path}: {where}: {first['msg'].removeprefix('Value error, ')}") from cause
