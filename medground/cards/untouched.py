"""Which measured parts nobody trained, tuned or chose by: what a model may be judged on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from medground.cards.evidence import Evidence
from medground.evaluation.scene import PHANTOM, Scene

HELD_OUT_SEEDS = range(5_000_000, 6_000_000)
"""Phantoms of these seeds are measured on, and nothing is trained, tuned or chosen by them; of later ones some is."""
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
        used = [seed for seed in seeds if not seed.isdigit() or int(seed) not in HELD_OUT_SEEDS]
        held = f"from {HELD_OUT_SEEDS.start:,} to {HELD_OUT_SEEDS[-1]:,}"
        return f"has {len(used)} phantoms of other seeds than {held}, which alone are held out" if used else ""
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
    """The untouched scenes of a card that show what its own model does by itself, by part.

    Args:
        evidence: of the card.
    """
    return {part: scene for part, scene in evidence.scenes.items() if not why_not_counted(scene, evidence)}


def why_not_counted(scene: Scene, evidence: Evidence) -> str:
    """Why nothing is decided by a scene: it is touched, of another model, or looked at otherwise; empty if it counts.

    Args:
        scene: of the card.
        evidence: of the card.
    """
    own = evidence.manifest_sha256[:12]
    if why := why_touched(scene, evidence.summary):
        return why
    if own not in scene.system:
        return f"was measured with {scene.system}, not with {own}"
    return f"was measured with --look {scene.look}, not as the model looks by itself" if scene.look else ""


def why_leaks_unknown(evidence: Evidence) -> str:
    """Why it is not shown that no image of the real data sets stands in two parts; empty if it is.

    Args:
        evidence: of a card.
    """
    unchecked = [card.key for card in evidence.data_cards if not card.synthetic and card.leak_check is None]
    real = [part for part, scene in untouched_of(evidence).items() if not scene.is_synthetic]
    return f"no leak check of {', '.join(unchecked)} is on the card" if unchecked and real else ""
