"""What the audit log is told of images that come by DICOM."""

from __future__ import annotations

from pathlib import Path

import pytest

import medground.serving.receiving as module
from medground.audit.event import Action
from medground.audit.log import Selection
from medground.serving.receiving import TOLD_AGAIN_S, Told
from tests.serving.access.test_quota import Hand
from tests.serving.faults.house import CALLING, House, at_rest
from tests.serving.running import eventually, film

KEY = ("clinic", "study", "CT1")


def stored(house: House) -> list[tuple[str, str, str, str]]:
    entries = house.service.audit.read(Selection(action=Action.STUDY_STORED))
    return [(one.event.object_id, one.event.actor, one.event.tenant, one.event.source) for one in entries]


def test_each_study_has_an_entry_and_each_association_its_counts(tmp_path: Path) -> None:
    with at_rest(tmp_path) as house:
        paths = [film(tmp_path, 1), film(tmp_path, 1, instance=2), film(tmp_path, 2)]
        house.store(*paths)
        house.store(*paths)
        assert eventually(lambda: len(stored(house)) == 4)
        studies = {row["study"] for row in house.client.get("/v1/studies").json()["studies"]}
        about = [one for one in stored(house) if one[0]]
        assert {one[0] for one in about} == studies
        assert len(about) == len(studies) == 2
        assert {one[1:] for one in stored(house)} == {(CALLING, "clinic", "127.0.0.1")}


def test_a_study_is_told_again_after_a_while() -> None:
    clock = Hand()
    told = Told(clock)
    assert told.is_due(KEY)
    told.done(KEY)
    assert not told.is_due(KEY)
    assert told.is_due(("other", "study", "CT1"))
    clock.now += TOLD_AGAIN_S
    assert told.is_due(KEY)


def test_studies_without_number_take_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_TOLD", 10)
    told = Told(Hand())
    for number in range(25):
        told.done(("clinic", str(number), "CT1"))
    assert len(told._since_s) <= 10
    assert told.is_due(("clinic", "0", "CT1"))
