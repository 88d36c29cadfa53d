"""Slices that cannot be fetched: a sentence that says what to do, and a button."""

from __future__ import annotations

import numpy as np
import pytest

from medground.viewer.stage_data import Series
from tests.viewer.stage.given import data, image, middle_of, series
from tests.viewer.stage.server import SliceServer
from tests.viewer.stage.stage_page import StagePage, brightness


def test_a_slice_that_cannot_be_fetched_is_told_of_and_tried_again(stage: StagePage, slices: SliceServer) -> None:
    slices.statuses["/ct/1"] = 500
    stage.give(data(series(slices, "ct", 3)))
    stage.wait("stage.querySelector('.alert')")
    assert stage.text(".alert span") == "1 other image could not be fetched. Check the connection, then try again."
    stage.press("ArrowDown")
    stage.wait("stage.querySelector('.alert')?.textContent.startsWith('Slice')")
    assert stage.text(".alert span") == (
        "Slice 2 could not be fetched: refused with 500. Check the connection, then try again."
    )
    assert (stage.canvas()[..., :3] == 0).all()  # and never the slice before under the number of this one
    slices.statuses.clear()
    stage.find(".alert button").click()
    stage.wait("stage.dataset.painted === 'smooth'")
    assert stage.grey(*middle_of(0, 0)) == brightness(40, 0, 4000)
    assert stage.find(".alert").count() == 0


def test_a_slice_that_is_visited_again_is_tried_again(stage: StagePage, slices: SliceServer) -> None:
    slices.statuses["/ct/1"] = 503
    stage.give(data(series(slices, "ct", 3)))
    stage.wait("stage.querySelector('.alert')")
    slices.statuses.clear()
    stage.press("ArrowDown")
    stage.wait("stage.dataset.painted === 'smooth'")
    assert stage.grey(*middle_of(0, 0)) == brightness(40, 0, 4000)


@pytest.mark.parametrize("status", [401, 403])
def test_an_ended_session_is_told_of(stage: StagePage, slices: SliceServer, status: int) -> None:
    ct = series(slices, "ct", 30)
    slices.statuses.update({f"/ct/{index}": status for index in range(30)})
    stage.give(data(ct))
    stage.wait("stage.querySelector('.alert')")
    assert stage.text(".alert span") == "Your session has ended; sign in again."
    assert stage.find(".alert").count() == 1
    assert len(slices.asked) <= 12  # no storm of requests
    slices.statuses.clear()
    stage.find(".alert button").click()
    stage.wait("stage.dataset.painted === 'smooth'")
    assert stage.find(".alert").count() == 0


def test_a_server_that_fails_is_not_asked_for_all(stage: StagePage, slices: SliceServer) -> None:
    slices.statuses.update({f"/ct/{index}": 500 for index in range(100)})
    stage.give(data(series(slices, "ct", 100)))
    stage.wait("stage.querySelectorAll('.alert').length === 2")
    stage.press("ArrowDown")
    stage.wait("[...stage.querySelectorAll('.alert')].some(one => one.textContent.startsWith('Slice 2 '))")
    assert len(slices.asked) <= 15


def test_no_connection_is_told_of_and_mended(stage: StagePage, slices: SliceServer) -> None:
    ct = series(slices, "ct", 1)
    stage.page.context.set_offline(True)
    stage.start(data(ct))
    stage.wait("stage.querySelector('.alert')")
    assert stage.text(".alert span").startswith("Slice 1 could not be fetched: the server does not answer.")
    stage.page.context.set_offline(False)
    stage.wait("stage.dataset.painted === 'smooth'")


@pytest.mark.parametrize(
    ("reading", "words"),
    [
        ({"rows": 64}, "32768 bytes are not 64 x 128 pixels of 1 samples"),
        ({"slope": None}, "the answer does not say how to read the pixels"),
        ({"samples": 2}, "32768 bytes are not 128 x 128 pixels of 2 samples"),
    ],
)
def test_an_answer_that_cannot_be_read_is_told_of(
    stage: StagePage, slices: SliceServer, reading: dict[str, object], words: str
) -> None:
    url = slices.put("/bad/0", np.zeros((128, 128), np.uint16), **reading)
    stage.start(data(Series(key="bad", label="Bad", slices=(image(url, "1.2"),))))
    stage.wait("stage.querySelector('.alert')")
    assert stage.text(".alert span") == f"Slice 1 could not be fetched: {words}. Check the connection, then try again."


def test_a_prior_that_cannot_be_fetched_is_told_of(stage: StagePage, slices: SliceServer) -> None:
    slices.statuses["/old/0"] = 404
    stage.start(data(series(slices, "ct", 1), prior=series(slices, "old", 1)))
    stage.wait("stage.querySelector('.alert')")
    assert stage.text(".alert span").startswith("The prior image could not be fetched: refused with 404.")
