"""Which measured parts nobody trained, tuned or chose by: what a model may be judged on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from medground.cards.evidence import Evidence
from medground.evaluation.scene import PHANTOM, Scene

HELD_OUT_SEEDS = 5_000_000
"""Phantoms of this seed and above are measured on, and neither trained nor tuned by."""
_PART, _FOLD = re.compile(r", (?:valid|test) part(?:,|$)"), re.compile(r" fold \d+,")


def why_touched(scene: Scene, summary: Mapping[str, Any]) -> str:
    """Why a scene is no untouched one; empty if it is.

    Args:
        scene: real images of a part are known by its name, phantoms by their seeds.
        summary: of the training that made the model.
    """
    if not scene.images:
        return "has no image"
    if scene.is_synthetic:
        seeds = [image.image_id.removeprefix(PHANTOM) for image in scene.images]
        used = [seed for seed in seeds if not seed.isdigit() or int(seed) < HELD_OUT_SEEDS]
        return f"has {len(used)} phantoms of seeds below {HELD_OUT_SEEDS:,}, which training uses" if used else ""
    if not _PART.search(scene.data):
        return "is neither a valid nor a test part"
    if _FOLD.search(scene.data):
        return "is a fold of films that other models are trained on"
    return why_other_parts(summary)


def why_other_parts(summary: Mapping[str, Any]) -> str:
    """Why a model was trained on other parts of the real films than the published ones; empty if it was not.

    Args:
        summary: of its training.
    """
    held_out = summary.get("held_out") or {}
    if not isinstance(held_out, Mapping):
        return "is of a model whose training does not say which films it held out"
    folds = [f"{name.replace('_', ' ')} {number}" for name, number in sorted(held_out.items()) if number is not None]
    return (
        f"is of a model that was trained with {' and '.join(folds)} held out, so on films of each part" if folds else ""
    )


def untouched_of(evidence: Evidence) -> Mapping[str, Scene]:
    """The untouched scenes of a card that were measured with its own model, by part.

    Args:
        evidence: of the card.
    """
    own, summary = evidence.manifest_sha256[:12], evidence.summary
    scenes = evidence.scenes.items()
    return {part: scene for part, scene in scenes if own in scene.system and not why_touched(scene, summary)}


def why_leaks_unknown(evidence: Evidence) -> str:
    """Why it is not shown that no image of the real data sets stands in two parts; empty if it is.

    Args:
        evidence: of a card.
    """
    unchecked = [card.key for card in evidence.data_cards if not card.synthetic and card.leak_check is None]
    real = [part for part, scene in untouched_of(evidence).items() if not scene.is_synthetic]
    return f"no leak check of {', '.join(unchecked)} is on the card" if unchecked and real else ""
