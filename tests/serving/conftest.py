"""A service for each test module that wants one, and what is sent to it."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from medground.serving.model import SharedReader
from medground.serving.service import Service
from pipelines.judges.postgres import Postgres
from tests.inference.blob_reader import BlobReader
from tests.inference.drawn import BlobPx
from tests.serving.bench import Bench, Folder
from tests.serving.parts import Parts, parts_in
from tests.serving.running import Running, film, opened, running, worker_of

Send = Callable[..., Any]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service on loopback that all tests of a module share; each sends studies of its own."""
    with running(tmp_path_factory.mktemp("house")) as it:
        yield it


@pytest.fixture(scope="session")
def numbers() -> Iterator[int]:
    """Numbers of studies that no other test uses."""
    return itertools.count(1000)


@pytest.fixture
def new_film(tmp_path: Path, numbers: Iterator[int]) -> Callable[..., Path]:
    """Writes a film of a new study."""

    def write(*blobs: BlobPx, **header: Any) -> Path:
        return film(tmp_path, next(numbers), *blobs, **header)

    return write


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with Postgres() as running:
        yield running


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.judge("postgresql"))])
def parts(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Parts]:
    """Parts over an empty database of either kind."""
    server: Postgres | None = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    with parts_in(tmp_path, server and server.new_schema()) as made:
        yield made


@pytest.fixture(scope="module")
def service_and_log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, io.StringIO]]:
    """The parts of a service, and what it logs, for all benches of a module."""
    with opened(tmp_path_factory.mktemp("service")) as made:
        yield made


@pytest.fixture
def bench(service_and_log: tuple[Service, io.StringIO], tmp_path: Path, numbers: Iterator[int]) -> Iterator[Bench]:
    """A worker of its own over them; the log begins anew."""
    service, logged = service_and_log
    reader = BlobReader()
    shared, archive, slept = SharedReader(reader), Folder(), list[float]()
    worker = replace(worker_of(service, shared, {"pacs": archive}), sleep=slept.append)
    logged.truncate(logged.seek(0))
    yield Bench(service, reader, shared, worker, archive, logged, slept, tmp_path, numbers)
    shared.close()
