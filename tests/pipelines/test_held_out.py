from __future__ import annotations

import pytest

from medground.schema.errors import UsageError
from medground.schema.result import ModelInfo
from pipelines.fit import CHEST_NAME
from pipelines.held_out import told_by, why_seen
from pipelines.sources import BLOOD, CHEST, LIMB

INFO = ModelInfo(name="m", version="1", sha256="ab" * 32, trained_on=("phantom", CHEST_NAME))


@pytest.mark.parametrize("fold", [None, 0, 4])
def test_a_model_never_saw_its_own_split_alone(fold: int | None) -> None:
    told = told_by(INFO, {"held_out": {"fold": fold, "large_fold": None}})
    assert why_seen(told, CHEST, fold) == ""
    others = {None, 0, 1, 4} - {fold}
    assert all("so on films of" in why_seen(told, CHEST, other) for other in others)
    assert [why_seen(told, name, other) for name in (LIMB, BLOOD) for other in (None, 1)] == [""] * 4


def test_what_a_start_of_before_learned_from_is_not_known() -> None:
    limbs = INFO.model_copy(update={"trained_on": ("phantom", "FracAtlas")})
    summary = {"started_from": "another 1 (abc)", "held_out": {"fold": None, "large_fold": None}}
    told = told_by(limbs, summary)
    assert not told.tells_all
    assert "does not say what that learned from" in why_seen(told, CHEST, 1)
    assert why_seen(told, CHEST, None) == ""
    all_told = told_by(limbs, {**summary, "learned_before": ["phantom"]})
    assert all_told.tells_all
    assert why_seen(all_told, CHEST, 1) == ""


def test_what_was_held_out_has_to_be_said_so_that_it_can_be_read() -> None:
    with pytest.raises(UsageError, match="does not say which films it held out"):
        told_by(INFO, {"held_out": "some"})
    assert told_by(INFO, {}).fold is None
