"""A service on loopback that all tests of a module share, and a client of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from medground.client.client import Client
from medground.serving.access.scope import Scope
from tests.serving.running import Running, film, running

USER = (Scope.GROUND, Scope.READ, Scope.REVIEW, Scope.SIGN)
New = Callable[..., Path]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("house")) as it:
        yield it


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture(scope="module")
def client(house: Running) -> Iterator[Client]:
    with Client(house.url, house.token(*USER)) as one:
        yield one


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    return itertools.count(1)


@pytest.fixture
def new_film(tmp_path: Path, numbers: Iterator[int]) -> New:
    return lambda *blobs, **header: film(tmp_path, next(numbers), *blobs, **header)
