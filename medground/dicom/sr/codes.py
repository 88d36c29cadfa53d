"""Coded concepts of the structured report; private ones stand under 99MEDGROUND."""

from __future__ import annotations

from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from medground.schema.anatomy import Side, Zone
from medground.schema.result import SpacingSource, Verdict

PRIVATE_SCHEME = "99MEDGROUND"

# TID 1500 and the templates it includes
REPORT = Code("126000", "DCM", "Imaging Measurement Report")
LANGUAGE = Code("121049", "DCM", "Language of Content Item and Descendants")
PROCEDURE = Code("121058", "DCM", "Procedure reported")
IMAGE_LIBRARY = Code("111028", "DCM", "Image Library")
IMAGE_LIBRARY_GROUP = Code("126200", "DCM", "Image Library Group")
MODALITY = Code("121139", "DCM", "Modality")
ROWS, COLUMNS = Code("110910", "DCM", "Pixel Data Rows"), Code("110911", "DCM", "Pixel Data Columns")
MEASUREMENTS = Code("126010", "DCM", "Imaging Measurements")
GROUP = Code("125007", "DCM", "Measurement Group")
QUALITATIVE_EVALUATIONS = Code("C0034375", "UMLS", "Qualitative Evaluations")
ENGLISH = Code("en", "RFC5646", "English")
IMAGING_PROCEDURE = Code("363679005", "SCT", "Imaging procedure")

# Observers (TID 1001 to 1004)
OBSERVER_TYPE = Code("121005", "DCM", "Observer Type")
PERSON, DEVICE = Code("121006", "DCM", "Person"), Code("121007", "DCM", "Device")
PERSON_NAME = Code("121008", "DCM", "Person Observer Name")
PERSON_ORGANIZATION = Code("121009", "DCM", "Person Observer's Organization Name")
DEVICE_UID = Code("121012", "DCM", "Device Observer UID")
DEVICE_NAME = Code("121013", "DCM", "Device Observer Name")
DEVICE_MANUFACTURER = Code("121014", "DCM", "Device Observer Manufacturer")
DEVICE_MODEL = Code("121015", "DCM", "Device Observer Model Name")

# Planar region and measurements (TID 1410, TID 4019, TID 300)
TRACKING_IDENTIFIER = Code("112039", "DCM", "Tracking Identifier")
TRACKING_UID = Code("112040", "DCM", "Tracking Unique Identifier")
FINDING = Code("121071", "DCM", "Finding")
FINDING_SITE = Code("363698007", "SCT", "Finding Site")
LATERALITY = Code("272741003", "SCT", "Laterality")
ALGORITHM_NAME = Code("111001", "DCM", "Algorithm Name")
ALGORITHM_PARAMETERS = Code("111002", "DCM", "Algorithm Parameters")
ALGORITHM_VERSION = Code("111003", "DCM", "Algorithm Version")
CERTAINTY = Code("246103008", "SCT", "Certainty")
COMMENT = Code("121106", "DCM", "Comment")
IMAGE_REGION = Code("111030", "DCM", "Image Region")
SOURCE = Code("260753009", "SCT", "Source")
METHOD = Code("370129005", "SCT", "Measurement Method")
WIDTH, HEIGHT, DEPTH = codes.SCT.Width, codes.DCM.Height, codes.SCT.Depth
MILLIMETRE, PIXELS = Code("mm", "UCUM", "millimeter"), Code("{pixels}", "UCUM", "pixels")

PLACE = Code("place", PRIVATE_SCHEME, "Answer, finding and slice")
GROUP_COUNT = Code("groups", PRIVATE_SCHEME, "Number of measurement groups")

