from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medground.data.columnar import DataSet, write_data_set
from medground.data.repeat_factor import concepts_by_image, rare_concepts, repeat_factors
from medground.data.vocabulary import load_vocabulary
from medground.schema.errors import UsageError
from tests.data.made_records import disc_record


def test_factors_are_those_of_the_formula() -> None:
    # 100 images: a on 64, b on 4, c on 1 (with a); threshold 0.16.
    concepts = [{"a"}] * 63 + [{"a", "c"}] + [{"b"}] * 4 + [set()] * 32
    found = repeat_factors(concepts, 0.16)
    assert found[:63].tolist() == [1] * 63
    assert found[63] == pytest.approx(4)  # sqrt(0.16 / 0.01)
    assert found[64:68] == pytest.approx([2] * 4)  # sqrt(0.16 / 0.04)
    assert found[68:].tolist() == [1] * 32


def test_factors_equal_a_slow_count() -> None:
    rng = np.random.default_rng(0)
    concepts = [{name for name in "abcdef" if rng.random() < 0.3 ** (ord(name) - 96)} for _ in range(300)]
    slow = []
    for own in concepts:
        factor = 1.0
        for name in own:
            share = sum(name in other for other in concepts) / 300
            factor = max(factor, np.sqrt(0.05 / share))
        slow.append(factor)
    np.testing.assert_allclose(repeat_factors(concepts, 0.05), slow)
    assert max(slow) > 2


def test_a_threshold_outside_the_unit_interval_is_refused() -> None:
    for threshold in (0, -1, 1.5):
        with pytest.raises(UsageError, match=f"got {threshold}"):
            repeat_factors([{"a"}], threshold)
    assert repeat_factors([], 0.1).size == 0


def test_rare_concepts_are_on_fewer_images_than_the_share() -> None:
    assert rare_concepts([{"a", "b"}, {"a"}, {"a"}, set()], 0.5) == {"b"}
    assert rare_concepts([{"a", "b"}, {"a"}, {"a"}, set()], 0.25) == set()


def test_a_data_set_on_disk_gives_the_same_as_its_records(tmp_path: Path) -> None:
    discs = [[], [("nodule", 60, 90, 8), ("nodule", 140, 90, 8)], [("mass", 60, 90, 12), ("nodule", 140, 90, 8)], []]
    records = [disc_record(tmp_path, f"r{number}", own) for number, own in enumerate(discs)]
    write_data_set(tmp_path / "set", records, name="made", vocabulary=load_vocabulary(), copy=False)
    expected = [frozenset(), {"nodule"}, {"mass", "nodule"}, frozenset()]
    assert concepts_by_image(records) == expected
    assert concepts_by_image(DataSet(tmp_path / "set")) == expected
