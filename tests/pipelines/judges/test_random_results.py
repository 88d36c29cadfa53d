"""The random results are the same from the same seed, and varied enough to be worth judging."""

from __future__ import annotations

import numpy as np
import pytest

from medground.schema.result import Finding, Origin, StatementKind, Verdict
from pipelines.judges.random_results import MAX_BOXES, Case, random_case


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return [random_case(0, index) for index in range(60)]


def _findings(case: Case) -> list[Finding]:
    return [finding for answer in case.study.answers for finding in answer.findings]


def test_the_same_from_the_same_seed(cases: list[Case]) -> None:
    again, other = random_case(0, 7), random_case(1, 7)
    assert (again.study, again.model, again.settings) == (cases[7].study, cases[7].model, cases[7].settings)
    assert [image.header for image in again.images.values()] == [image.header for image in cases[7].images.values()]
    assert other.study != again.study


def test_boxes_lie_on_images_of_the_study(cases: list[Case]) -> None:
    for case in cases:
        for finding in _findings(case):
            slices = finding.extent.slices if finding.extent else ()
            own = (finding.sop_instance_uid, finding.frame, finding.box_xyxy_px)
            places = [own, *((one.sop_instance_uid, one.frame, one.box_xyxy_px) for one in slices)]
            assert not slices or own in places[1:]
            for uid, frame, (x1, y1, x2, y2) in places:
                header = case.images[uid or ""].header
                assert header.study_instance_uid == case.study.study_instance_uid
                assert 1 <= frame <= header.frames
                assert 0 <= x1 < x2 <= header.columns
                assert 0 <= y1 < y2 <= header.rows


def test_an_extent_holds_the_corners_of_its_slices(cases: list[Case]) -> None:
    extents = [(case, f.extent) for case in cases for f in _findings(case) if f.extent]
    assert len(extents) > 20
    for case, extent in extents:
        corners = []
        for one in extent.slices:
            x1, y1, x2, y2 = one.box_xyxy_px
            plane = case.images[one.sop_instance_uid].frame_geometry(one.frame)
            assert plane is not None
            corners += [plane.to_lps(x, y) for x in (x1, x2) for y in (y1, y2)]
        expected = [*np.min(corners, axis=0), *np.max(corners, axis=0)]
        assert extent.box_lps_mm == pytest.approx(expected)


def test_everything_the_issue_names_occurs(cases: list[Case]) -> None:
    counts = [len(_findings(case)) for case in cases]
    assert (counts[0], counts[1], max(counts)) == (0, MAX_BOXES, MAX_BOXES)
    answers = [answer for case in cases for answer in case.study.answers]
    assert {answer.verdict for answer in answers} == set(Verdict)
    assert {answer.language for answer in answers} == {"en", "zh"}
    assert {answer.understood.rank for answer in answers} == {1, 2, 9}
    assert {bool(answer.understood.attributes) for answer in answers} == {True, False}
    assert {len(finding.also) for case in cases for finding in _findings(case)} == {0, 1, 2}
    assert any("\u4e00" <= letter <= "\u9fff" for answer in answers for letter in answer.query)
    assert all((answer.presence is None) == (answer.verdict == Verdict.UNSUPPORTED) for answer in answers)
    statements = [s for case in cases for finding in _findings(case) for s in finding.description.statements]
    assert {statement.kind for statement in statements} == set(StatementKind)
    assert {statement.origin for statement in statements} == set(Origin)
    assert any("\n" in s.text for s in statements)
    assert max(len(s.text) for s in statements) > 1024
    headers = [image.header for case in cases for image in case.images.values()]
    assert {header.modality for header in headers} == {"CR", "DX", "MG", "CT", "MR", "XA", "US"}
    assert {header.frames > 1 for header in headers} == {True, False}
    assert {header.spacing_mm is None for header in headers} == {True, False}
    oblique = [h for h in headers if h.image_orientation and max(map(abs, h.image_orientation[:3])) < 0.99]
    assert len(oblique) > 20
    lengths = [np.linalg.norm(np.reshape(h.image_orientation, (2, 3)), axis=1) for h in headers if h.image_orientation]
    assert np.allclose(lengths, 1, atol=1e-6)
