"""Coded concepts of the structured report; private ones stand under 99MEDGROUND."""

from __future__ import annotations

from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from medground.schema.anatomy import Side, Zone
from medground.schema.result import SpacingSource, Verdict

PRIVATE_SCHEME = "99MEDGROUND"

ENGLISH = Code("en", "RFC5646", "English")
IMAGING_PROCEDURE = Code("363679005", "SCT", "Imaging procedure")
QUALITATIVE_EVALUATIONS = Code("C0034375", "UMLS", "Qualitative Evaluations")
SOURCE = Code("260753009", "SCT", "Source")
PIXELS = Code("{pixels}", "UCUM", "pixels")
CERTAINTY = Code("246103008", "SCT", "Certainty")
COMMENT = Code("121106", "DCM", "Comment")
WIDTH, HEIGHT, DEPTH = codes.SCT.Width, codes.DCM.Height, codes.SCT.Depth

QUESTION = Code("question", PRIVATE_SCHEME, "Question")
VERDICT = Code("verdict", PRIVATE_SCHEME, "Answer to the question")
PRESENCE = Code("presence", PRIVATE_SCHEME, "Calibrated probability of presence")
SCORE = Code("score", PRIVATE_SCHEME, "Calibrated score")
WARNING = Code("warning", PRIVATE_SCHEME, "Warning")

VERDICTS: dict[Verdict, Code] = {  # CID 240 where it has the word
    Verdict.FOUND: Code("52101004", "SCT", "Present"),
    Verdict.NOT_FOUND: Code("272519000", "SCT", "Absent"),
    Verdict.UNCERTAIN: Code("64957009", "SCT", "Uncertain"),
    Verdict.UNSUPPORTED: Code("unsupported", PRIVATE_SCHEME, "Outside what the model was trained for"),
}
LATERALITIES: dict[Side, Code] = {  # CID 244
    Side.LEFT: Code("7771000", "SCT", "Left"),
    Side.RIGHT: Code("24028007", "SCT", "Right"),
    Side.BILATERAL: Code("51440002", "SCT", "Bilateral"),
}
LUNG_ZONES: dict[Zone, Code] = {
    Zone.UPPER: Code("281392002", "SCT", "Upper zone of lung"),
    Zone.MIDDLE: Code("281393007", "SCT", "Middle zone of lung"),
    Zone.LOWER: Code("281394001", "SCT", "Lower zone of lung"),
}
BODY_PARTS: dict[str, Code] = {  # CID 4009, by the defined terms of Body Part Examined (PS3.16 Annex L)
    "CHEST": Code("816094009", "SCT", "Chest"),
    "ABDOMEN": Code("818981001", "SCT", "Abdomen"),
    "HAND": Code("85562004", "SCT", "Hand"),
    "FOOT": Code("56459004", "SCT", "Foot"),
    "HIP": Code("29836001", "SCT", "Hip"),
    "KNEE": Code("72696002", "SCT", "Knee"),
    "SHOULDER": Code("16982005", "SCT", "Shoulder"),
    "ARM": Code("40983000", "SCT", "Upper arm"),
    "LEG": Code("30021000", "SCT", "Lower leg"),
}
ANY_BODY_PART = Code("38866009", "SCT", "Body part")

_MODALITIES: dict[str, str] = {code.value: code.meaning for code in codes.cid29.concepts.values()}
_METHODS: dict[SpacingSource, Code] = {
    SpacingSource.PATIENT_PLANE: Code("patient-plane", PRIVATE_SCHEME, "Measured with spacing of the patient plane"),
    SpacingSource.DETECTOR: Code("detector", PRIVATE_SCHEME, "Measured with spacing of the detector, magnified"),
    SpacingSource.CALIBRATION: Code("calibration", PRIVATE_SCHEME, "Measured with calibrated spacing"),
}


def modality_of(value: str) -> Code:
    """The code of a modality (CID 29), Other where it is none of them."""
    return Code(value, "DCM", _MODALITIES[value]) if value in _MODALITIES else Code("OT", "DCM", "Other")


def measurement_method(source: SpacingSource) -> Code:
    """How millimetres were come by."""
    return _METHODS[source]


def certainty_of(score: float) -> Code:
    """The contextual qualifier for a calibrated score: probable from 0.75, possible from 0.25, else improbable."""
    if score >= 0.75:
        return Code("2931005", "SCT", "Probable diagnosis")
    if score >= 0.25:
        return Code("60022001", "SCT", "Possible diagnosis")
    return Code("385434005", "SCT", "Improbable diagnosis")