FIELD_NAMES: dict[str, Code] = {
    "schema_version": Code("schema_version", PRIVATE_SCHEME, "Schema version of the result"),
    "query": Code("question", PRIVATE_SCHEME, "Question"),
    "verdict": Code("verdict", PRIVATE_SCHEME, "Answer to the question"),
    "presence": Code("presence", PRIVATE_SCHEME, "Calibrated probability of presence"),
    "score": Code("score", PRIVATE_SCHEME, "Calibrated score"),
    "description": COMMENT,  # what viewers show as the label of a region
    "warnings": Code("warning", PRIVATE_SCHEME, "Warning"),
    "answers": Code("answer", PRIVATE_SCHEME, "Answer"),
    "statements": Code("statement", PRIVATE_SCHEME, "Statement"),
    "sources": Code("source", PRIVATE_SCHEME, "Source file"),
    "source": Code("source", PRIVATE_SCHEME, "Source file"),
    "series_instance_uid": Code("series_uid", PRIVATE_SCHEME, "Series Instance UID"),
    "sop_instance_uid": Code("instance_uid", PRIVATE_SCHEME, "SOP Instance UID"),
    "frame_of_reference_uid": Code("frame_of_ref_uid", PRIVATE_SCHEME, "Frame of Reference UID"),
    "number_of_findings": Code("findings", PRIVATE_SCHEME, "Number of findings"),
    "nothing_above_threshold": Code("nothing_above", PRIVATE_SCHEME, "Nothing above threshold"),
}

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
# Findings that are of lung or pleura by definition. Of any other a zone of the lung would claim too much.
OF_LUNG_OR_PLEURA = frozenset(
    {
        ("SCT", "46621007"),  # Atelectasis
        ("SCT", "95436008"),  # Lung consolidation
        ("SCT", "445249002"),  # Multiple nodules of lung
        ("SCT", "786838002"),  # Nodule of lung
        ("SCT", "309529002"),  # Mass of lung
        ("SCT", "94391008"),  # Pulmonary metastasis
        ("SCT", "409609008"),  # Radiologic infiltrate of lung
        ("SCT", "233604007"),  # Pneumonia
        ("SCT", "75570004"),  # Viral pneumonia
        ("SCT", "422588002"),  # Aspiration pneumonia
        ("SCT", "73452002"),  # Abscess of lung
        ("SCT", "87433001"),  # Pulmonary emphysema
        ("SCT", "51615001"),  # Fibrosis of lung
        ("SCT", "19242006"),  # Pulmonary edema
        ("SCT", "12295008"),  # Bronchiectasis
        ("SCT", "60046008"),  # Pleural effusion
        ("SCT", "36118008"),  # Pneumothorax
        ("SCT", "31892009"),  # Hemothorax
        ("DCM", "112120"),  # Ground glass opacity
    }
)
BODY_PARTS: dict[str, Code] = {  # CID 4009, by the defined terms of Body Part Examined (PS3.16 Annex L)
    "CHEST": Code("816094009", "SCT", "Chest"),
    "ABDOMEN": Code("818981001", "SCT", "Abdomen"),
    "BREAST": Code("76752008", "SCT", "Breast"),
    "HAND": Code("85562004", "SCT", "Hand"),
    "FOOT": Code("56459004", "SCT", "Foot"),
    "HIP": Code("29836001", "SCT", "Hip"),
    "KNEE": Code("72696002", "SCT", "Knee"),
    "SHOULDER": Code("16982005", "SCT", "Shoulder"),
    "ARM": Code("40983000", "SCT", "Upper arm"),
    "LEG": Code("30021000", "SCT", "Lower leg"),
}
ANY_BODY_PART = Code("38866009", "SCT", "Body part")

METHODS: dict[SpacingSource, Code] = {
    SpacingSource.PATIENT_PLANE: Code("patient-plane", PRIVATE_SCHEME, "Measured with spacing of the patient plane"),
    SpacingSource.DETECTOR: Code("detector", PRIVATE_SCHEME, "Measured with spacing of the detector, magnified"),
    SpacingSource.CALIBRATION: Code("calibration", PRIVATE_SCHEME, "Measured with calibrated spacing"),
}
_MODALITIES: dict[str, str] = {code.value: code.meaning for code in codes.cid29.concepts.values()}


def field_name(field: str) -> Code:
    """The concept name under which a field of the result stands in the report."""
    return FIELD_NAMES.get(field) or Code(field, PRIVATE_SCHEME, field.replace("_", " ").capitalize())


def modality_of(value: str) -> Code:
    """The code of a modality (CID 29), Other where it is none of them."""
    return Code(value, "DCM", _MODALITIES[value]) if value in _MODALITIES else Code("OT", "DCM", "Other")


def certainty_of(score: float) -> Code:
    """The contextual qualifier for a calibrated score: probable from 0.75, possible from 0.25, else improbable."""
    if score >= 0.75:
        return Code("2931005", "SCT", "Probable diagnosis")
    if score >= 0.25:
        return Code("60022001", "SCT", "Possible diagnosis")
    return Code("385434005", "SCT", "Improbable diagnosis")
