from __future__ import annotations

import json
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey

from medground.schema.errors import AccessUnavailableError, NotAuthenticatedError
from medground.serving.access.issuer_keys import IssuerKeys
from medground.serving.access.oidc_config import OidcConfig
from tests.serving.access.clock import Clock
from tests.serving.access.issuer import DISCOVERY, KEYS, EcKey, Issuer, RsaKey, Write, base64url

Asked = Callable[..., IssuerKeys]


@pytest.fixture
def keys_of(client: httpx.Client, clock: Clock) -> Asked:
    def made(issuer: Issuer, monotonic_s: Callable[[], float] = clock.monotonic_s, **settings: Any) -> IssuerKeys:
        given = {"issuer": issuer.url, "audience": "medground", "tenant": "main", "scopes_of": {}, "timeout_s": 60}
        return IssuerKeys(OidcConfig.model_validate(given | settings), client, monotonic_s)

    return made


def unknown(keys: IssuerKeys, key_id: str, key_type: str = "RSA") -> str:
    with pytest.raises(NotAuthenticatedError) as caught:
        keys.find(key_id, key_type)
    return caught.value.reason


def unavailable(keys: IssuerKeys, key_id: str = "rsa-1") -> float:
    with pytest.raises(AccessUnavailableError, match="the issuer of identities does not answer") as caught:
        keys.find(key_id, "RSA")
    assert (caught.value.http_status, caught.value.reason) == (503, "issuer_unreachable")
    assert caught.value.wait_s is not None
    return caught.value.wait_s


def test_keys_are_fetched_once_and_kept_for_their_life(issuer: Issuer, keys_of: Asked, clock: Clock) -> None:
    keys = keys_of(issuer)
    assert issuer.asked == {}  # nothing is asked before it is needed
    for _ in range(3):
        assert [keys.find(*which).kid for which in (("rsa-1", "RSA"), ("ec-1", "EC"), ("ed-1", "OKP"))] == [
            "rsa-1",
            "ec-1",
            "ed-1",
        ]
    clock.forward(3590)
    keys.find("rsa-1", "RSA")
    assert issuer.asked == {DISCOVERY: 1, KEYS: 1}
    clock.forward(20)
    keys.find("rsa-1", "RSA")
    assert issuer.asked == {DISCOVERY: 2, KEYS: 2}


def test_a_rotated_key_is_fetched_but_at_most_once_a_minute(
    issuer: Issuer, keys_of: Asked, clock: Clock, ec_key: EcKey
) -> None:
    keys = keys_of(issuer)
    keys.find("rsa-1", "RSA")
    issuer.keys = [ec_key.public() | {"kid": "ec-2"}]
    assert [unknown(keys, "ec-2", "EC") for _ in range(50)] == ["unknown_key"] * 50
    assert issuer.asked[KEYS] == 1  # the first fetch was less than a minute ago
    clock.forward(61)
    assert keys.find("ec-2", "EC").kid == "ec-2"
    assert [unknown(keys, f"made-up-{number}") for number in range(50)] == ["unknown_key"] * 50
    assert unknown(keys, "rsa-1") == "unknown_key"  # the issuer took it back
    assert issuer.asked[KEYS] == 2


def test_a_key_of_another_type_is_told_apart_without_fetching(issuer: Issuer, keys_of: Asked, clock: Clock) -> None:
    keys = keys_of(issuer)
    keys.find("ec-1", "EC")
    clock.forward(61)
    assert unknown(keys, "ec-1", "RSA") == "wrong_key_type"
    assert issuer.asked[KEYS] == 1


def test_two_keys_of_one_id_are_told_apart_by_type(
    issuer: Issuer, keys_of: Asked, rsa_key: RsaKey, ec_key: EcKey
) -> None:
    issuer.keys = [
        rsa_key.public() | {"kid": "k"},
        ec_key.public() | {"kid": "k"},
        EcKey("other").public() | {"kid": "k"},
    ]
    keys = keys_of(issuer)
    assert keys.find("k", "RSA").key_type == "RSA"
    found = keys.find("k", "EC")
    assert isinstance(found, ECKey)
    assert found.as_dict()["x"] == ec_key.public()["x"]  # the first one


