"""A signed report says what the reviewer left, and who he is; read back from its file."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import Dataset

from medground.data.vocabulary import load_vocabulary
from medground.dicom.found import Found
from medground.dicom.sr import read_sr
from medground.inference.gather import gather
from medground.inference.ground import Grounded, ground
from medground.inference.reports import study_reports
from medground.inference.request import Request
from medground.schema.anatomy import Domain, Side
from medground.schema.errors import UsageError
from medground.schema.result import Finding, Origin, SpacingSource, StudyResult, Verdict
from medground.serving.result_file import part10
from medground.serving.reviews import ReviewAction, ReviewEntry, ReviewRow, standing
from medground.serving.signing import (
    ADDED,
    CORRECTED,
    NOT_REVIEWED,
    Signature,
    UnreviewedError,
    check_reviewed,
    signed_report,
)
from tests.dicom.sr_results import named
from tests.inference.blob_reader import BlobReader
from tests.inference.drawn import drawn, write_ct_slice
from tests.serving.running import film

UID = "1.2.826.0.1.3680043.8.498.1.1.1"
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SIGNATURE = Signature("Doe^Ann", "Example Hospital", AT)
QUESTIONS = ("is there a nodule?", "is there a pleural effusion?", "is there a pneumothorax?")
BLOBS = ((40, 50, 70, 80), (150, 50, 180, 80), (100, 180, 180, 220))


@dataclass
class Signing:
    """What the model answered of a study, its report, and what signing makes of a review of it."""

    grounded: Grounded
    before: Dataset

    @property
    def nodules(self) -> tuple[Finding, ...]:
        return self.grounded.result.studies[0].answers[0].findings

    @property
    def effusions(self) -> tuple[Finding, ...]:
        return self.grounded.result.studies[0].answers[1].findings

    def sign(self, *entries: ReviewEntry) -> tuple[StudyResult, Dataset]:
        """The answers as signed, and the report as a file gives it back."""
        rows = [ReviewRow("j", n, one, "token:1", "Ann", 0) for n, one in enumerate(entries, start=1)]
        reviewed = standing(self.grounded.result, rows)
        answered, content, uid = signed_report(
            self.grounded.result,
            reviewed,
            self.grounded.studies[0],
            part10(self.before),
            load_vocabulary(),
            SIGNATURE,
        )
        document = pydicom.dcmread(io.BytesIO(content))
        assert document.SOPInstanceUID == uid
        assert read_sr(document).studies[0].answers == answered.answers
        return answered, document


def made(paths: Sequence[Path], questions: Sequence[str] = QUESTIONS, **reader: Any) -> Signing:
    found = [Found(str(pydicom.dcmread(path).SOPInstanceUID), path) for path in paths]
    grounded = ground(gather(found), Request(tuple(questions)), BlobReader(**reader))
    reports = study_reports(grounded.studies[0], grounded.result.studies[0], grounded.result, ("sr",))
    return Signing(grounded, reports.objects["sr"][0])


@pytest.fixture(scope="module")
def signing(tmp_path_factory: pytest.TempPathFactory) -> Signing:
    """Two nodules and an effusion on one film, and no pneumothorax."""
    made_of = made([film(tmp_path_factory.mktemp("signing"), 1, *BLOBS)])
    assert (len(made_of.nodules), len(made_of.effusions)) == (2, 1)
    return made_of


def entry(action: str, finding: Finding | None = None, **content: Any) -> ReviewEntry:
    usual = {"reason": "artefact"} if action == "reject" else {}
    return ReviewEntry(action=action, finding_id=finding and finding.id, **{**usual, **content})


def add(concept: str = "nodule", box: tuple[float, ...] = (20.0, 30.0, 40.0, 60.0), **content: Any) -> ReviewEntry:
    given = {"finding_id": "added-1", "box_xyxy_px": box, "concept": concept, "sop_instance_uid": UID}
    return ReviewEntry(action=ReviewAction.ADD, **(given | content))


def test_what_is_accepted_stays_as_it_was(signing: Signing) -> None:
    first, second = signing.nodules
    answered, _ = signing.sign(entry("accept", first), entry("accept", second), entry("accept", signing.effusions[0]))
    before = signing.grounded.result.studies[0]
    assert answered == before.model_copy(update={"report": answered.report})
    assert answered.report == before.report


def test_an_edit_a_reject_and_an_addition_are_in_the_report(signing: Signing) -> None:
    first, second = signing.nodules
    answered, document = signing.sign(
        entry(
            "edit", first, box_xyxy_px=(40.0, 52.0, 60.0, 72.0), concept="mass", statements=["Spiculated mass.", " "]
        ),
        entry("reject", second),
        add(),
    )
    edited, added = answered.answers[0].findings
    assert (edited.id, edited.concept.key, edited.concept.name) == (first.id, "mass", "mass")
    assert (edited.box_xyxy_px, edited.score) == ((40.0, 52.0, 60.0, 72.0), first.score)
    assert edited.size_mm is not None
    assert (edited.size_mm.width, edited.size_mm.height) == (10.0, 10.0)  # 20 pixels of 0.5 mm
    assert edited.size_mm.spacing_source is SpacingSource.DETECTOR
    own = [one for one in edited.description.statements if one.origin is Origin.REVIEWER]
    assert [one.text for one in own] == ["Spiculated mass."]
    assert not [one for one in edited.description.statements if one.origin is Origin.MODEL]
    assert "10 x 10 mm" in edited.description.text
    assert (added.id, added.score, added.concept.key, added.laterality) == ("added-1", 1.0, "nodule", Side.RIGHT)
    assert added.box_xyxy_px == (20.0, 30.0, 40.0, 60.0)
    assert [one.text for one in added.description.statements][:2] == ["Nodule.", ADDED]
    assert len(named(document, "112040")) == 3  # tracking UIDs: edited, added, and the effusion nobody reviewed
    assert answered.report.number_of_findings == 3
    assert not answered.report.nothing_above_threshold


def test_it_follows_the_report_that_was_reviewed_and_names_the_reviewer(signing: Signing) -> None:
    _, document = signing.sign(entry("reject", signing.nodules[0]))
    (study,) = document.PredecessorDocumentsSequence
    (series,) = study.ReferencedSeriesSequence
    (instance,) = series.ReferencedSOPSequence
    assert instance.ReferencedSOPInstanceUID == signing.before.SOPInstanceUID
    assert document.SOPInstanceUID != signing.before.SOPInstanceUID
    assert (document.VerificationFlag, document.PreliminaryFlag) == ("VERIFIED", "FINAL")
    (observer,) = document.VerifyingObserverSequence
    assert (str(observer.VerifyingObserverName), observer.VerifyingOrganization) == ("Doe^Ann", "Example Hospital")
    assert observer.VerificationDateTime == "20260102030405.000000+0000"
    assert [str(item.PersonName) for item in named(document, "121008")] == ["Doe^Ann"]
    kinds = [item.ConceptCodeSequence[0].CodeMeaning for item in named(document, "121005")]
    assert kinds == ["Device", "Person"]  # the model that answered stays an observer


def test_a_second_signature_follows_the_first(signing: Signing) -> None:
    _, first = signing.sign(entry("reject", signing.nodules[0]))
    again = Signing(signing.grounded, first)
    _, second = again.sign(entry("accept", signing.nodules[0]))
    (study,) = second.PredecessorDocumentsSequence
    (series,) = study.ReferencedSeriesSequence
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == first.SOPInstanceUID
    assert (signing.before.InstanceNumber, first.InstanceNumber, second.InstanceNumber) == (1, 2, 3)


def verdicts(answered: StudyResult) -> list[Verdict]:
    return [answer.verdict for answer in answered.answers]


def test_verdicts_follow_the_review(signing: Signing) -> None:
    found, not_found = Verdict.FOUND, Verdict.NOT_FOUND
    one, two = signing.nodules
    (effusion,) = signing.effusions
    assert verdicts(signing.grounded.result.studies[0]) == [found, found, not_found]
    assert verdicts(signing.sign(entry("reject", one))[0]) == [found, found, not_found]  # another is left
    assert verdicts(signing.sign(entry("reject", one), entry("reject", two))[0]) == [not_found, found, not_found]
    everything = [entry("reject", each) for each in (one, two, effusion)]
    rejected, _ = signing.sign(*everything)
    assert verdicts(rejected) == [not_found, not_found, not_found]
    assert (rejected.report.number_of_findings, rejected.report.nothing_above_threshold) == (0, True)
    assert rejected.report.recommendations == ()
    added, _ = signing.sign(*everything, add("pneumothorax"))
    assert verdicts(added) == [not_found, not_found, found]
    assert [len(answer.findings) for answer in added.answers] == [0, 0, 1]


def test_what_was_uncertain_is_found_once_somebody_accepts_it(tmp_path: Path) -> None:
    signing = made([film(tmp_path, 1, (40, 50, 52, 62))])  # small, and so of a low score
    assert verdicts(signing.grounded.result.studies[0])[0] is Verdict.UNCERTAIN
    assert verdicts(signing.sign()[0])[0] is Verdict.UNCERTAIN
    assert verdicts(signing.sign(entry("accept", signing.nodules[0]))[0])[0] is Verdict.FOUND
    assert verdicts(signing.sign(entry("reject", signing.nodules[0]))[0])[0] is Verdict.NOT_FOUND


def test_an_addition_about_nothing_that_was_asked_stands_in_the_first_answer(signing: Signing) -> None:
    answered, _ = signing.sign(add("scoliosis"))
    assert [len(answer.findings) for answer in answered.answers] == [3, 1, 0]
    assert answered.answers[0].findings[-1].concept.key == "scoliosis"


def test_an_addition_can_be_corrected_and_taken_back(signing: Signing) -> None:
    corrected = ReviewEntry(action=ReviewAction.EDIT, finding_id="added-1", concept="pneumothorax")
    answered, _ = signing.sign(add(), corrected)
    (moved,) = answered.answers[2].findings
    assert (moved.id, moved.concept.key, moved.box_xyxy_px) == ("added-1", "pneumothorax", (20.0, 30.0, 40.0, 60.0))
    accepted, _ = signing.sign(add(), ReviewEntry(action=ReviewAction.ACCEPT, finding_id="added-1"))
    assert accepted.answers[0].findings[-1].id == "added-1"
    gone = ReviewEntry(action=ReviewAction.REJECT, finding_id="added-1", reason="other")
    assert [len(answer.findings) for answer in signing.sign(add(), gone)[0].answers] == [2, 1, 0]


def test_what_nobody_looked_at_says_so(signing: Signing) -> None:
    answered, _ = signing.sign(entry("accept", signing.nodules[0]))
    first, second = answered.answers[0].findings
    assert NOT_REVIEWED not in first.description.text
    assert second.description.statements[-1].text == NOT_REVIEWED
    assert second.description.statements[-1].origin is Origin.REVIEWER
    assert second.description.text.endswith(NOT_REVIEWED)


def test_advice_follows_what_a_finding_is_now(signing: Signing) -> None:
    first, second = signing.nodules
    before = {one.finding_id: one.rule for one in signing.grounded.result.studies[0].report.recommendations}
    answered, _ = signing.sign(entry("edit", first, concept="pneumothorax"), entry("reject", second), add("fracture"))
    rules = {one.finding_id: one.rule for one in answered.report.recommendations}
    assert set(rules) == {first.id, signing.effusions[0].id, "added-1"}
    assert rules[signing.effusions[0].id] == before[signing.effusions[0].id]
    assert rules[first.id] != before[first.id]
    assert "pneumothorax" in rules[first.id]
    assert "fracture" in rules["added-1"]


def test_an_edit_without_words_says_who_corrected_it(signing: Signing) -> None:
    first = signing.nodules[0]
    answered, _ = signing.sign(entry("edit", first, box_xyxy_px=(40.0, 50.0, 60.0, 70.0)))
    texts = [one.text for one in answered.answers[0].findings[0].description.statements]
    assert texts[:2] == ["Nodule.", CORRECTED]
    assert not any("Added" in text or "likely" in text for text in texts)
    silent, _ = signing.sign(entry("edit", first, statements=[]))
    assert {one.origin for one in silent.answers[0].findings[0].description.statements} == {
        Origin.HEADER,
        Origin.MEASURED,
    }


def test_through_a_volume(tmp_path: Path) -> None:
    """A new name leaves the extent; a new box is on one slice, and has none."""
    slices = [
        write_ct_slice(
            tmp_path / f"{n}.dcm", drawn([(100, 100, 130, 130)] if 2 <= n <= 4 else []), z_mm=2.5 * n, instance=n
        )
        for n in range(1, 6)
    ]
    signing = made(slices, ("is there a nodule?",), domain=Domain.CHEST_CT)
    (nodule,) = signing.nodules
    assert nodule.extent is not None
    named_anew, _ = signing.sign(entry("edit", nodule, concept="mass"))
    (mass,) = named_anew.answers[0].findings
    assert (mass.extent, mass.size_mm) == (nodule.extent, nodule.size_mm)
    assert "width x height x depth" in mass.description.text
    moved, _ = signing.sign(entry("edit", nodule, box_xyxy_px=(100.0, 100.0, 120.0, 120.0)))
    (smaller,) = moved.answers[0].findings
    assert smaller.extent is None
    assert smaller.size_mm is not None
    assert (smaller.size_mm.width, smaller.size_mm.height, smaller.size_mm.depth) == (14.0, 16.0, None)


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        (add(box=(20.0, 30.0, 257.0, 60.0)), "leaves its image"),
        (add(box=(20.0, 30.0, 40.0, 256.5)), "leaves its image"),
        (add(sop_instance_uid="1.2.3"), "lies on no image"),
        (add(frame=2), "lies on no image"),
    ],
)
def test_what_cannot_be_signed(signing: Signing, said: ReviewEntry, refused: str) -> None:
    with pytest.raises(UsageError, match=refused):
        signing.sign(said)


def test_the_whole_image_is_within_it(signing: Signing) -> None:
    answered, _ = signing.sign(add(box=(0.0, 0.0, 256.0, 256.0)))
    assert answered.answers[0].findings[-1].box_xyxy_px == (0.0, 0.0, 256.0, 256.0)


def test_unreviewed_findings_are_counted(signing: Signing) -> None:
    result = signing.grounded.result
    rows = [ReviewRow("j", 1, entry("accept", signing.nodules[0]), "t", "n", 0)]
    with pytest.raises(UnreviewedError, match=r"2 finding\(s\) were not reviewed"):
        check_reviewed(standing(result, rows))
    said = [entry("accept", one) for one in (*signing.nodules, *signing.effusions)]
    check_reviewed(standing(result, [ReviewRow("j", n, one, "t", "n", 0) for n, one in enumerate(said, start=1)]))
