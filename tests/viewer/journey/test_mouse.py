"""A reader with a mouse: opens a CT, looks, asks in two languages, corrects, adds, signs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from medground.audit.event import Action
from medground.audit.log import Selection
from medground.client.client import Client
from tests.serving.running import Running
from tests.viewer.journey.conftest import NODULE, ON_SLICES, Open
from tests.viewer.people import USER

FIRST, SECOND, ADDED = "#56b4e9", "#e69f00", "#7df5ff"
LINE_PX = 2.5  # of the image: as wide as a drawn line may be


def drawn_grey(x: int, y: int) -> float:
    """What the ground of the drawn slices is in the lung window, 0..255."""
    return 255 * 0.25 * (x + y) / 255


def test_from_the_work_list_to_the_signed_report(open_viewer: Open, new_ct: Callable[..., str], house: Running) -> None:
    patient = new_ct()
    page = open_viewer()
    page.sign_in(house.token(*USER))
    page.open_study(patient)

    first = page.slice
    page.page.mouse.move(*page.at(128, 128))
    page.page.mouse.wheel(0, 100)
    page.wait("stage.dataset.slice !== arg", str(first))
    page.settle()
    assert abs(page.slice - first) == 1

    assert page.grey(128, 200) == pytest.approx(drawn_grey(128, 200), abs=3)  # the lung window comes first
    page.stage.get_by_text("Window", exact=True).click()
    page.stage.get_by_text("bone").click()
    page.settle()
    hounsfield = -1350 + 1500 * drawn_grey(128, 200) / 255
    assert page.grey(128, 200) == pytest.approx(np.clip(255 * (hounsfield + 450) / 1500, 0, 255), abs=3)
    page.press("1")

    page.ask("is there a nodule?")
    page.page.get_by_role("button", name="Accept (a)").wait_for()  # the first finding is chosen
    page.settle()
    assert page.slice + 1 in ON_SLICES
    assert page.painted_box(FIRST) == pytest.approx(NODULE, abs=LINE_PX)
    page.ask("is there a nodule?", "右肺有结节吗")
    page.page.get_by_role("button", name="not reviewed").nth(1).wait_for()
    page.settle()
    page.stage.get_by_text("Next", exact=True).click()
    page.settle()
    assert page.painted_box(SECOND) == pytest.approx(NODULE, abs=LINE_PX)

    # the second one is edited with the mouse, by its lower right corner
    page.stage.get_by_text("Edit", exact=True).click()
    page.settle()
    page.drag((NODULE[2], NODULE[3]), (NODULE[2] + 20, NODULE[3] + 10))
    page.stage.get_by_text("Keep", exact=True).click()
    page.page.get_by_text("✎ edited").wait_for()
    page.idle()

    # the first one is rejected, with a reason
    page.page.get_by_role("button", name="not reviewed").last.click()
    page.page.get_by_role("button", name="Accept (a)").wait_for()
    page.settle()
    page.stage.get_by_text("Reject", exact=True).click()
    page.stage.get_by_text("artefact").click()
    page.page.get_by_text("✗ rejected").wait_for()

    # one that was missed is drawn
    page.stage.get_by_text("Missed", exact=True).click()
    page.settle()
    page.drag((150, 60), (180, 95))
    page.stage.get_by_text("pleural effusion").click()
    page.page.get_by_text("+ added").wait_for()
    page.settle()
    assert page.painted_box(ADDED) == pytest.approx((150, 60, 180, 95), abs=LINE_PX)

    page.page.get_by_label("Signed by").fill("Reader^Ann")
    page.page.get_by_role("button", name="Sign", exact=True).click()
    page.page.get_by_text("Signed: report").wait_for()

    with Client(house.url, house.token(*USER)) as client:
        (study,) = client.studies(search=patient).studies
        result = client.results(study.study)[0]
        review = client.review(result.job)
        signed = client.file(result.job, "signed")
    entries = [one["entry"] for one in review.entries]
    assert [one["action"] for one in entries] == ["edit", "reject", "add", "sign"]
    wider = (NODULE[0], NODULE[1], NODULE[2] + 20, NODULE[3] + 10)
    assert entries[0]["box_xyxy_px"] == pytest.approx(wider, abs=1)
    assert entries[1]["reason"] == "artefact"
    assert entries[2]["concept"] == "pleural_effusion"
    assert entries[2]["box_xyxy_px"] == pytest.approx((150, 60, 180, 95), abs=1)
    assert signed[128:132] == b"DICM"
    assert study.status == "signed"
    reviewed = house.service.audit.read(Selection(object_id=result.job, action=Action.REVIEWED))
    assert [entry.event.details["kind"] for entry in reviewed] == ["edit", "reject", "add"]
