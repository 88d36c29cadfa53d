"""Many files go in several requests below what the service takes, in order, and one report comes back."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from medground.client.batches import MOST_FILES, batches, send_all
from medground.client.client import Client
from medground.client.errors import ServiceError
from medground.client.parts import Stored
from medground.schema.errors import UsageError
from medground.serving.config import HttpConfig
from tests.client.conftest import USER
from tests.serving.running import Running, film, running

BODY = 300_000


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service that takes little at once."""
    with running(tmp_path_factory.mktemp("small"), http=HttpConfig(max_body_bytes=BODY)) as it:
        yield it


@pytest.fixture
def one(small: Running) -> Iterator[Client]:
    with Client(small.url, small.token(*USER)) as made:
        yield made


@pytest.mark.parametrize(
    ("sizes", "at_most", "found"),
    [
        ([10], 2000, [[0]]),
        ([400, 400, 400], 10_000, [[0, 1, 2]]),
        ([400, 400, 400], 2400, [[0, 1], [2]]),
        ([900, 100, 900], 2048, [[0], [1], [2]]),
        ([100, 900, 100], 2700, [[0, 1], [2]]),
        ([0, 0], 2**20, [[0, 1]]),
    ],
)
def test_files_stay_in_order_and_whole(sizes: list[int], at_most: int, found: list[list[int]]) -> None:
    assert list(batches(list(enumerate(sizes)), at_most)) == found


def test_a_request_has_so_many_files_at_most() -> None:
    made = list(batches([(number, 1) for number in range(2 * MOST_FILES + 1)], 2**30))
    assert [len(batch) for batch in made] == [MOST_FILES, MOST_FILES, 1]


def test_a_file_larger_than_a_request_is_told_before_anything_is_sent() -> None:
    words = "file 2 of 3 has 3.0 MiB, more than one request may have (2.0 MiB): unpack it if it is a ZIP, "
    with pytest.raises(UsageError, match=re.escape(words)) as error:
        batches([("a", 1), ("b", 3 * 2**20), ("c", 1)], 2**21)
    assert "C-STORE" in str(error.value)
    assert "max_request_bytes" in str(error.value)
    with pytest.raises(UsageError, match="there is no file to send"):
        batches([], 2**21)


def test_a_study_that_is_too_much_for_one_request(one: Client, tmp_path: Path) -> None:
    paths = [film(tmp_path, 1, instance=number) for number in range(1, 6)]
    assert sum(path.stat().st_size for path in paths) > 2 * BODY
    with pytest.raises(ServiceError, match=f"may have {BODY} bytes; send the study in several requests"):
        one.store(paths)
    stored = one.store(paths, max_request_bytes=BODY)
    assert (len(stored.studies), stored.accepted, stored.new, stored.refused) == (1, 5, 5, {})
    assert one.study(stored.studies[0]).images == 5
    opened = [path.open("rb") for path in paths]
    again = one.store_files(opened, max_request_bytes=BODY)
    assert (again.studies, again.accepted, again.new) == (stored.studies, 5, 0)
    for file in opened:
        assert not file.closed
        file.close()


def test_one_report_of_what_was_taken_and_what_was_not(one: Client, tmp_path: Path) -> None:
    paths = [film(tmp_path, number) for number in (11, 12, 13)]
    letter = tmp_path / "letter"
    letter.write_bytes(b"no image" * (BODY // 10))
    stored = one.store([paths[0], letter, *paths[1:]], max_request_bytes=BODY)
    assert (len(stored.studies), stored.accepted, stored.new) == (3, 3, 3)
    assert sum(stored.refused.values()) == 1
    with pytest.raises(ServiceError) as error:
        one.store([letter, letter], max_request_bytes=BODY)
    assert error.value.kind == "unreadable-input"


def test_what_breaks_off_is_told() -> None:
    sent: list[int] = []

    def send(batch: Sequence[int]) -> Stored:
        sent.extend(batch)
        if 2 in batch:
            raise ServiceError(429, "quota", "too much")
        return Stored(studies=("s",), accepted=len(batch), new=0, refused={})

    with pytest.raises(ServiceError, match="too much"):
        send_all(iter([[1], [2], [3]]), send)
    assert sent == [1, 2]


def test_studies_of_several_requests_are_named_once() -> None:
    reports = {
        1: Stored(studies=("a", "b"), accepted=2, new=1, refused={"DecodeError": 1}),
        2: Stored(studies=("b", "c"), accepted=3, new=3, refused={"DecodeError": 2, "LimitError": 1}),
    }
    assert send_all(iter([[1], [2]]), lambda batch: reports[batch[0]]) == Stored(
        studies=("a", "b", "c"), accepted=5, new=4, refused={"DecodeError": 3, "LimitError": 1}
    )
