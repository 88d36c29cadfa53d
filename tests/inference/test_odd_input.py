"""What nobody expects, and yet comes: each has a defined answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medground.inference.gather import gather
from medground.inference.ground import ground
from medground.inference.request import Looking, Request
from medground.schema.result import GroundingResult, Verdict
from tests.inference.blob_reader import CT, BlobReader
from tests.inference.drawn import drawn, write_ct_slice, write_dx

NODULE = (380, 100, 420, 140)


def ask(path: Path, *queries: str, reader: BlobReader | None = None, looking: Looking | None = None) -> GroundingResult:
    return ground(gather([path]), Request(queries, looking=looking), reader or BlobReader()).result


def test_an_image_of_16_pixels_shows_nothing_that_can_be_told(tmp_path: Path) -> None:
    (given,) = ask(write_dx(tmp_path / "a.dcm", drawn(rows=16, columns=16)), "nodule").studies[0].answers
    assert (given.verdict, given.findings) == (Verdict.UNSUPPORTED, ())
    assert "16 x 16" in given.warnings[0]


@pytest.mark.parametrize("looking", [Looking.ONCE, Looking.CLOSER])
def test_an_image_of_12000_pixels_is_read_like_any_other(looking: Looking, tmp_path: Path) -> None:
    film = np.full((12_000, 12_000), 0.2, dtype=np.float32)
    film[:200] = 1
    film[4_000:4_700, 9_000:9_700] = 1
    (given,) = ask(write_dx(tmp_path / "a.dcm", film), "pleural effusion", looking=looking).studies[0].answers
    (finding,) = given.findings
    assert given.verdict == Verdict.FOUND
    assert finding.box_xyxy_px == pytest.approx((9_000, 4_000, 9_700, 4_700), abs=30)


def test_a_volume_of_one_slice_is_a_finding_of_one_slice(tmp_path: Path) -> None:
    write_ct_slice(tmp_path / "a.dcm", drawn([NODULE]), z_mm=0, instance=1)
    (given,) = ask(tmp_path, "nodule", reader=BlobReader(domain=CT)).studies[0].answers
    (finding,) = given.findings
    assert given.verdict == Verdict.FOUND
    assert finding.size_mm is not None


def test_a_missing_slice_is_told_and_parts_no_lesion_that_reaches_across(tmp_path: Path) -> None:
    for number in (0, 1, 2, 4, 5, 6):
        write_ct_slice(
            tmp_path / f"{number}.dcm", drawn([NODULE] if 1 <= number <= 5 else []), z_mm=1.0 * number, instance=number
        )
    (study,) = ask(tmp_path, "nodule", reader=BlobReader(domain=CT)).studies
    assert any("missing" in warning or "gap" in warning for warning in study.warnings)
    (finding,) = study.answers[0].findings
    assert finding.extent is not None
    assert len(finding.extent.slices) == 4
    _, _, low, _, _, high = finding.extent.box_lps_mm
    assert (low, high) == pytest.approx((0.5, 5.5))


def test_a_question_that_contradicts_itself_is_open_and_shows_what_there_is(tmp_path: Path) -> None:
    film = write_dx(tmp_path / "a.dcm", drawn([NODULE, (60, 200, 90, 230)]))
    both = ask(film, "the largest and smallest nodule").studies[0].answers[0]
    assert (both.verdict, len(both.findings)) == (Verdict.UNCERTAIN, 2)


def test_two_questions_that_contradict_each_other_are_each_answered_alone(tmp_path: Path) -> None:
    film = write_dx(tmp_path / "a.dcm", drawn([NODULE]))
    left, right, nothing = ask(film, "left lung nodule", "right lung nodule", "no nodule?").studies[0].answers
    assert (left.verdict, right.verdict) == (Verdict.FOUND, Verdict.NOT_FOUND)
    assert nothing.verdict in (Verdict.FOUND, Verdict.UNCERTAIN)
    alone = ask(film, "right lung nodule").studies[0].answers[0]
    assert (alone.verdict, alone.presence) == (right.verdict, right.presence)
