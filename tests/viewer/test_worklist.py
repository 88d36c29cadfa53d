"""The work list: a study in one line, words of a header as they are, and the list on the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from medground.client.client import Client
from medground.serving.worklist import StudyStatus
from medground.viewer.worklist import STATUSES, _nothing, _plain, words_of
from tests.serving.running import NODULE, running
from tests.viewer.conftest import Ask, New, Opened
from tests.viewer.made import study
from tests.viewer.opened_page import OpenedPage
from tests.viewer.people import People


def test_a_study_in_one_line() -> None:
    assert words_of(study()) == "CT, 2026-11-30, Chest, 120 images"
    assert words_of(study(modalities=("DX", "SR"), images=1, description="")) == "DX/SR, 2026-11-30, 1 image"
    assert words_of(study(study_date="", modalities=(), description="")) == "120 images"
    assert words_of(study(study_date="2026")) == "CT, 2026, Chest, 120 images"


def test_nothing_in_a_name_is_markdown() -> None:
    assert _plain("Müller 王 O'Neil 4711") == "Müller 王 O'Neil 4711"
    assert _plain("[x](http://a.b)") == r"\[x\]\(http\://a\.b\)"
    assert _plain("**a** `b` $c$ :red[d] <i> &lt;") == (r"\*\*a\*\* \`b\` \$c\$ \:red\[d\] \<i\> \&lt;")


@pytest.mark.parametrize(
    ("words", "status", "is_first", "said"),
    [
        ("doe", "all", True, "No study here fits."),
        ("", "signed", True, "No study here fits."),
        ("", "all", True, "There is no study yet. Open files or fetch a study from an archive below."),
        ("", "all", False, "There are no more studies."),
    ],
)
def test_an_empty_list_says_why(words: str, status: str, is_first: bool, said: str) -> None:
    assert _nothing(words, status, is_first=is_first).startswith(said)


def test_every_status_of_the_service_can_be_chosen() -> None:
    assert set(STATUSES) == {str(one) for one in StudyStatus}


def test_an_empty_work_list_says_what_to_do(tmp_path: Path) -> None:
    with running(tmp_path) as house, People(house) as people:
        page = OpenedPage(people.session())
        assert page.shows("There is no study yet. Open files or fetch a study from an archive below.")
        assert [one.label for one in page.app.expander] == ["Open files"]  # and no archive is configured


def test_the_work_list_shows_studies_and_opens_one(opened: Opened, client: Client, new_film: New) -> None:
    header = {"PatientID": "W-7", "StudyDate": "20261130", "StudyDescription": "Thorax pa"}
    (study,) = client.store([new_film(PatientName="Wang^Fang", **header)]).studies
    page = opened()
    assert page.shows("**Wang Fang**  \nW\\-7")
    assert page.shows("DX, 2026\\-11\\-30, Thorax pa, 1 image")
    page.press("", key=f"open-{study}")
    assert page.memory.study == study
    assert page.shows("Wang Fang   ·   W-7   ·   20261130   ·   Thorax pa   ·   new")
    assert page.stage["study"].startswith(f"{study}..")
    page.press("← Work list")
    assert page.memory.study is None
    assert [one.value for one in page.app.header] == ["Work list"]


def test_studies_are_found_by_words_and_by_status(opened: Opened, client: Client, new_film: New, ask: Ask) -> None:
    answered = ask(NODULE, PatientName="Quist^Per", PatientID="Q-1")
    (new,) = client.store([new_film(PatientName="Quist^Ida", PatientID="Q-2")]).studies
    page = opened()

    def listed() -> list[str]:
        keys = [str(one.key) for one in page.app.button]
        return [key.removeprefix("open-") for key in keys if key.startswith("open-") and key != "open-send"]

    page.write("Search", "quist")
    assert listed() == [new, answered.study]
    page.choose("Status", "answered")
    assert listed() == [answered.study]
    page.choose("Status", "signed")
    assert listed() == []
    assert page.shows("No study here fits. Change the search or the status")
    page.choose("Status", "all")
    page.write("Search", " Q-2 ")
    assert listed() == [new]
    page.write("Search", "nobody of that name")
    assert (listed(), page.shows("No study here fits.")) == ([], True)


def test_the_work_list_has_pages(opened: Opened, client: Client, new_film: New) -> None:
    keys = [client.store([new_film(PatientName=f"Paging^N{n:02}")]).studies[0] for n in range(26)]
    page = opened()
    page.write("Search", "paging")
    assert page.shows("Page 1")
    assert f"open-{keys[25]}" in {one.key for one in page.app.button}
    assert f"open-{keys[0]}" not in {one.key for one in page.app.button}
    assert page.button("Newer").disabled
    page.press("Older")
    assert page.shows("Page 2")
    assert f"open-{keys[0]}" in {one.key for one in page.app.button}
    assert page.button("Older").disabled
    page.press("Newer")
    assert page.shows("Page 1")
