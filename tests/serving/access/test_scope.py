from __future__ import annotations

import itertools
import subprocess
import sys

import pytest

from medground.schema.errors import ForbiddenError, UsageError
from medground.serving.access.scope import Principal, PrincipalKind, Scope, is_tenant, parse_scopes


def principal(*scopes: Scope, expires_us: int | None = None) -> Principal:
    return Principal("token:1", PrincipalKind.TOKEN, "main", frozenset(scopes), "Ada Example", expires_us)


def test_the_scopes() -> None:
    assert [scope.value for scope in Scope] == ["ground", "read", "review", "sign", "admin", "audit"]


@pytest.mark.parametrize(("had", "needed"), list(itertools.product(Scope, Scope)))
def test_each_scope_opens_itself_and_nothing_else(had: Scope, needed: Scope) -> None:
    if had is needed:
        principal(had).require(needed)
        return
    with pytest.raises(ForbiddenError, match=f"needs the scope {needed}, and these credentials have {had};") as caught:
        principal(had).require(needed)
    assert (caught.value.http_status, caught.value.reason, caught.value.subject) == (403, "scope", "token:1")


@pytest.mark.parametrize("needed", Scope)
def test_all_open_all_and_none_opens_none(needed: Scope) -> None:
    principal(*Scope).require(needed)
    with pytest.raises(ForbiddenError, match="have none;"):
        principal().require(needed)


def test_a_principal_is_shown_without_its_name() -> None:
    assert "Ada" not in repr(principal(Scope.READ))
    assert "token:1" in repr(principal(Scope.READ))


def test_credentials_end_at_their_time() -> None:
    assert [principal(expires_us=1000).is_expired(now) for now in (999, 1000, 1001)] == [False, True, True]
    assert not principal().is_expired(2**62)


def test_scopes_from_words() -> None:
    assert parse_scopes(["read", " ground ", "", "read"]) == {Scope.READ, Scope.GROUND}
    for wrong, said in ((["write"], "'write' is no scope"), (["READ"], "'READ' is no scope"), (["", " "], "no scope")):
        with pytest.raises(UsageError, match=f"{said}.*ground, read, review, sign, admin, audit"):
            parse_scopes(wrong)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("main", True),
        ("0b5e-St.Mary_2", True),
        ("a" * 64, True),
        ("a" * 65, False),
        ("", False),
        (".hidden", False),
        ("a/b", False),
        ("a\n", False),
        ("é", False),
        ("a b", False),
    ],
)
def test_names_of_tenants(text: str, is_one: bool) -> None:
    assert is_tenant(text) is is_one


def test_access_knows_no_web_framework_and_no_model() -> None:
    code = (
        "import sys\n"
        "import medground.serving.access.authenticator, medground.serving.access.quota\n"
        "print(sorted({'fastapi', 'starlette', 'torch', 'pydicom'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
