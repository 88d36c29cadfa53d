from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medground.data.pasted import pasted
from medground.data.pools import hold_records
from medground.data.vocabulary import load_vocabulary
from medground.schema.record import ImageRecord
from tests.data.made_records import disc_record


@pytest.fixture
def records(tmp_path: Path) -> list[ImageRecord]:
    """One film with a nodule, three that are known to be free of nodules."""
    return [
        disc_record(tmp_path, "r0", [("nodule", 60, 90, 12)]),
        *(disc_record(tmp_path, f"r{n}", []) for n in (1, 2, 3)),
    ]


def made(records: list[ImageRecord], folder: Path, seed: int = 0):
    notes: list[str] = []
    settings = {"size_px": 200, "copies": 3, "below": 0.5, "cache": folder, "seed": seed, "note": notes.append}
    return pasted(records, load_vocabulary(), **settings)


def test_copies_hold_lesions_where_there_were_none(records, tmp_path):
    found = made(records, tmp_path / "cache")
    assert found
    plain = {held.pixels_HW.tobytes() for held in hold_records(records, 200)}
    for held in found:
        assert set(held.concepts) == {"nodule"}
        assert held.pixels_HW.tobytes() not in plain
        x1, y1, x2, y2 = (round(float(edge)) for edge in held.boxes_G4[-1])
        inside = held.pixels_HW[(y1 + y2) // 2, (x1 + x2) // 2]
        beside = np.median(held.pixels_HW[max(0, y1 - 8) : y2 + 8, max(0, x1 - 8) : max(1, x1 - 3)])
        assert int(inside) > int(beside) + 20  # the disc is bright


def test_the_same_seed_makes_the_same_copies(records, tmp_path):
    first, again, other = (made(records, tmp_path / "cache", seed) for seed in (1, 1, 2))
    assert [held.pixels_HW.tobytes() for held in first] == [held.pixels_HW.tobytes() for held in again]
    assert [held.pixels_HW.tobytes() for held in first] != [held.pixels_HW.tobytes() for held in other]


def test_nothing_rare_makes_nothing(records, tmp_path):
    assert (
        pasted(records[1:], load_vocabulary(), size_px=200, copies=2, below=0.5, cache=tmp_path, seed=0, note=print)
        == []
    )
