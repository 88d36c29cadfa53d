"""The viewer's config: what it refuses, and what follows from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from medground.schema.errors import UsageError
from medground.viewer.config import Tls, ViewerConfig, read_config

TLS = Tls(certificate=Path("cert.pem"), key=Path("key.pem"))


def test_what_is_left_out_is_closed_or_small() -> None:
    config = ViewerConfig()
    assert (config.service, config.oidc, config.tls, config.address) == (None, None, None, None)
    assert (config.host, config.port, config.url) == ("127.0.0.1", 8501, "http://127.0.0.1:8501")
    assert (config.idle_minutes, config.longest_hours, config.is_encrypted) == (30, 12, False)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_loopback_needs_no_encryption(host: str) -> None:
    assert ViewerConfig(host=host).host == host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "viewer.example"])
def test_any_other_address_takes_encryption(host: str) -> None:
    with pytest.raises(ValidationError, match="patients would be shown without encryption; set tls, or behind_proxy"):
        ViewerConfig(host=host)
    assert ViewerConfig(host=host, tls=TLS).is_encrypted
    assert ViewerConfig(host=host, behind_proxy=True).host == host


@pytest.mark.parametrize(
    ("given", "url", "is_encrypted"),
    [
        ({"port": 80}, "http://127.0.0.1:80", False),
        ({"host": "::1"}, "http://[::1]:8501", False),
        ({"host": "0.0.0.0", "tls": TLS}, "https://0.0.0.0:8501", True),
        ({"address": "https://viewer.example/"}, "https://viewer.example", True),
        ({"address": "http://viewer.example:81"}, "http://viewer.example:81", False),
        (
            {"address": "https://viewer.example", "host": "10.0.0.7", "behind_proxy": True},
            "https://viewer.example",
            True,
        ),
        ({"host": "10.0.0.7", "behind_proxy": True}, "http://10.0.0.7:8501", True),
    ],
)
def test_how_browsers_name_the_page(given: dict[str, Any], url: str, is_encrypted: bool) -> None:
    config = ViewerConfig(**given)
    assert (config.url, config.is_encrypted) == (url, is_encrypted)


@pytest.mark.parametrize(
    "wrong",
    [
        {"port": 65536},
        {"port": -1},
        {"idle_minutes": 0},
        {"idle_minutes": 1441},
        {"longest_hours": 0},
        {"longest_hours": 169},
        {"pixels_mib": 63},
        {"pixels_mib": 16385},
        {"request_timeout_s": 0},
        {"request_timeout_s": 601},
        {"service": "ftp://medground.example"},
        {"oidc": {"issuer": "https://login.example", "client_id": ""}},
        {"oidc": {"issuer": "https://login.example"}},
        {"sevice": "https://medground.example"},
    ],
)
def test_what_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        ViewerConfig.model_validate(wrong)
    assert refused.value.errors()[0]["loc"][0] == next(iter(wrong))


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "viewer.toml"
    path.write_text(
        'service = "https://medground.example"\nhost = "0.0.0.0"\nport = 9\nidle_minutes = 5\n'
        'tls = { certificate = "c.pem", key = "k.pem" }\n'
        '[oidc]\nissuer = "https://login.example/realms/h"\nclient_id = "viewer"\nscopes = ["openid", "profile"]\n'
        'audience = "medground"\nclient_secret_file = "/run/secrets/viewer"\n',
        encoding="utf-8",
    )
    config = read_config(path)
    assert (str(config.service), config.port, config.idle_minutes) == ("https://medground.example/", 9, 5)
    assert config.tls == Tls(certificate=Path("c.pem"), key=Path("k.pem"))
    assert config.oidc is not None
    assert (str(config.oidc.issuer), config.oidc.client_id) == ("https://login.example/realms/h", "viewer")
    assert (config.oidc.scopes, config.oidc.audience) == (("openid", "profile"), "medground")
    assert config.oidc.client_secret_file == Path("/run/secrets/viewer")


def test_a_file_that_is_none(tmp_path: Path) -> None:
    absent, broken, latin, wrong = (tmp_path / name for name in ("absent", "broken", "latin", "wrong"))
    broken.write_text("port = ", encoding="utf-8")
    latin.write_bytes(b'host = "\xe4"')
    wrong.write_text('port = 8501\nhost = "0.0.0.0"\n[oidc]\nissuer = "x"\nclient = 1\n', encoding="utf-8")
    for path in (absent, broken, latin):
        with pytest.raises(UsageError, match=f"the config {path} cannot be read: "):
            read_config(path)
    with pytest.raises(UsageError, match=f"the config {wrong} is wrong: ") as refused:
        read_config(wrong)
    for setting in ("oidc.issuer", "oidc.client_id: Field required", "oidc.client: Extra inputs"):
        assert setting in str(refused.value)
    wrong.write_text('host = "0.0.0.0"', encoding="utf-8")
    with pytest.raises(UsageError, match=r"is wrong: config: .* without encryption"):
        read_config(wrong)
