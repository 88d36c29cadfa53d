"""What is known to be absent from a phantom film: whatever it could have drawn and did not, and what it never draws."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from medground.data.phantom.findings import DRAWABLE
from medground.schema.record import Region

NEVER_THERE: Final = frozenset(
    {
        "chest_tube",
        "dextrocardia",
        "orthopaedic_implant",
        "pacemaker",
        "pneumomediastinum",
        "pneumopericardium",
        "situs_inversus",
        "subcutaneous_emphysema",
    }
)
"""Findings that no film has and that nothing on a film could be taken for."""
# What a reader may fairly call a finding as well: then it is neither marked nor known to be absent.
_ALSO_CALLED: Final = {
    "diffuse_nodules": {"nodule", "miliary_pattern"},
    "miliary_pattern": {"nodule", "diffuse_nodules"},
    "fracture": {"rib_metastasis"},
}


def known_of(regions: Sequence[Region]) -> frozenset[str]:
    """The concepts whose every region on the film is marked.

    Args:
        regions: of one film.

    Returns:
        Vocabulary keys.
    """
    drawn = Counter(region.concept for region in regions)
    doubtful = {name for concept in drawn for name in _ALSO_CALLED.get(concept, ())}
    if drawn["cavity"] > drawn["cavitary_tuberculosis"]:  # whether a bare cavity is tuberculosis no film tells
        doubtful.add("cavitary_tuberculosis")
    return (frozenset(DRAWABLE) | NEVER_THERE) - doubtful
