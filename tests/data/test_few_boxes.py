from __future__ import annotations

from pathlib import Path

import pytest

from medground.data.few_boxes import with_few_boxes
from medground.schema.errors import UsageError
from medground.schema.record import ImageRecord
from tests.data.made_records import disc_record

ONE, TWO, OTHER = ("nodule", 60.0, 90.0, 12.0), ("nodule", 130.0, 90.0, 12.0), ("mass", 90.0, 150.0, 14.0)


@pytest.fixture
def records(tmp_path: Path) -> list[ImageRecord]:
    """Two films with one nodule, two with two and a mass, one with a mass alone, one with nothing."""
    discs = ([ONE], [ONE], [ONE, TWO, OTHER], [ONE, TWO, OTHER], [OTHER], [])
    return [disc_record(tmp_path, f"r{number}", own) for number, own in enumerate(discs)]


def nodules(record: ImageRecord) -> list[object]:
    return [region for region in record.regions if region.concept == "nodule"]


def test_each_box_that_is_kept_is_of_another_image(records):
    for seed in range(20):
        found = with_few_boxes(records, {"nodule": 3}, seed=seed)
        assert sorted(len(nodules(record)) for record in found) == [0, 0, 0, 1, 1, 1]
        for before, after in zip(records, found, strict=True):
            assert set(nodules(after)) <= set(nodules(before))
            # Only what lost a box is no longer known to have no other; what never had one stays known to be free.
            whole = nodules(after) == nodules(before)
            assert ("nodule" in after.exhaustive_for) == whole
            assert before.exhaustive_for - after.exhaustive_for == (set() if whole else {"nodule"})
            assert [r for r in after.regions if r not in nodules(after)] == [
                r for r in before.regions if r not in nodules(before)
            ]


def test_the_seed_draws_the_images_and_the_boxes(records):
    drawn, again = ([with_few_boxes(records, {"nodule": 1}, seed=seed) for seed in range(40)] for _ in range(2))
    assert drawn == again
    boxes = {(row, box) for found in drawn for row, record in enumerate(found) for box in nodules(record)}
    assert boxes == {(row, box) for row, record in enumerate(records) for box in nodules(record)}


def test_several_findings_are_cut_and_none_changes_nothing(records):
    found = with_few_boxes(records, {"nodule": 0, "mass": 1}, seed=1)
    assert [len(nodules(record)) for record in found] == [0] * 6
    assert sum(region.concept == "mass" for record in found for region in record.regions) == 1
    assert with_few_boxes(records, {}, seed=1) == tuple(records)


def test_more_images_than_there_are_cannot_keep_one(records):
    with pytest.raises(UsageError, match="4 images show 'nodule'"):
        with_few_boxes(records, {"nodule": 5}, seed=1)
