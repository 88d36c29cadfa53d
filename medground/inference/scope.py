"""Whether an image lies within what the bundle was trained for; what lies outside is unsupported, never not found.

Four gates, cheapest first: what the header says, how large and how colourful the image is, and what the model takes it
for. The header can only narrow: a hand film labelled CHEST still has to look like a chest to the model.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from medground.model.reading import ImageReading
from medground.model.scope import Scope
from medground.schema.anatomy import Domain

RADIOGRAPHS = frozenset({Domain.CHEST_RADIOGRAPH, Domain.LIMB_RADIOGRAPH})
ANY_DOMAIN = frozenset({*RADIOGRAPHS, Domain.CHEST_CT})

# DICOM PS3.3 C.7.3.1.1.1, Defined Terms of Modality. OT (other) says nothing, like an absent value.
_PROJECTION = frozenset({"CR", "DX", "RG"})
_SILENT = frozenset({"", "OT"})
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"  # and its multi-frame variants: PS3.4 table B.5-1

# DICOM PS3.16 Annex L, "Correspondence of Anatomic Region Codes and Body Part Examined Defined Terms".
_CHEST_PARTS = frozenset({"LUNG", "LUNGS", "RIB", "RIBS", "HEART"})
_LIMB_PARTS = frozenset(
    [
        "HAND",
        "WRIST",
        "FINGER",
        "THUMB",
        "FOREARM",
        "ELBOW",
        "ARM",
        "UPPERARM",
        "HUMERUS",
        "RADIUS",
        "ULNA",
        "RADIUSULNA",
        "SHOULDER",
        "CLAVICLE",
        "SCAPULA",
        "ACJOINT",
        "FOOT",
        "TOE",
        "ANKLE",
        "CALCANEUS",
        "HEEL",
        "LEG",
        "LOWERLEG",
        "UPPERLEG",
        "THIGH",
        "FEMUR",
        "KNEE",
        "PATELLA",
        "TIBIA",
        "FIBULA",
        "TIBIAFIBULA",
        "HIP",
        "EXTREMITY",
        "LOWEREXTREMITY",
        "UPPEREXTREMITY",
        "LIMB",
        "LOWERLIMB",
        "UPPERLIMB",
    ]
)
_SIDE_WORDS = frozenset({"LEFT", "RIGHT", "LT", "RT", "L", "R"})
_SILENT_PARTS = frozenset({"UNKNOWN", "OTHER", "NONE", "UNSPECIFIED", "PORTABLE"})


@dataclass(frozen=True, slots=True)
class HeaderGate:
    """What the header leaves possible.

    Attributes:
        domains: kinds of image it can be; empty where the header puts it out of scope.
        reason: why it is out of scope, one sentence; empty otherwise.
    """

    domains: frozenset[Domain]
    reason: str = ""


def gate_header(modality: str | None, body_part: str | None, sop_class_uid: str | None = None) -> HeaderGate:
    """Narrow down what an image can be from its header.

    Args:
        modality: Modality (0008,0060), or None.
        body_part: Body Part Examined (0018,0015), or None.
        sop_class_uid: SOP Class UID, or None.

    Returns:
        The kinds it can be; all of them where the header is silent.
    """
    kind = (modality or "").strip().upper()
    captured = (sop_class_uid or "").startswith(_SECONDARY_CAPTURE)
    if kind in _SILENT:
        domains = RADIOGRAPHS if captured else ANY_DOMAIN
    elif kind in _PROJECTION:
        domains = RADIOGRAPHS
    elif kind == "CT" and not captured:
        domains = frozenset({Domain.CHEST_CT})
    elif kind == "CT":
        return HeaderGate(frozenset(), "a screen capture of a CT holds no Hounsfield units to read")
    else:
        return HeaderGate(frozenset(), f"modality {_quoted(kind)} is outside what this model was trained for")
    part = (body_part or "").upper()
    domains &= _domains_of_part(part)
    if not domains:
        return HeaderGate(domains, f"body part {_quoted(part)} is outside what this model was trained for")
    return HeaderGate(domains)


def gate_pixels(columns: int, rows: int, colourfulness: float, scope: Scope) -> str:
    """Refuse what cannot be a radiograph or CT slice by its size or colour.

    Args:
        columns: of the stored image, pixels.
        rows: of the stored image, pixels.
        colourfulness: mean spread between colour channels, 0 (grey) to 1.
        scope: the bundle's limits.

    Returns:
        Why it is out of scope, one sentence; empty where it passes.
    """
    if min(columns, rows) < scope.min_side_px:
        return f"the image of {columns} x {rows} pixels is smaller than the {scope.min_side_px} pixels needed"
    if colourfulness > scope.max_colourfulness:
        return "the picture is coloured, and the model was trained on grey radiographs and CT slices"
    return ""


def gate_reading(reading: ImageReading, possible: frozenset[Domain], scope: Scope) -> str:
    """Refuse what the model does not take for one of the kinds the header allows, or finds unlike its training.

    Args:
        reading: what the model made of the image.
        possible: what the header allows.
        scope: the bundle's limits.

    Returns:
        Why it is out of scope, one sentence; empty where it passes.
    """
    if reading.domain == Domain.OTHER:
        return "the image does not look like a radiograph or CT slice that this model was trained for"
    if reading.domain_probability < scope.min_domain_probability:
        return "the model is not sure what kind of image this is"
    if reading.domain not in possible:
        return f"the image looks like a {reading.domain.value}, which its header excludes"
    if reading.familiarity < scope.min_familiarity:
        return f"the image is unlike every {reading.domain.value} this model was trained on"
    return ""


def _domains_of_part(part: str) -> frozenset[Domain]:
    """Kinds of image that show that part; "LEFT HAND" and "HAND, LEFT" name a hand as "HAND" does."""
    words = frozenset(re.findall(r"[A-Z]+", part)) - _SIDE_WORDS
    joined = "".join(re.findall(r"[A-Z]+", part))
    if not words or words <= _SILENT_PARTS:
        return ANY_DOMAIN
    if "CHEST" in joined or "THORA" in joined or words & _CHEST_PARTS:
        return frozenset({Domain.CHEST_RADIOGRAPH, Domain.CHEST_CT})
    if joined in _LIMB_PARTS or words & _LIMB_PARTS:
        return frozenset({Domain.LIMB_RADIOGRAPH})
    return frozenset({Domain.CHEST_CT}) if joined == "WHOLEBODY" else frozenset()


def _quoted(value: str) -> str:
    """A header value fit for a message: letters only, and short, since the field is free text in some systems."""
    return "".join(letter for letter in value if letter.isalpha())[:16] or "of that header"
