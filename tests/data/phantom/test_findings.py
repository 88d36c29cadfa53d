from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from medground.data.importers.chestx_det import THIRTEEN
from medground.data.phantom.chest_radiograph import chest_radiograph
from medground.data.phantom.findings import (
    DRAWABLE,
    DRAWN_BY_DEFAULT,
    RARE_FINDINGS,
    at_most,
    check_findings,
    draw_default_findings,
)
from medground.data.vocabulary import load_vocabulary
from medground.schema.errors import UsageError


def test_every_finding_of_chestx_det_can_be_drawn_and_is_in_the_vocabulary() -> None:
    assert set(DRAWABLE) >= THIRTEEN
    assert set(RARE_FINDINGS) <= set(DRAWABLE)
    assert len(set(DRAWABLE)) == len(DRAWABLE) == 18
    for name in DRAWABLE:
        assert load_vocabulary()[name].key == name


def test_default_films_are_normal_in_15_of_100_and_show_nothing_rare() -> None:
    films = [draw_default_findings(np.random.default_rng([seed, 0])) for seed in range(3000)]
    normal = np.mean([not film for film in films])
    assert abs(normal - 0.15) < 4 * (0.15 * 0.85 / 3000) ** 0.5
    assert {name for film in films for name in film} == set(DRAWN_BY_DEFAULT)
    for film in films:
        check_findings(film)


def test_every_finding_is_drawn_as_often_as_asked_for_at_any_size() -> None:
    for seed, name in enumerate(DRAWABLE):
        wanted = [name] * min(2, at_most(name))
        for size_px in (64, 200):
            concepts = Counter(
                region.concept for region in chest_radiograph(seed, size_px=size_px, findings=wanted).regions
            )
            assert concepts[name] == len(wanted)
            if name == "cavitary_tuberculosis":
                assert concepts == {name: 2, "cavity": 2, "consolidation": 2}
            else:
                assert set(concepts) == {name}


def test_refuses_what_a_patient_cannot_have() -> None:
    with pytest.raises(UsageError, match="'tumour'"):
        check_findings(["nodule", "tumour"])
    with pytest.raises(UsageError, match="2 x miliary_pattern"):
        check_findings(["miliary_pattern"] * 2)
