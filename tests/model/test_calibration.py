from __future__ import annotations

import pytest
from pydantic import ValidationError

from medground.model.calibration import IDENTITY, Calibration, Curve
from medground.schema.anatomy import Domain


def curve(offset: float) -> Curve:
    return Curve(weights=(1.0,), offset=offset, positives=20, negatives=20)


def test_the_most_specific_curve_is_used():
    domain = Domain.CHEST_RADIOGRAPH
    curves = {"": curve(0.0), domain.value: curve(1.0), f"{domain.value}/nodule": curve(2.0)}
    calibration = Calibration(box=curves, presence=IDENTITY.presence)
    sigmoid = {0.0: 0.5, 1.0: 0.7310586, 2.0: 0.8807971}
    assert calibration.box_probability(0.0, "nodule", domain) == pytest.approx(sigmoid[2.0])
    assert calibration.box_probability(0.0, "mass", domain) == pytest.approx(sigmoid[1.0])
    assert calibration.box_probability(0.0, "nodule", Domain.CHEST_CT) == pytest.approx(sigmoid[0.0])


def test_extremes_stay_finite_and_wrong_lengths_are_refused():
    assert 0 <= curve(0.0).probability((1e9,)) <= 1
    assert 0 <= curve(0.0).probability((-1e9,)) <= 1
    with pytest.raises(ValueError, match="argument"):
        curve(0.0).probability((1.0, 2.0))


def test_unknown_keys_are_refused():
    with pytest.raises(ValidationError):
        Calibration.model_validate({"box": {}, "presence": {}, "bocks": {}})
