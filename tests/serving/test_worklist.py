"""Studies with where each stands, newest first, a page at a time."""

from __future__ import annotations

import pytest

from medground.audit.event import ObjectKind
from medground.serving.intake import Origin
from medground.serving.jobs import Job, Problem, nothing
from medground.serving.reviews import ReviewAction, ReviewEntry
from medground.serving.worklist import StudyNotFoundError, StudyStatus
from tests.serving.parts import QUESTION, Parts


def status(parts: Parts, key: str) -> str:
    found = parts.worklist.get("clinic", key)
    (listed,) = [one for one in parts.worklist.page("clinic", at_most=9) if one.row.study_key == key]
    assert listed.status is found.status
    return found.status.value


def say(parts: Parts, job: Job, action: ReviewAction, seen: int) -> None:
    entry = ReviewEntry(action=action, finding_id="f")
    parts.reviews.add(job.job_id, "clinic", entry, seen=seen, reviewer=("t", "n"), then=nothing)


def test_a_study_from_its_coming_to_its_signature(parts: Parts) -> None:
    accepted = parts.accept(parts.film(1))
    parts.accept(parts.film(2))
    key = accepted.study_key
    assert status(parts, key) == "new"
    job = parts.ask(accepted)
    assert status(parts, key) == "working"
    parts.jobs.begin(job)
    assert status(parts, key) == "working"
    parts.finish(job)
    assert status(parts, key) == "answered"
    say(parts, job, ReviewAction.ACCEPT, 0)
    assert status(parts, key) == "in_review"
    say(parts, job, ReviewAction.SIGN, 1)
    assert status(parts, key) == "signed"
    say(parts, job, ReviewAction.ACCEPT, 2)
    assert status(parts, key) == "in_review"  # what stands now is not what was signed
    say(parts, job, ReviewAction.SIGN, 3)
    assert status(parts, key) == "signed"
    parts.ask(accepted, request=QUESTION.model_copy(update={"queries": ("a mass?",)}))
    assert status(parts, key) == "working"
    parts.accept(parts.film(1, instance=2), origin=Origin.DICOM)
    assert status(parts, key) == "receiving"


def test_a_study_whose_job_failed_is_new(parts: Parts) -> None:
    accepted = parts.accept(parts.film(1))
    parts.jobs.fail(parts.ask(accepted), Problem(kind="K", detail="d"))
    assert status(parts, accepted.study_key) == "new"


def test_every_study_has_one_status_and_all_are_known() -> None:
    assert [one.value for one in StudyStatus] == ["receiving", "working", "signed", "in_review", "answered", "new"]


def test_pages_hold_every_study_once_newest_first(parts: Parts) -> None:
    keys = []
    for study in range(1, 8):
        keys.append(parts.accept(parts.film(study)).study_key)
        parts.clock.forward(study % 3)  # some came at the same moment
    parts.accept(parts.film(99), "other")
    found, after = [], None
    while True:
        page = parts.worklist.page("clinic", at_most=3, after=after)
        found += [one.row.study_key for one in page]
        if len(page) < 3:
            break
        after = page[-1].row.last_received_us, page[-1].row.study_key
    assert sorted(found) == sorted(keys)
    received = [parts.worklist.get("clinic", key).row.last_received_us for key in found]
    assert received == sorted(received, reverse=True)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("", "123"),
        ("doe", "12"),
        ("DOE^J", "1"),
        ("47", "13"),
        ("a-9", "2"),
        ("%", "3"),
        ("_", ""),
        ("\\", ""),
        ("chest", ""),
        ("王", "3"),
    ],
)
def test_words_are_looked_for_in_name_id_and_accession_number(parts: Parts, words: str, found: str) -> None:
    people = {
        1: {"PatientName": "Doe^Jane", "PatientID": "4711", "AccessionNumber": "1"},
        2: {"PatientName": "Doe^Max", "PatientID": "2", "AccessionNumber": "A-9"},
        3: {"PatientName": "王^小", "PatientID": "5%47", "SpecificCharacterSet": "ISO_IR 192"},
    }
    for number, person in people.items():
        parts.accept(parts.film(number, **{"StudyDescription": "chest", **person}))
        parts.accept(parts.film(number, **{"StudyDescription": "chest", **person}), "other")
    page = parts.worklist.page("clinic", at_most=9, words=words)
    assert "".join(sorted(one.row.study_uid[-1] for one in page)) == found


def test_a_study_is_its_tenants_alone(parts: Parts) -> None:
    accepted = parts.accept(parts.film(1))
    for tenant, key in (("other", accepted.study_key), ("clinic", "0" * 24)):
        with pytest.raises(StudyNotFoundError, match="no such study") as error:
            parts.worklist.get(tenant, key)
        assert error.value.foreign == ((ObjectKind.STUDY, key) if tenant == "other" else None)
        assert parts.worklist.instances(tenant, key) == []
        assert parts.worklist.instance(tenant, key, accepted.instance_id) is None


def test_its_image_objects(parts: Parts) -> None:
    second, first = (parts.accept(parts.film(1, instance=number)) for number in (2, 1))
    listed = parts.worklist.instances("clinic", first.study_key)
    assert [one.instance_id for one in listed] == [first.instance_id, second.instance_id]
    assert {(one.modality, one.frames, one.series_uid[-4:]) for one in listed} == {("DX", 1, ".1.1")}
    assert [one.sop_uid for one in listed] == [first.sop_instance_uid, second.sop_instance_uid]
    assert parts.worklist.instance("clinic", first.study_key, second.instance_id) == listed[1]
    another = parts.accept(parts.film(2))
    assert parts.worklist.instance("clinic", another.study_key, second.instance_id) is None
