"""Labelled regions as cases: what is known of them, and nothing that names anybody."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medground.data.vocabulary import load_vocabulary
from medground.imaging.thumbnail import thumbnail
from medground.inference.learnt_cases import cases_of
from medground.model.cases import Picture
from medground.schema.anatomy import Domain, Side, Zone
from medground.schema.box import Box
from medground.schema.record import ImageRecord, Region

CANARY = "CANARYID-QUAILWREN"
RECORD = ImageRecord(
    record_id=f"{CANARY}-1",
    patient_id=f"{CANARY}-2",
    path=Path(f"/{CANARY}/3.png"),
    columns=200,
    rows=100,
    domain=Domain.CHEST_RADIOGRAPH,
    dataset=f"{CANARY} 4",
    regions=(
        Region(
            concept="cavity",
            box=Box(x1=10, y1=20, x2=50, y2=40),
            source=f"{CANARY} 5",
            zone=Zone.UPPER,
            appearance=("round", f"{CANARY} 6", "cavitated"),
            phrase=f"{CANARY} 7",
            lesion_id=f"{CANARY} 8",
        ),
        Region(concept="nodule", box=Box(x1=150, y1=20, x2=160, y2=60), source="x"),
    ),
    columns_toward_left=1,
    spacing_mm=(0.5, 0.25),
    attributes={"note": f"{CANARY} 9"},
    sha256="ab" * 32,
)
PIXELS = np.random.default_rng(0).random((100, 200), dtype=np.float32)
FEATURES = np.eye(4, dtype=np.float32)[:2]


def test_what_is_known_of_each() -> None:
    cases = cases_of(RECORD, [0, 1], FEATURES, load_vocabulary(), source="here", picture=Picture.KEPT, pixels=PIXELS)
    cavity, nodule = cases.known
    assert (cavity.concept, cavity.domain, cavity.source) == ("cavity", Domain.CHEST_RADIOGRAPH, "here")
    assert (cavity.side, cavity.zone, cavity.longest_mm) == (Side.RIGHT, Zone.UPPER, 10.0)  # 40 columns, 20 rows
    assert (nodule.side, nodule.zone, nodule.longest_mm) == (Side.LEFT, None, 20.0)
    assert cavity.appearance == ("round", "cavitated")
    assert not cavity.synthetic
    assert np.array_equal(cases.features_ND, FEATURES)
    picture, box = thumbnail(PIXELS, (10, 20, 50, 40))
    assert np.array_equal(cases.pictures[cavity.id], picture)
    assert cavity.box_xyxy_px == box


def test_nothing_names_anybody() -> None:
    cases = cases_of(RECORD, [0, 1], FEATURES, load_vocabulary(), source="here", picture=Picture.KEPT, pixels=PIXELS)
    for one in cases.known:
        told = one.model_dump_json()
        assert "CANARY" not in told
        assert RECORD.sha256 is not None
        assert RECORD.sha256 not in told


def test_without_leave_there_are_words_alone() -> None:
    for why in (Picture.NOT_ASKED, Picture.WITHHELD):
        cases = cases_of(RECORD, [1], FEATURES[:1], load_vocabulary(), source="here", picture=why, pixels=PIXELS)
        assert cases.pictures == {}
        assert (cases.known[0].picture, cases.known[0].box_xyxy_px) == (why, None)
    with pytest.raises(ValueError, match="there are no pixels"):
        cases_of(RECORD, [1], FEATURES[:1], load_vocabulary(), source="here", picture=Picture.KEPT)


def test_no_region_is_no_case() -> None:
    cases = cases_of(RECORD, [], FEATURES[:0], load_vocabulary(), source="here", picture=Picture.WITHHELD)
    assert cases.known == ()


@pytest.mark.parametrize(
    ("spacing_mm", "longest_mm"), [(50.0, 2000.0), (50.01, None), (0.0015, 0.1), (0.001, None), (1e300, None)]
)
def test_millimetres_that_no_body_has_are_left_out(spacing_mm: float, longest_mm: float | None) -> None:
    odd = RECORD.model_copy(update={"spacing_mm": (spacing_mm, spacing_mm)})  # the box has 40 columns
    cases = cases_of(odd, [0], FEATURES[:1], load_vocabulary(), source="here", picture=Picture.WITHHELD)
    assert cases.known[0].longest_mm == longest_mm


def test_without_spacing_there_are_no_millimetres() -> None:
    bare = RECORD.model_copy(update={"spacing_mm": None})
    cases = cases_of(bare, [0], FEATURES[:1], load_vocabulary(), source="here", picture=Picture.WITHHELD)
    assert cases.known[0].longest_mm is None
