"""The findings of the phantom film by name: which there are, how many a patient can have, and who draws each."""

from __future__ import annotations

from typing import Final

import numpy as np

from medground.data.phantom import chronic, lesions, opacities, rare
from medground.data.phantom.appearance import Appearance
from medground.data.phantom.chest import Chest, Lesion
from medground.schema.errors import UsageError

Rng = np.random.Generator

# Odds of each finding on a film that has some, where nobody says what it is to show.
DRAWN_BY_DEFAULT: Final[dict[str, float]] = {
    "nodule": 1.4,
    "mass": 1.1,
    "cavity": 0.6,
    "pleural_effusion": 1.3,
    "pneumothorax": 1.1,
    "consolidation": 1.3,
    "atelectasis": 1.0,
    "cardiomegaly": 1.0,
    "calcification": 0.8,
    "fracture": 0.8,
    "diffuse_nodules": 0.5,
    "emphysema": 0.6,
}
RARE_FINDINGS: Final = ("cavitary_tuberculosis", "miliary_pattern", "pneumoperitoneum", "rib_metastasis")
# A finding's place in this list numbers its stream: add new ones at the end.
DRAWABLE: Final = (*DRAWN_BY_DEFAULT, "fibrosis", "pleural_thickening", *RARE_FINDINGS)
_AT_MOST: Final = {
    "cardiomegaly": 1,
    "pleural_effusion": 2,
    "pneumothorax": 2,
    "diffuse_nodules": 2,
    "emphysema": 2,
    "pleural_thickening": 6,
    "cavitary_tuberculosis": 2,
    "miliary_pattern": 1,
    "pneumoperitoneum": 2,
}
_MOST: Final = 30
# Odds of the left side for the first of a kind; the second is on the other side.
ODDS_OF_LEFT: Final = {
    "pleural_effusion": 0.5,
    "pneumothorax": 0.5,
    "diffuse_nodules": 0.5,
    "emphysema": 0.5,
    "pneumoperitoneum": 0.2,
}


def at_most(finding: str) -> int:
    """How many of that finding one patient can have."""
    return _AT_MOST.get(finding, _MOST)


def check_findings(names: list[str]) -> None:
    """Refuse what the film cannot show.

    Args:
        names: vocabulary keys, repeated for several lesions.

    Raises:
        UsageError: on an unknown finding, or more of one kind than a patient can have.
    """
    for name in names:
        if name not in DRAWABLE:
            raise UsageError(f"the phantom film has no finding {name!r}; it has {', '.join(DRAWABLE)}")
        if names.count(name) > at_most(name):
            raise UsageError(f"{names.count(name)} x {name} asked for: a patient can have at most {at_most(name)}")


def draw_default_findings(rng: Rng) -> list[str]:
    """Nothing on 15% of films, else one to four kinds of finding; whole-lung disease is mostly on both sides."""
    if rng.random() < 0.15:
        return []
    odds = np.fromiter(DRAWN_BY_DEFAULT.values(), float)
    kinds = int(rng.choice([1, 2, 3, 4], p=[0.4, 0.32, 0.18, 0.1]))
    chosen = [DRAWABLE[i] for i in rng.choice(len(odds), size=kinds, replace=False, p=odds / odds.sum())]
    for name, share in (("emphysema", 0.85), ("diffuse_nodules", 0.75), ("nodule", 0.3), ("fracture", 0.3)):
        if name in chosen and rng.random() < share:
            chosen.append(name)
    return chosen


def draw_finding(name: str, chest: Chest, look: Appearance, side: int, taken: list[Lesion], rng: Rng) -> list[Lesion]:
    """Draw one finding.

    Args:
        name: one of `DRAWABLE`.
        chest: the patient, with the heart or lungs that their findings change.
        look: the words that drive the drawing.
        side: -1 right, +1 left, for the findings of `ODDS_OF_LEFT`; the others choose their own.
        taken: lesions so far.
        rng: the lesion's stream.

    Returns:
        One lesion, or several where the finding is made of others that are true of the film as well.
    """
    match name:
        case "pleural_effusion":
            return [opacities.pleural_effusion(chest, look, side, rng)]
        case "pneumothorax":
            return [opacities.pneumothorax(chest, look, side, rng)]
        case "diffuse_nodules":
            return [opacities.diffuse_nodules(chest, look, side, rng)]
        case "emphysema":
            return [opacities.emphysema(chest, look, side, rng)]
        case "cardiomegaly":
            return [opacities.cardiomegaly(chest, look)]
        case "consolidation":
            return [opacities.consolidation(chest, look, taken, rng)]
        case "atelectasis" if look.shape == "band-like":
            return [lesions.plate_atelectasis(chest, look, rng)]
        case "atelectasis":
            return [opacities.wedge_atelectasis(chest, look, rng)]
        case "fracture":
            return [lesions.fracture(chest, look, taken, rng)]
        case "fibrosis":
            return [chronic.fibrosis(chest, look, taken, rng)]
        case "pleural_thickening":
            return [chronic.pleural_thickening(chest, look, taken, rng)]
        case "cavitary_tuberculosis":
            return rare.cavitary_tuberculosis(chest, look, taken, rng)
        case "miliary_pattern":
            return [rare.miliary_pattern(chest, look, rng)]
        case "pneumoperitoneum":
            return [rare.pneumoperitoneum(chest, look, side, rng)]
        case "rib_metastasis":
            return [rare.rib_metastasis(chest, look, taken, rng)]
        case _:
            return [lesions.round_lesion(name, chest, look, taken, rng)]
