"""Two people at once, and a connection that drops."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import expect

from medground.client.client import Client
from tests.serving.running import OTHER, Running
from tests.viewer.journey.conftest import Open
from tests.viewer.people import USER


def test_people_of_two_tenants_do_not_see_each_others_studies(
    open_viewer: Open, new_ct: Callable[..., str], house: Running
) -> None:
    patient = new_ct()
    mine, theirs = open_viewer(), open_viewer()
    mine.sign_in(house.token(*USER))
    theirs.sign_in(house.token(*USER, tenant=OTHER))
    mine.page.get_by_text(f"Test {patient}").wait_for()
    expect(theirs.page.get_by_text("There is no study yet")).to_be_visible()
    mine.open_study(patient)
    with Client(house.url, house.token(*USER)) as client:
        (study,) = client.studies(search=patient).studies
        (series,) = client.series(study.study)
    path = f"/pixels/{study.study}/{series.instances[0].id}/1"
    assert mine.page.request.get(f"{mine.url}{path}").status == 200
    assert theirs.page.request.get(f"{theirs.url}{path}").status == 404


def test_two_reviewers_of_one_result_do_not_overwrite_each_other(
    open_viewer: Open, new_ct: Callable[..., str], house: Running
) -> None:
    patient = new_ct()
    ann, ben = open_viewer(), open_viewer()
    for reader in (ann, ben):
        reader.sign_in(house.token(*USER))
        reader.open_study(patient)
    ann.ask("is there a nodule?")
    ben.page.reload()
    ben.stage.wait_for()
    ben.settle()
    for reader in (ann, ben):  # each sees it as it stands now
        reader.page.get_by_role("button", name="Accept (a)").wait_for()
    ann.press("a")
    ann.page.get_by_text("✓ accepted").wait_for()
    ben.press("r", "1")  # of what he still sees as not reviewed
    expect(ben.stage.get_by_text("Somebody else has reviewed")).to_be_visible()
    ben.page.get_by_text("✓ accepted").wait_for()  # what she did is shown
    ben.press("r", "1")  # now he has seen it
    ben.page.get_by_text("✗ rejected").wait_for()
    with Client(house.url, house.token(*USER)) as client:
        (study,) = client.studies(search=patient).studies
        review = client.review(client.results(study.study)[0].job)
    assert [one["entry"]["action"] for one in review.entries] == ["accept", "reject"]


def test_a_dropped_connection_loses_no_edit(open_viewer: Open, new_ct: Callable[..., str], house: Running) -> None:
    patient = new_ct()
    page = open_viewer()
    page.sign_in(house.token(*USER))
    page.open_study(patient)
    page.ask("is there a nodule?")
    page.page.get_by_role("button", name="Accept (a)").wait_for()
    page.page.context.set_offline(True)
    page.press("e", "ArrowRight", "Enter")
    expect(page.stage.get_by_text("not saved yet")).to_be_visible()
    page.page.context.set_offline(False)
    page.page.reload()
    page.page.get_by_text("✎ edited").wait_for()
    with Client(house.url, house.token(*USER)) as client:
        (study,) = client.studies(search=patient).studies
        review = client.review(client.results(study.study)[0].job)
    assert [one["entry"]["action"] for one in review.entries] == ["edit"]
