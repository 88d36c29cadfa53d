"""Which measured parts nobody trained, tuned or chose by: what a model may be judged on."""

from __future__ import annotations

import re
from collections.abc import Mapping

from medground.cards.evidence import Evidence
from medground.evaluation.scene import PHANTOM, Scene

HELD_OUT_SEEDS = 5_000_000
"""Phantoms of this seed and above are measured on, and neither trained nor tuned by."""
_PART = re.compile(r", (?:valid|test) part(?:,|$)")


def why_touched(scene: Scene) -> str:
    """Why a scene is no untouched one; empty if it is.

    Args:
        scene: real images of a part are known by its name, phantoms by their seeds.
    """
    if not scene.images:
        return "has no image"
    if scene.is_synthetic:
        seeds = [image.image_id.removeprefix(PHANTOM) for image in scene.images]
        used = [seed for seed in seeds if not seed.isdigit() or int(seed) < HELD_OUT_SEEDS]
        return f"has {len(used)} phantoms of seeds below {HELD_OUT_SEEDS:,}, which training uses" if used else ""
    return "" if _PART.search(scene.data) else "is neither a valid nor a test part"


def untouched_of(evidence: Evidence) -> Mapping[str, Scene]:
    """The untouched scenes of a card that were measured with its own model, by part.

    Args:
        evidence: of the card.
    """
    own = evidence.manifest_sha256[:12]
    return {part: scene for part, scene in evidence.scenes.items() if own in scene.system and not why_touched(scene)}
