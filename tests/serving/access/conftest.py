"""A clock, and an issuer with one key of each kind."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.serving.access.clock import Clock
from tests.serving.access.issuer import EcKey, EdKey, Issuer, RsaKey


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def rsa_key() -> RsaKey:
    return RsaKey("rsa-1")


@pytest.fixture(scope="session")
def ec_key() -> EcKey:
    return EcKey("ec-1")


@pytest.fixture(scope="session")
def ed_key() -> EdKey:
    return EdKey("ed-1")


@pytest.fixture
def issuer(rsa_key: RsaKey, ec_key: EcKey, ed_key: EdKey) -> Iterator[Issuer]:
    with Issuer(rsa_key.public(), ec_key.public(), ed_key.public()) as running:
        yield running


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False) as one:
        yield one
