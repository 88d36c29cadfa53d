"""What a service is: closed by default, and every mistake named."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError

from medground.schema.errors import UsageError
from medground.serving.config import (
    Destination,
    HttpConfig,
    ModelChoice,
    RetentionConfig,
    Rule,
    ServiceConfig,
    TlsConfig,
    is_loopback,
    load_config,
)

WEB = {"dicomweb": {"url": "https://pacs.example/dicom-web"}}
STORE = {"dicom": {"host": "pacs.example", "port": 104, "ae_title": "PACS"}}


def write(folder: Path, text: str) -> Path:
    path = folder / "service.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_without_a_file_everything_is_closed_or_small() -> None:
    config = load_config(None)
    assert config == ServiceConfig()
    assert is_loopback(config.http.host)
    assert (config.dicom, config.oidc, config.destinations, config.rules) == (None, None, {}, ())
    assert config.http.cors_origins == ()
    assert config.retention.studies_days is None
    assert config.database_url == "sqlite:///medground-state/medground.db"


def test_a_whole_file_is_read(tmp_path: Path, repository: Path) -> None:
    """The one of the manual, with what it promises."""
    manual = (repository / "docs" / "service.md").read_text(encoding="utf-8")
    text = manual.split("```toml\n")[1].split("```")[0]
    config = load_config(write(tmp_path, text))
    assert (config.http.host, config.http.port) == ("0.0.0.0", 8443)
    assert config.http.tls == TlsConfig(certificate=Path("/etc/medground/cert.pem"), key=Path("/etc/medground/key.pem"))
    assert [rule.modality for rule in config.rules][:2] == ["CT", "DX"]
    assert "左肺有结节吗" in config.rules[1].questions
    assert config.oidc is not None
    assert config.retention.studies_days == 90
    assert set(tomllib.loads(text)) <= set(ServiceConfig.model_fields)


def settings_of(kind: type[BaseModel]) -> Iterator[str]:
    """The names of all settings, those within others too."""
    for name, field in kind.model_fields.items():
        yield name
        parts = [field.annotation]
        while parts:
            part = parts.pop()
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from settings_of(part)
            else:
                parts += get_args(part)


def test_the_manual_has_every_setting(repository: Path) -> None:
    manual = (repository / "docs" / "service.md").read_text(encoding="utf-8")
    table = manual.partition("## All settings\n")[2].partition("\n## ")[0]
    told = set(re.findall(r"[a-z_]+", table))
    secret = {"credentials", "kind", "token", "password"}  # of an archive: never written into the file
    assert set(settings_of(ServiceConfig)) - secret <= told


def test_the_dicom_side_of_the_manual_is_read(tmp_path: Path, repository: Path) -> None:
    manual = (repository / "docs" / "service.md").read_text(encoding="utf-8")
    for text in manual.split("```toml\n")[1:]:
        assert load_config(write(tmp_path, text.split("```")[0])) != ServiceConfig()
    assert manual.count("```toml\n") == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[http]\nprot = 1", r"service\.toml: http\.prot: Extra inputs"),
        ("[http]\nport = 70000", r"http\.port: Input should be less than or equal to 65535"),
        ("[http]\nmax_wait_s = 601", r"http\.max_wait_s: "),
        ("quiet_s = 0", r"quiet_s: Input should be greater than 0"),
        ("colour = 'red'", r"colour: Extra inputs"),
        ("[http]\nhost = '0.0.0.0'", r"http: .*http\.host 0\.0\.0\.0 is reachable from outside: set http\.tls"),
        ("[[rules]]\nquestions = []", r"rules\.0\.questions: "),
        (
            "[[rules]]\nquestions = ['q']\ndeliver_to = ['pacs']",
            r"delivers to 'pacs', and \[destinations\.pacs\] is not",
        ),
        ("[destinations.pacs]\npull = true", r"destinations\.pacs: .*either dicomweb or dicom"),
        ("[destinations.'a b']\ndicomweb = {url = 'https://x'}", r"destinations\.a b\.\[key\]: "),
        ("[destinations.2024]\ndicomweb = {url = 'https://x'}", r"destinations\.2024\.\[key\]: "),
        ("[model]\ndevice = 'tpu'", r"model\.device: "),
        ("[retention]\nstudies_days = -1", r"retention\.studies_days: "),
        ("a = b = c", r"service\.toml is no TOML: "),
        ("[http", r"is no TOML: "),
    ],
)
def test_each_mistake_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        load_config(write(tmp_path, text))


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"absent\.toml cannot be read \(No such file"):
        load_config(tmp_path / "absent.toml")
    (tmp_path / "bytes.toml").write_bytes(b"state = '\xff'")
    with pytest.raises(UsageError, match="is no TOML"):
        load_config(tmp_path / "bytes.toml")


@pytest.mark.parametrize(
    ("host", "alone"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("service.example", False),
    ],
)
def test_beyond_loopback_it_takes_tls_or_a_proxy(host: str, alone: bool) -> None:
    assert is_loopback(host) is alone
    tls = TlsConfig(certificate=Path("c"), key=Path("k"))
    assert HttpConfig(host=host, tls=tls).host == HttpConfig(host=host, behind_proxy=True).host == host
    if alone:
        assert HttpConfig(host=host).host == host
    else:
        with pytest.raises(ValidationError, match="is reachable from outside"):
            HttpConfig(host=host)


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ({}, "either dicomweb or dicom"),
        (WEB | STORE, "either dicomweb or dicom"),
        (STORE | {"pull": True}, "pull and credentials belong to dicomweb"),
        (STORE | {"token_file": "t"}, "pull and credentials belong to dicomweb"),
        (WEB | {"user": "u"}, "give token_file, or user and password_file"),
        (WEB | {"password_file": "p"}, "give token_file, or user and password_file"),
        (WEB | {"user": "u", "password_file": "p", "token_file": "t"}, "give token_file, or user and password_file"),
        ({"dicomweb": WEB["dicomweb"] | {"credentials": {"kind": "bearer", "token": "t"}}}, "secrets are not written"),
        ({"dicomweb": {"url": "http://pacs.example"}}, "plain text"),
    ],
)
def test_what_no_destination_is(given: dict[str, Any], refused: str) -> None:
    with pytest.raises(ValidationError, match=refused):
        Destination.model_validate(given)


def test_what_a_destination_is() -> None:
    for more in ({}, {"token_file": "t"}, {"user": "u", "password_file": "p"}, {"pull": True}):
        assert Destination.model_validate(WEB | more).dicomweb is not None
    assert Destination.model_validate(STORE).calling_ae_title == "MEDGROUND"


def test_rules_deliver_to_what_is_there() -> None:
    rule = Rule(questions=("q",), deliver_to=("pacs",))
    with pytest.raises(ValidationError, match=r"\[destinations\.pacs\] is not there"):
        ServiceConfig(rules=(rule,))
    assert ServiceConfig(rules=(rule,), destinations={"pacs": Destination.model_validate(WEB)}).rules == (rule,)


def test_a_destination_may_be_one_tenants_alone() -> None:
    everybodys, ours = Destination.model_validate(WEB), Destination.model_validate(WEB | {"tenant": "clinic"})
    assert [one.serves(tenant) for one in (everybodys, ours) for tenant in ("clinic", "other")] == [
        *(True, True),
        *(True, False),
    ]
    for tenant in (None, "other"):
        with pytest.raises(ValidationError, match="a rule delivers to 'pacs', which is clinic's alone"):
            ServiceConfig(
                rules=(Rule(questions=("q",), deliver_to=("pacs",), tenant=tenant),), destinations={"pacs": ours}
            )
    rule = Rule(questions=("q",), deliver_to=("pacs",), tenant="clinic")
    assert ServiceConfig(rules=(rule,), destinations={"pacs": ours}).rules == (rule,)


def test_databases(tmp_path: Path) -> None:
    config = ServiceConfig(state=tmp_path)
    assert config.database_url == f"sqlite:///{tmp_path}/medground.db"
    assert config.workflows_url == f"sqlite:///{tmp_path}/workflows.db"
    elsewhere = ServiceConfig(state=tmp_path, database="sqlite:///other.db")
    assert (elsewhere.database_url, elsewhere.workflows_url) == (
        "sqlite:///other.db",
        f"sqlite:///{tmp_path}/workflows.db",
    )
    shared = ServiceConfig(state=tmp_path, database="postgresql://medground@db/medground")
    assert shared.database_url == shared.workflows_url == "postgresql://medground@db/medground"


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (HttpConfig, {"max_body_bytes": 0}),
        (HttpConfig, {"max_parts": 0}),
        (HttpConfig, {"max_wait_s": -1}),
        (ModelChoice, {"jobs_at_once": 0}),
        (ModelChoice, {"jobs_at_once": 65}),
        (ModelChoice, {"threads": 0}),
        (ModelChoice, {"decoders": 0}),
        (RetentionConfig, {"keys_days": 0}),
        (ServiceConfig, {"organization": ""}),
        (ServiceConfig, {"organization": "x" * 65}),
        (ServiceConfig, {"quiet_s": 86401}),
        (Rule, {"questions": ("q",) * 65}),
        (Rule, {"questions": ("q",), "calling_ae": "seventeen letters"}),
        (Rule, {"questions": ("q",), "tenant": "a b"}),
    ],
)
def test_what_is_out_of_range(kind: type[Any], given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        kind(**given)