def test_while_the_issuer_is_down_keys_are_used_for_the_stated_while(
    issuer: Issuer, keys_of: Asked, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    keys = keys_of(issuer, keys_life_s=3600, keys_grace_s=7200)
    keys.find("rsa-1", "RSA")
    issuer.stop()
    clock.forward(3601)
    for _ in range(3):
        assert keys.find("rsa-1", "RSA").kid == "rsa-1"
    warned = (
        "the keys of the OpenID Connect issuer were not fetched: the discovery document cannot be had (ConnectError)"
    )
    assert caplog.messages.count(warned) == 1  # asked once a minute, and not by every request
    assert unavailable(keys, "rsa-2") <= 60  # whether that key is new cannot be said
    clock.forward(7195)
    assert keys.find("rsa-1", "RSA").kid == "rsa-1"
    clock.forward(10)
    assert unavailable(keys) <= 5
    issuer.start()
    clock.forward(6)
    assert keys.find("rsa-1", "RSA").kid == "rsa-1"


def test_an_issuer_that_never_answered_is_asked_at_a_pause(issuer: Issuer, keys_of: Asked, clock: Clock) -> None:
    keys = keys_of(issuer)
    issuer.status = 500
    assert [unavailable(keys) <= 5 for _ in range(20)] == [True] * 20
    assert issuer.asked == {DISCOVERY: 1}
    issuer.status = 200
    clock.forward(5.1)
    assert keys.find("rsa-1", "RSA").kid == "rsa-1"


def endless(write: Write) -> None:
    while True:
        write(b" " * 2**16)


def long_list(entries: list[dict[str, Any]], length: int) -> Callable[[Write], None]:
    content = json.dumps({"keys": entries}).encode()
    return lambda write: write(content + b" " * (length - len(content))) and None


def drip(write: Write) -> None:
    for _ in range(4000):
        write(b" ")
        time.sleep(0.05)


def silent(write: Write) -> None:
    time.sleep(120)
    write(b"{}")


@pytest.mark.parametrize(
    ("path", "answer", "said"),
    [
        (KEYS, "10 MB", "the list of keys is longer than 262144 bytes"),
        (DISCOVERY, endless, "the discovery document is longer than 262144 bytes"),
        (KEYS, drip, "the list of keys took longer than 3 s"),
        (KEYS, silent, "the list of keys cannot be had (ReadTimeout)"),
        (KEYS, lambda write: write(b"<html>"), "the list of keys cannot be had (JSONDecodeError)"),
        (KEYS, lambda write: write(b"[" * 100_000), "the list of keys cannot be had (RecursionError)"),
        (KEYS, lambda write: write(b"\xff\xfe\x00"), "the list of keys cannot be had (UnicodeDecodeError)"),
        (KEYS, lambda write: write(b"[]"), "the list of keys is no JSON object"),
        (KEYS, lambda write: write(b'{"keys": {"rsa-1": {}}}'), "the list of keys has none that can check a signature"),
        (KEYS, lambda write: write(b'{"keys": [7, null, {}]}'), "the list of keys has none that can check a signature"),
    ],
)
def test_answers_of_no_use_are_given_up_soon(
    issuer: Issuer,
    keys_of: Asked,
    caplog: pytest.LogCaptureFixture,
    rsa_key: RsaKey,
    path: str,
    answer: Any,
    said: str,
) -> None:
    issuer.answers[path] = long_list([rsa_key.public()], 10 * 2**20) if answer == "10 MB" else answer
    begun = time.monotonic()
    unavailable(keys_of(issuer, time.monotonic, timeout_s=3 if answer in (drip, silent) else 60))
    assert time.monotonic() - begun < 50
    assert caplog.messages[-1] == f"the keys of the OpenID Connect issuer were not fetched: {said}"


def test_a_list_within_the_limit_is_read(issuer: Issuer, keys_of: Asked, rsa_key: RsaKey) -> None:
    issuer.answers[KEYS] = long_list([rsa_key.public()], 256 * 2**10)
    assert keys_of(issuer).find("rsa-1", "RSA").kid == "rsa-1"


@pytest.mark.parametrize(
    ("discovered", "said"),
    [
        ({"issuer": "https://other.example.org"}, "the discovery document is of another issuer"),
        ({"issuer": None}, "the discovery document is of another issuer"),
        ({"jwks_uri": "http://10.0.0.1/keys"}, "names no address of keys, or one without https"),
        ({"jwks_uri": "file:///etc/passwd"}, "names no address of keys, or one without https"),
        ({"jwks_uri": 7}, "names no address of keys, or one without https"),
    ],
)
def test_a_discovery_document_that_leads_astray_is_not_followed(
    issuer: Issuer, keys_of: Asked, caplog: pytest.LogCaptureFixture, discovered: dict[str, Any], said: str
) -> None:
    issuer.discovered = discovered
    unavailable(keys_of(issuer))
    assert caplog.messages[-1].endswith(said)
    assert issuer.asked[KEYS] == 0


def test_redirects_and_compressed_answers_are_not_followed(
    issuer: Issuer, keys_of: Asked, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    keys = keys_of(issuer)
    issuer.status, issuer.headers = 302, {"Location": f"{issuer.url}/keys"}
    unavailable(keys)
    assert caplog.messages[-1].endswith("the discovery document was answered with status 302")
    assert issuer.asked == {DISCOVERY: 1}
    clock.forward(6)
    issuer.status, issuer.headers = 200, {"Content-Encoding": "gzip"}
    unavailable(keys)
    assert caplog.messages[-1].endswith("the discovery document came compressed")


def test_keys_of_no_use_are_passed_over_and_private_parts_not_kept(
    issuer: Issuer, keys_of: Asked, clock: Clock, rsa_key: RsaKey, ec_key: EcKey
) -> None:
    weak, good = RsaKey("weak", 1024).public(), rsa_key.public()
    secret = base64url(ec_key.private.private_numbers().private_value.to_bytes(32, "big"))
    huge = base64url((2**9000 + 1).to_bytes(1126, "big"))
    issuer.keys = [
        {"kty": "oct", "kid": "oct", "k": base64url(b"secret" * 8)},
        {"kty": "AKP", "kid": "new", "alg": "ML-DSA-44", "pub": "AA"},
        weak,
        good | {"kid": "huge", "n": huge},
        good | {"kid": "for-encryption", "use": "enc"},
        good | {"kid": "signs-only", "key_ops": ["sign"]},
        good | {"kid": ""},
        good | {"kid": ["list"]},
        good | {"kid": "odd", "n": 7},
        good | {"kid": "odd", "n": "++++"},
        ec_key.public() | {"kid": "off-curve", "y": base64url(b"\1" * 32)},
        ec_key.public() | {"kid": "no-curve", "crv": "P-17"},
        ec_key.public() | {"kid": "private", "d": secret},
        good | {"kid": "verifies", "key_ops": ["verify"]},
        good,
    ]
    keys = keys_of(issuer)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert keys.find("rsa-1", "RSA").kid == "rsa-1"
    assert keys.find("verifies", "RSA").kid == "verifies"
    private = keys.find("private", "EC")
    assert not private.is_private
    assert "d" not in private.as_dict()
    for key_id in ("oct", "new", "weak", "huge", "for-encryption", "signs-only", "odd", "off-curve", "no-curve", ""):
        for key_type in ("RSA", "EC", "OKP", "oct"):
            assert unknown(keys, key_id, key_type) == "unknown_key", key_id


def test_many_at_once_fetch_once(issuer: Issuer, keys_of: Asked) -> None:
    keys = keys_of(issuer)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: keys.find("rsa-1", "RSA").kid, range(40)))
    assert found == ["rsa-1"] * 40
    assert issuer.asked == {DISCOVERY: 1, KEYS: 1}


def test_nobody_waits_for_the_issuer_while_keys_can_be_used(issuer: Issuer, keys_of: Asked, clock: Clock) -> None:
    keys = keys_of(issuer)
    keys.find("rsa-1", "RSA")
    asked, answer_now = threading.Event(), threading.Event()

    def hesitant(write: Write) -> None:
        asked.set()
        answer_now.wait(50)
        write(json.dumps({"issuer": issuer.url, "jwks_uri": f"{issuer.url}/keys"}).encode())

    issuer.answers[DISCOVERY] = hesitant
    clock.forward(3601)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(keys.find, "rsa-1", "RSA")
        assert asked.wait(60)
        assert keys.find("rsa-1", "RSA").kid == "rsa-1"
        assert not first.done()
        answer_now.set()
        assert first.result(60).kid == "rsa-1"
    assert issuer.asked[KEYS] == 2
