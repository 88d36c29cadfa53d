"""The groups that an image belongs to, in coarse words, from what its source says of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from medground.schema.record import ImageRecord
from medground.schema.subgroup import Axis

AGE_BANDS = ((0, "under 18"), (18, "18 to 39"), (40, "40 to 59"), (60, "60 to 79"), (80, "80 and older"))
"""Least age in years, and the name of the band."""
OLDEST = 120  # NIH's table has ages above 400, which are slips
ONE_SITE = {"nih": "NIH Clinical Center", "nih-chestxdet": "NIH Clinical Center"}
"""Data sets that come from one hospital."""

_VIEWS = {"pa": "PA", "ap": "AP", "ll": "lateral", "rl": "lateral", "lateral": "lateral", "frontal": "frontal"}
_SEXES = {"f": "female", "female": "female", "m": "male", "male": "male"}
_BODY_PARTS = ("hand", "leg", "hip", "shoulder")
_PARTS = frozenset(
    {
        *("abdomen", "ankle", "arm", "breast", "chest", "clavicle", "cspine", "ear", "elbow", "extremity", "eye"),
        *("finger", "foot", "forearm", "hand", "head", "heart", "hip", "humerus", "jaw", "kidney", "knee", "leg"),
        *("lspine", "neck", "pelvis", "rib", "sacrum", "scapula", "shoulder", "skull", "spine", "sternum", "thigh"),
        *("thorax", "toe", "tspine", "wrist"),
    }
)
"""Terms of Body Part Examined, DICOM PS3.16 Annex L, that a whole image may be of."""
_MAKERS = MappingProxyType(
    {
        **{
            name.lower(): name
            for name in ("Agfa", "Barco", "Canon", "Carestream", "DRGEM", "Fujifilm", "GE", "Hitachi")
        },
        **{name.lower(): name for name in ("Hologic", "Kodak", "Konica", "Mindray", "Neusoft", "Philips", "Samsung")},
        **{name.lower(): name for name in ("Shimadzu", "Siemens", "Swissray", "Toshiba", "Vatech", "Vieworks")},
        **{"fuji": "Fujifilm", "medground": "medground", "uih": "United Imaging"},
    }
)
"""Makers of the machines that take images, by the word that names them in a header."""
_LIMB_VIEWS = ("frontal", "lateral", "oblique")
_AGE = re.compile(r"0*(\d{1,3})\s*([YMWD]?)")


def groups_of(record: ImageRecord) -> dict[Axis, str]:
    """The groups of an image; an axis that its source says nothing of is left out.

    Read are the columns of NIH ChestX-ray14, DeepLesion and FracAtlas, the header fields that DICOM imports keep, and
    what a phantom was drawn with. Ages become bands, and nothing finer is kept. Body parts and makers are those of a
    list: a header can hold any words, a name among them.
    """
    said = {name.lower().replace("_", " "): value.strip() for name, value in record.attributes.items()}
    found = {
        Axis.SITE: ONE_SITE.get(record.dataset),
        Axis.BODY_PART: _flags(said, _BODY_PARTS) or _known_part(said),
        Axis.VIEW: _flags(said, _LIMB_VIEWS) or _word(said, ("view position", "viewposition", "view"), _VIEWS),
        Axis.SEX: _word(said, ("patient gender", "patient sex", "patientsex", "sex"), _SEXES),
        Axis.AGE_BAND: _band(next((said[k] for k in ("patient age", "patientage", "age") if k in said), "")),
        Axis.DEVICE: _maker(said.get("manufacturer", "")),
        Axis.IN_PICTURE: _in_picture(said),
    }
    return {axis: word for axis, word in found.items() if word}


def _flags(said: Mapping[str, str], names: tuple[str, ...]) -> str:
    """The columns that are 1, joined; nothing where there are no such columns."""
    return " and ".join(name for name in names if said.get(name) == "1")


def _word(said: Mapping[str, str], columns: tuple[str, ...], words: Mapping[str, str]) -> str | None:
    return next((words.get(said[column].lower()) for column in columns if column in said), None)


def _known_part(said: Mapping[str, str]) -> str | None:
    word = said.get("bodypartexamined", "").lower()
    return word if word in _PARTS else None


def _maker(said: str) -> str | None:
    return next((_MAKERS[word] for word in re.split(r"[^a-z]+", said.lower()) if word in _MAKERS), None)


def _in_picture(said: Mapping[str, str]) -> str | None:
    if "hardware" in said:
        return "metal" if said["hardware"] == "1" else "no metal"
    if "devices" in said:
        return "tubes or devices" if said["devices"] not in ("", "none") else "no tubes or devices"
    return None


def _band(age: str) -> str | None:
    """The band of an age in years, or in DICOM's form (`058Y`, `006M`)."""
    match = _AGE.fullmatch(age.upper())
    if match is None:
        return None
    years = int(match[1]) if match[2] in ("", "Y") else 0
    return next((name for least, name in reversed(AGE_BANDS) if least <= years <= OLDEST), None)
