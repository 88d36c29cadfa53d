"""Which images of the real data sets a model never saw, by what its bundle says of its training."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from medground.cards.untouched import why_other_parts
from medground.schema.errors import UsageError
from medground.schema.result import ModelInfo
from medground.training.origin import Start
from pipelines.fit import CHEST_NAME, LIMB_NAME
from pipelines.sources import CHEST, LIMB

TITLES: Mapping[str, str] = MappingProxyType({CHEST: CHEST_NAME, LIMB: LIMB_NAME})
FOLD_OF: Mapping[str, str] = MappingProxyType({CHEST: "fold", LIMB: "large_fold"})
"""What is held out of the sets that are cut in more than one way, as summaries name it."""


def told_by(info: ModelInfo, summary: Mapping[str, Any]) -> Start:
    """What a bundle says of what it learned from.

    Args:
        info: of the bundle.
        summary: of its training.

    Raises:
        UsageError: if it does not say what was held out in a way that can be read.
    """
    held_out = summary.get("held_out") or {}
    if not isinstance(held_out, Mapping):
        raise UsageError(f"{info.name} {info.version} {why_other_parts(summary)}; take a bundle whose training does")
    return Start(
        bundle=f"{info.name} {info.version} ({info.sha256[:12]})",
        sha256=info.sha256,
        trained_on=info.trained_on,
        fold=held_out.get("fold"),
        large_fold=held_out.get("large_fold"),
        tells_all=not summary.get("started_from") or summary.get("learned_before") is not None,
    )


def why_seen(told: Start, name: str, fold: int | None) -> str:
    """Why a model may have learned from what a split of a real data set holds out; empty if it did not.

    Args:
        told: by its bundle.
        name: of the data set.
        fold: of chest films, or of large limb films; None for the published parts.
    """
    if name not in FOLD_OF:
        return ""  # one split for all
    key, title = FOLD_OF[name], TITLES[name]
    if title not in told.trained_on:
        unknown = fold is not None and not told.tells_all
        return "is of a model that was started from another and does not say what that learned from" if unknown else ""
    held = getattr(told, key)
    if held == fold:
        return ""
    if fold is None:
        return why_other_parts({"held_out": {key: held}})
    words = key.replace("_", " ")
    how = "on the published parts" if held is None else f"with {words} {held} held out"
    return f"is of a model that was trained {how} of {title}, so on films of {words} {fold}"
