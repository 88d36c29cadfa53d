"""Tokens of a real issuer on loopback, good ones and every kind of bad one."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medground.schema.errors import AccessError, AccessUnavailableError, NotAuthenticatedError
from medground.serving.access.oidc import Oidc
from medground.serving.access.oidc_config import OidcConfig
from medground.serving.access.scope import PrincipalKind, Scope
from tests.serving.access.clock import Clock
from tests.serving.access.issuer import KEYS, EcKey, EdKey, Issuer, RsaKey, base64url, written

SUBJECT, NAME, ADDRESS = "staff-4711-subject", "Ada Example", "ada@hospital.example"
OUTWARD = "these credentials are not accepted; ask an administrator for a new token, or sign in again"
Accepts = Callable[..., Oidc]


class World:
    """An issuer, its keys, and a service that trusts it; what the service logs must quote no claim."""

    def __init__(self, issuer: Issuer, client: httpx.Client, clock: Clock, rsa: RsaKey, ec: EcKey, ed: EdKey) -> None:
        self.issuer, self.client, self.clock, self.rsa, self.ec, self.ed = issuer, client, clock, rsa, ec, ed
        self.oidc = self.service()

    def service(self, **changes: Any) -> Oidc:
        given: dict[str, Any] = {
            "issuer": self.issuer.url,
            "audience": "medground",
            "tenant": "main",
            "timeout_s": 60,
            "scopes_claim": ("realm_access", "roles"),
            "scopes_of": {"radiologist": {"read", "review", "sign"}, "student": {"read", "ground"}},
        }
        return Oidc(OidcConfig.model_validate(given | changes), self.client, self.clock.now_us, self.clock.monotonic_s)

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = self.clock.now_s
        usual = {
            "iss": self.issuer.url,
            "aud": "medground",
            "sub": SUBJECT,
            "name": NAME,
            "email": ADDRESS,
            "iat": now - 10,
            "nbf": now - 10,
            "exp": now + 600,
            "realm_access": {"roles": ["student", "visitor"]},
        } | changes
        return {name: value for name, value in usual.items() if value is not None}

    def token(self, claims: object = None, **header: Any) -> str:
        usual = {"alg": "RS256", "kid": self.rsa.key_id, "typ": "JWT"}
        return written(usual | header, self.claims() if claims is None else claims, self.rsa.sign)


@pytest.fixture
def world(issuer: Issuer, client: httpx.Client, clock: Clock, rsa_key: RsaKey, ec_key: EcKey, ed_key: EdKey) -> World:
    return World(issuer, client, clock, rsa_key, ec_key, ed_key)


@pytest.fixture(autouse=True)
def _logs_quote_no_claim(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.DEBUG)
    yield
    for secret in (SUBJECT, NAME, ADDRESS, "eyJ"):
        assert secret not in caplog.text


def refusal(oidc: Oidc, token: str) -> str:
    """The reason for the log, once it is seen that nothing of the token is told."""
    with pytest.raises(NotAuthenticatedError) as caught:
        oidc.authenticate(token)
    assert str(caught.value) == OUTWARD
    assert caught.value.http_status == 401
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    shown = "".join(traceback.format_exception(caught.value)) + repr(vars(caught.value))
    for part in (SUBJECT, NAME, ADDRESS, *(part for part in token.split(".") if len(part) > 8)):
        assert part not in shown
    return caught.value.reason


def test_a_good_token_of_each_algorithm(world: World) -> None:
    digest = hashlib.sha256(f"{world.issuer.url}\n{SUBJECT}".encode()).hexdigest()
    signed = {
        "RS256": (world.rsa.key_id, world.rsa.sign),
        "PS256": (world.rsa.key_id, world.rsa.sign_pss),
        "ES256": (world.ec.key_id, world.ec.sign),
        "EdDSA": (world.ed.key_id, world.ed.sign),
    }
    for algorithm, (key_id, sign) in signed.items():
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = world.oidc.authenticate(written({"alg": algorithm, "kid": key_id}, world.claims(), sign))
        assert found.subject == f"oidc:{digest[:32]}"
        assert (found.kind, found.tenant, found.name) == (PrincipalKind.OIDC, "main", NAME)
        assert found.scopes == {Scope.READ, Scope.GROUND}
        assert found.expires_us == (world.clock.now_s + 600) * 1_000_000
    assert world.issuer.asked[KEYS] == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"exp": -61}, "expired"),
        ({"exp": -60}, "expired"),
        ({"exp": -59}, None),
        ({"nbf": 61}, "not_yet_valid"),
        ({"nbf": 59}, None),
        ({"iat": 61}, "not_yet_valid"),
        ({"iat": 59}, None),
    ],
)
def test_times_are_held_to_the_leeway(world: World, changes: dict[str, int], reason: str | None) -> None:
    times = {name: world.clock.now_s + offset for name, offset in changes.items()}
    token = world.token(world.claims(**times))
    if reason is None:
        assert world.oidc.authenticate(token).tenant == "main"
    else:
        assert refusal(world.oidc, token) == reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"aud": "another"}, "audience"),
        ({"aud": ["another", "medground2"]}, "audience"),
        ({"aud": "medgroun"}, "audience"),
        ({"aud": {"medground": 1}}, "audience"),
        ({"aud": []}, "audience"),
        ({"aud": None}, "claims"),
        ({"iss": "https://evil.example.org"}, "issuer"),
        ({"iss": ["http://127.0.0.1"]}, "issuer"),
        ({"iss": None}, "claims"),
        ({"sub": None}, "claims"),
        ({"sub": ""}, "claims"),
        ({"sub": 7}, "claims"),
        ({"exp": None}, "claims"),
        ({"iat": None}, "claims"),
        ({"exp": "2030-01-01"}, "claims"),
        ({"exp": True}, "claims"),
        ({"exp": float("nan")}, "claims"),
        ({"exp": float("inf")}, "claims"),
        ({"exp": 10**300}, "claims"),
    ],
)
def test_claims_that_are_absent_or_wrong(world: World, changes: dict[str, Any], reason: str) -> None:
    assert refusal(world.oidc, world.token(world.claims(**changes))) == reason


def test_an_audience_among_several(world: World) -> None:
    assert world.oidc.authenticate(world.token(world.claims(aud=["account", "medground"]))).tenant == "main"


def test_the_slash_at_the_end_of_an_issuer_counts(world: World) -> None:
    assert refusal(world.oidc, world.token(world.claims(iss=f"{world.issuer.url}/"))) == "issuer"


def test_a_key_that_is_not_the_issuers(world: World) -> None:
    stranger = RsaKey(world.rsa.key_id)
    token = written({"alg": "RS256", "kid": world.rsa.key_id}, world.claims(), stranger.sign)
    assert refusal(world.oidc, token) == "signature"
    assert refusal(world.oidc, world.token(kid="stranger")) == "unknown_key"


def test_a_key_that_the_token_brings_along_is_not_used(world: World) -> None:
    stranger = RsaKey("stranger")
    for header in (
        {"jwk": stranger.public()},
        {"jku": f"{world.issuer.url}/keys2"},
        {"x5u": f"{world.issuer.url}/certificate"},
    ):
        token = written({"alg": "RS256", "kid": world.rsa.key_id, **header}, world.claims(), stranger.sign)
        assert refusal(world.oidc, token) == "signature"
    assert set(world.issuer.asked) == {KEYS, "/realm/.well-known/openid-configuration"}


def test_a_changed_claim_breaks_the_signature(world: World) -> None:
    header, _, signature = world.token().split(".")
    more = world.claims(realm_access={"roles": ["radiologist"]})
    assert refusal(world.oidc, f"{header}.{base64url(json.dumps(more).encode())}.{signature}") == "signature"


def test_an_unknown_key_id_and_then_rotated_keys(world: World) -> None:
    assert world.oidc.authenticate(world.token()).tenant == "main"
    new = EcKey("ec-2")
    token = written({"alg": "ES256", "kid": "ec-2"}, world.claims(), new.sign)
    assert refusal(world.oidc, token) == "unknown_key"
    world.issuer.keys = [new.public()]
    world.clock.forward(61)
    assert world.oidc.authenticate(token).tenant == "main"
    assert refusal(world.oidc, world.token()) == "unknown_key"
    assert world.issuer.asked[KEYS] == 2


def test_the_public_key_as_a_secret_is_refused(world: World) -> None:
    secrets = (world.rsa.pem, world.rsa.pem.strip(), json.dumps(world.rsa.public()).encode())
    for secret in secrets:
        for key_id in (world.rsa.key_id, world.ec.key_id):
            token = written(
                {"alg": "HS256", "kid": key_id},
                world.claims(),
                lambda content, secret=secret: hmac.digest(secret, content, "sha256"),
            )
            assert refusal(world.oidc, token) == "algorithm"


@pytest.mark.parametrize(
    "name", ["none", "None", "NONE", "nOnE", "", None, 7, ["RS256"], "RS512", "ES384", "HS512", "RSA-OAEP"]
)
def test_algorithms_that_are_not_allowed(world: World, name: object) -> None:
    unsigned = written({"alg": name, "kid": world.rsa.key_id}, world.claims(), lambda _: b"")
    assert refusal(world.oidc, unsigned) == "algorithm"
    assert refusal(world.oidc, world.token(alg=name)) == "algorithm"


def test_only_the_algorithms_of_the_settings(world: World) -> None:
    only = world.service(algorithms=["ES256"])
    assert refusal(only, world.token()) == "algorithm"
    assert only.authenticate(written({"alg": "ES256", "kid": "ec-1"}, world.claims(), world.ec.sign)).tenant == "main"


def test_an_algorithm_with_a_key_of_another_type(world: World) -> None:
    for algorithm, key_id in (("RS256", "ec-1"), ("PS256", "ed-1"), ("ES256", "rsa-1"), ("EdDSA", "ec-1")):
        assert refusal(world.oidc, world.token(alg=algorithm, kid=key_id)) == "wrong_key_type"


def test_a_key_that_is_meant_for_one_algorithm_serves_no_other(world: World) -> None:
    world.issuer.keys = [world.rsa.public() | {"alg": "RS256"}]
    pss = written({"alg": "PS256", "kid": world.rsa.key_id}, world.claims(), world.rsa.sign_pss)
    assert refusal(world.oidc, pss) == "signature"
    assert world.oidc.authenticate(world.token()).tenant == "main"


def test_an_rsa_signature_of_the_other_padding(world: World) -> None:
    assert (
        refusal(world.oidc, written({"alg": "RS256", "kid": "rsa-1"}, world.claims(), world.rsa.sign_pss))
        == "signature"
    )
    assert refusal(world.oidc, written({"alg": "PS256", "kid": "rsa-1"}, world.claims(), world.rsa.sign)) == "signature"


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"kid": None}, "unknown_key"),
        ({"kid": ""}, "unknown_key"),
        ({"kid": 1}, "unknown_key"),
        ({"kid": "k" * 257}, "unknown_key"),
        ({"kid": "../../rsa-1"}, "unknown_key"),
        ({"typ": "logout+jwt"}, "malformed"),
        ({"typ": "dpop+jwt"}, "malformed"),
        ({"typ": 1}, "malformed"),
        ({"crit": ["b64"], "b64": False}, "malformed"),
        ({"crit": ["exp"]}, "malformed"),
        ({"crit": []}, "malformed"),
    ],
)
def test_headers_that_are_not_for_us(world: World, header: dict[str, Any], reason: str) -> None:
    assert refusal(world.oidc, world.token(**header)) == reason


@pytest.mark.parametrize("header", [{"typ": "at+jwt"}, {"typ": "application/at+JWT"}, {"x5t": "AA", "nonce": "later"}])
def test_headers_that_some_issuers_write(world: World, header: dict[str, Any]) -> None:
    assert world.oidc.authenticate(world.token(**header)).tenant == "main"


def test_a_token_of_a_megabyte_is_not_even_read(world: World) -> None:
    assert refusal(world.oidc, world.token(world.claims(filler="x" * 2**20))) == "too_long"
    assert refusal(world.oidc, "[" * 2**20) == "too_long"
    assert world.issuer.asked == {}
    fits = world.token(world.claims(filler="x" * 11_000))
    assert 14_000 < len(fits) <= 16 * 1024
    assert world.oidc.authenticate(fits).tenant == "main"


def test_hostile_json_is_malformed(world: World) -> None:
    deep = base64url(b"[" * 12_000)
    assert refusal(world.oidc, f"{deep}.e30.AA") == "malformed"
    signed = f"{base64url(json.dumps({'alg': 'RS256', 'kid': 'rsa-1'}).encode())}.{base64url(b'[' * 11_000)}"
    assert refusal(world.oidc, f"{signed}.{base64url(world.rsa.sign(signed.encode()))}") == "malformed"
    assert refusal(world.oidc, world.token([1, 2, 3])) == "malformed"
    assert refusal(world.oidc, world.token("word")) == "malformed"


def test_an_issuer_that_is_down(world: World) -> None:
    world.issuer.stop()
    with pytest.raises(AccessUnavailableError, match="the issuer of identities does not answer as it should") as caught:
        world.oidc.authenticate(world.token())
    assert caught.value.http_status == 503
    assert SUBJECT not in "".join(traceback.format_exception(caught.value))
    world.issuer.start()
    world.clock.forward(6)
    assert world.oidc.authenticate(world.token()).tenant == "main"
    world.issuer.stop()
    world.clock.forward(25 * 3600 - 60)  # an hour of life and a day of grace
    assert world.oidc.authenticate(world.token()).tenant == "main"
    world.clock.forward(120)
    with pytest.raises(AccessUnavailableError):
        world.oidc.authenticate(world.token())


@pytest.mark.parametrize(
    ("roles", "scopes"),
    [
        (["radiologist"], {"read", "review", "sign"}),
        (["radiologist", "student"], {"read", "review", "sign", "ground"}),
        (["admin", "Radiologist", "radiologist "], set()),
        ([], set()),
        (None, set()),
        ([7, None, ["radiologist"], {"radiologist": 1}], set()),
        ({"radiologist": True}, set()),
        ("student radiologist", {"read", "review", "sign", "ground"}),
        ("radiologists", set()),
        (7, set()),
    ],
)
def test_scopes_follow_from_roles(world: World, roles: object, scopes: set[str]) -> None:
    found = world.oidc.authenticate(world.token(world.claims(realm_access={"roles": roles})))
    assert found.scopes == scopes


def test_claims_that_are_not_where_they_are_looked_for(world: World) -> None:
    for realm in ("radiologist", ["roles"], None, {"roles": None}):
        assert world.oidc.authenticate(world.token(world.claims(realm_access=realm))).scopes == set()
    address = world.service(scopes_claim=["https://example.org/roles"])
    named = world.claims(**{"https://example.org/roles": ["student"]})
    assert address.authenticate(world.token(named)).scopes == {Scope.READ, Scope.GROUND}


def test_the_tenant_of_a_claim(world: World) -> None:
    by_claim = world.service(tenant=None, tenant_claim=["org", "id"])
    assert by_claim.authenticate(world.token(world.claims(org={"id": "ward-7"}))).tenant == "ward-7"
    for org in (None, "ward-7", {"id": ""}, {"id": 7}, {"id": ["ward-7"]}, {"id": "../main"}, {"id": "a" * 65}, {}):
        assert refusal(by_claim, world.token(world.claims(org=org))) == "tenant"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Åsa Ö", "Åsa Ö"),
        ("a\nb\x1b[31m\u202ec", "ab[31mc"),
        ("x" * 500, "x" * 128),
        ("", None),
        (None, None),
        (7, None),
    ],
)
def test_the_name_that_is_shown(world: World, name: object, shown: str | None) -> None:
    found = world.oidc.authenticate(world.token(world.claims(name=name)))
    assert found.name == (shown or found.subject)
    assert len(found.subject) <= 64


def test_the_log_names_whoever_it_is_once_that_is_proven(world: World) -> None:
    known = world.oidc.authenticate(world.token()).subject
    with pytest.raises(NotAuthenticatedError) as proven:
        world.oidc.authenticate(world.token(world.claims(exp=world.clock.now_s - 100)))
    with pytest.raises(NotAuthenticatedError) as claimed:
        world.oidc.authenticate(written({"alg": "RS256", "kid": "rsa-1"}, world.claims(), lambda _: b"no signature"))
    assert (proven.value.subject, claimed.value.subject) == (known, None)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
@given(data=st.data())
def test_any_damage_is_refused_and_does_no_harm(world: World, data: st.DataObject) -> None:
    token = world.token()
    way = data.draw(st.sampled_from(["change", "cut", "text", "header"]))
    if way == "change":
        place, other = data.draw(st.integers(0, len(token) - 1)), data.draw(st.characters(codec="latin-1"))
        damaged = token[:place] + other + token[place + 1 :]
    elif way == "cut":
        damaged = token[: data.draw(st.integers(0, len(token) - 1))]
    elif way == "text":
        damaged = data.draw(st.text())
    else:
        values = st.recursive(st.none() | st.text() | st.integers(), st.lists, max_leaves=3)
        names = st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk", "x5c"]) | st.text()
        header = data.draw(st.dictionaries(names, values) | values)
        damaged = f"{base64url(json.dumps(header).encode())}.{token.partition('.')[2]}"
    if damaged == token:
        return
    with pytest.raises(AccessError, match="not accepted"):
        world.oidc.authenticate(damaged)
