from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from medground.serving.access.oidc_config import OidcConfig, is_safe_url
from medground.serving.access.scope import Scope

GOOD: dict[str, Any] = {
    "issuer": "https://id.example.org/realm",
    "audience": "medground",
    "tenant": "main",
    "scopes_of": {"radiologist": ["read", "review", "sign"]},
}


def test_settings_as_they_stand_in_a_file() -> None:
    config = OidcConfig.model_validate(GOOD)
    assert config.scopes_of["radiologist"] == {Scope.READ, Scope.REVIEW, Scope.SIGN}
    assert config.algorithms == {"RS256", "PS256", "ES256", "EdDSA"}
    assert (config.leeway_s, config.keys_life_s, config.keys_grace_s, config.refetch_pause_s) == (60, 3600, 86400, 60)


@pytest.mark.parametrize(
    "change",
    [
        {"algorithms": ["HS256"]},
        {"algorithms": ["none"]},
        {"algorithms": ["RS256", "HS256"]},
        {"algorithms": []},
        {"tenant": None},
        {"tenant_claim": ["tenant"]},
        {"tenant": "a/b"},
        {"tenant": None, "tenant_claim": []},
        {"audience": ""},
        {"scopes_of": {"radiologist": ["write"]}},
        {"leeway_s": 301},
        {"leeway_s": -1},
        {"timeout_s": 0},
        {"refetch_pause_s": 0},
        {"issuer": "http://id.example.org/realm"},
        {"issuer": "https://id.example.org/realm?x=1"},
        {"issuer": "https://id.example.org/realm#x"},
        {"isuer": "https://id.example.org/realm"},
    ],
)
def test_what_would_weaken_it_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        OidcConfig.model_validate(GOOD | change)


@pytest.mark.parametrize(
    ("url", "is_safe"),
    [
        ("https://id.example.org/keys?p=policy", True),
        ("http://127.0.0.1:8080/keys", True),
        ("http://127.9.9.9/keys", True),
        ("http://[::1]:8080/keys", True),
        ("http://localhost/keys", True),
        ("http://id.example.org/keys", False),
        ("http://10.0.0.1/keys", False),
        ("http://127.0.0.1.example.org/keys", False),
        ("http://localhost.example.org/keys", False),
        ("http://localhost@example.org/keys", False),
        ("https://user:word@id.example.org/keys", False),
        ("http://0.0.0.0/keys", False),
        ("file:///etc/passwd", False),
        ("ftp://127.0.0.1/keys", False),
        ("https:///keys", False),
        ("https://id.example.org:port/keys", False),
        ("https://[::1/keys", False),
        ("", False),
    ],
)
def test_keys_are_fetched_in_safety_or_from_this_machine(url: str, is_safe: bool) -> None:
    assert is_safe_url(url) is is_safe
