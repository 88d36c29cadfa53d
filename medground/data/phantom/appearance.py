"""The closed list of appearance words, and one lesion's choice among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

SHAPES: Final = ("round", "oval", "irregular", "band-like", "wedge-shaped", "crescent-shaped", "diffuse")
MARGINS: Final = ("well-defined", "ill-defined")
DENSITIES: Final = ("lucent", "faint", "moderate", "dense")
TEXTURES: Final = ("homogeneous", "heterogeneous", "cavitated", "calcified")
APPEARANCE_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "shape": SHAPES,
    "margin": MARGINS,
    "density": DENSITIES,
    "texture": TEXTURES,
}


@dataclass(frozen=True, slots=True)
class Appearance:
    """What a lesion looks like; the words drive the rendering, so they are true of the picture."""

    shape: str
    margin: str
    density: str
    texture: str

    @property
    def words(self) -> tuple[str, ...]:
        """The words in the order they are said: shape, margin, density, texture."""
        return (self.shape, self.margin, self.density, self.texture)


# Words with their odds, per finding. A finding absent from an aspect's odds has one fixed look.
_ODDS: Final[dict[str, tuple[dict[str, float], dict[str, float], dict[str, float], dict[str, float]]]] = {
    "nodule": (
        {"round": 0.5, "oval": 0.3, "irregular": 0.2},
        {"well-defined": 0.6, "ill-defined": 0.4},
        {"faint": 0.35, "moderate": 0.4, "dense": 0.25},
        {"homogeneous": 0.8, "heterogeneous": 0.2},
    ),
    "mass": (
        {"round": 0.3, "oval": 0.35, "irregular": 0.35},
        {"well-defined": 0.55, "ill-defined": 0.45},
        {"faint": 0.25, "moderate": 0.4, "dense": 0.35},
        {"homogeneous": 0.6, "heterogeneous": 0.4},
    ),
    "cavity": (
        {"round": 0.45, "oval": 0.4, "irregular": 0.15},
        {"well-defined": 0.7, "ill-defined": 0.3},
        {"faint": 0.3, "moderate": 0.4, "dense": 0.3},
        {"cavitated": 1},
    ),
    "calcification": (
        {"round": 0.5, "oval": 0.25, "irregular": 0.25},
        {"well-defined": 1},
        {"dense": 1},
        {"calcified": 1},
    ),
    "consolidation": (
        {"irregular": 0.7, "wedge-shaped": 0.3},
        {"ill-defined": 1},
        {"faint": 0.35, "moderate": 0.4, "dense": 0.25},
        {"heterogeneous": 0.6, "homogeneous": 0.4},
    ),
    "atelectasis": (
        {"band-like": 0.7, "wedge-shaped": 0.3},
        {"well-defined": 0.5, "ill-defined": 0.5},
        {"faint": 0.4, "moderate": 0.4, "dense": 0.2},
        {"homogeneous": 1},
    ),
    "pleural_effusion": (
        {"crescent-shaped": 1},
        {"well-defined": 0.4, "ill-defined": 0.6},
        {"moderate": 0.45, "dense": 0.55},
        {"homogeneous": 1},
    ),
    "pneumothorax": ({"crescent-shaped": 1}, {"well-defined": 1}, {"lucent": 1}, {"homogeneous": 1}),
    "cardiomegaly": ({"oval": 1}, {"well-defined": 1}, {"dense": 1}, {"homogeneous": 1}),
    "fracture": (
        {"band-like": 1},
        {"well-defined": 0.6, "ill-defined": 0.4},
        {"moderate": 0.6, "dense": 0.4},
        {"heterogeneous": 1},
    ),
    "diffuse_nodules": (
        {"diffuse": 1},
        {"well-defined": 0.4, "ill-defined": 0.6},
        {"faint": 0.4, "moderate": 0.4, "dense": 0.2},
        {"heterogeneous": 1},
    ),
    "emphysema": ({"diffuse": 1}, {"ill-defined": 1}, {"lucent": 1}, {"heterogeneous": 0.5, "homogeneous": 0.5}),
    "fibrosis": (
        {"band-like": 0.5, "irregular": 0.5},
        {"well-defined": 0.3, "ill-defined": 0.7},
        {"faint": 0.4, "moderate": 0.4, "dense": 0.2},
        {"heterogeneous": 1},
    ),
    "pleural_thickening": (
        {"band-like": 0.8, "crescent-shaped": 0.2},
        {"well-defined": 0.6, "ill-defined": 0.4},
        {"faint": 0.3, "moderate": 0.4, "dense": 0.3},
        {"homogeneous": 1},
    ),
    "cavitary_tuberculosis": (
        {"irregular": 1},
        {"ill-defined": 1},
        {"faint": 0.3, "moderate": 0.4, "dense": 0.3},
        {"cavitated": 1},
    ),
    "miliary_pattern": (
        {"diffuse": 1},
        {"well-defined": 0.6, "ill-defined": 0.4},
        {"faint": 0.4, "moderate": 0.4, "dense": 0.2},
        {"homogeneous": 1},
    ),
    "pneumoperitoneum": ({"crescent-shaped": 1}, {"well-defined": 1}, {"lucent": 1}, {"homogeneous": 1}),
    "rib_metastasis": (
        {"oval": 0.6, "irregular": 0.4},
        {"well-defined": 0.5, "ill-defined": 0.5},
        {"lucent": 0.5, "dense": 0.5},
        {"heterogeneous": 1},
    ),
}


def draw_appearance(concept: str, rng: np.random.Generator) -> Appearance:
    """Draw how a lesion of that kind looks.

    Args:
        concept: vocabulary key of a phantom finding.
        rng: the lesion's own stream.

    Returns:
        One word per aspect.
    """
    words = [str(rng.choice(list(odds), p=np.fromiter(odds.values(), float))) for odds in _ODDS[concept]]
    return Appearance(*words)
