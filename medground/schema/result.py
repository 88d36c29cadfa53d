"""GroundingResult, schema version 1: what every surface of medground gives back.

Coordinates are pixels of the stored image (see `Box`); lengths are millimetres; times are milliseconds.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from medground.schema.anatomy import Side, Zone
from medground.schema.vocabulary import Code

SCHEMA_VERSION = 1
CASE_ID = "^[0-9a-f]{16}$"

Probability = Annotated[float, Field(ge=0, le=1)]
BoxPx = tuple[float, float, float, float]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Verdict(StrEnum):
    """What the answer comes to. `UNSUPPORTED`: outside what the bundle was trained for; never the same as not found."""

    FOUND = "found"
    NOT_FOUND = "not_found"
    UNCERTAIN = "uncertain"
    UNSUPPORTED = "unsupported"


class StatementKind(StrEnum):
    """What a statement is about."""

    FINDING = "finding"
    LOCATION = "location"
    SIZE = "size"
    APPEARANCE = "appearance"
    CERTAINTY = "certainty"
    ADVICE = "advice"


class Origin(StrEnum):
    """Where a statement comes from.

    Said by the model, measured on the box, read in the header, added by a rule, or said by the person who reviewed it.
    """

    MODEL = "model"
    MEASURED = "measured"
    HEADER = "header"
    RULE = "rule"
    REVIEWER = "reviewer"


class SpacingSource(StrEnum):
    """Where millimetres come from; detector spacing is magnified with respect to the patient (PS3.3 10.7.1.3)."""

    PATIENT_PLANE = "patient plane"
    DETECTOR = "detector"
    CALIBRATION = "calibration"


class Statement(_Part):
    """One sentence of a description that can be accepted or rejected alone."""

    kind: StatementKind
    text: str
    origin: Origin


class Description(_Part):
    """The statements of a finding; `text` is the statements joined by blanks."""

    text: str
    statements: tuple[Statement, ...]


class SizeMm(_Part):
    """Extent of the box; `depth` is None on a single image."""

    width: float
    height: float
    depth: float | None = None
    spacing_source: SpacingSource


class SliceBox(_Part):
    """The finding on one slice or frame."""

    sop_instance_uid: str
    frame: int = Field(ge=1)
    box_xyxy_px: BoxPx


class Extent(_Part):
    """A finding through a volume; `box_lps_mm` is (x1, y1, z1, x2, y2, z2) in patient coordinates (LPS)."""

    frame_of_reference_uid: str | None
    box_lps_mm: tuple[float, float, float, float, float, float]
    slices: tuple[SliceBox, ...]


class FindingConcept(_Part):
    """What was found."""

    key: str
    name: str
    code: Code


class SimilarCase(_Part):
    """A case that the model learnt from and that a finding looks like; `case` is its id in the model's bundle."""

    case: str = Field(pattern=CASE_ID)
    similarity: Probability


class Finding(_Part):
    """One box that answers the question.

    `also` are other names that the same box was read as, best score first. `similar` are cases of a rare finding that
    the model learnt from and that look like it, nearest first.
    """

    id: str
    source: str
    series_instance_uid: str | None
    sop_instance_uid: str | None
    frame: int = Field(ge=1)
    box_xyxy_px: BoxPx
    extent: Extent | None = None
    size_mm: SizeMm | None
    score: Probability
    concept: FindingConcept
    also: tuple[FindingConcept, ...] = ()
    laterality: Side | None
    zone: Zone | None
    description: Description
    similar: tuple[SimilarCase, ...] = ()


class Relation(StrEnum):
    """A relation or order that a question asks for; left and right are the patient's.

    `MOST_MEDIAL` is nearest the midline, which stands for heart, mediastinum and spine; `MOST_LATERAL` is furthest from
    it.
    """

    LARGEST = "largest"
    SMALLEST = "smallest"
    UPPERMOST = "uppermost"
    LOWERMOST = "lowermost"
    LEFTMOST = "leftmost"
    RIGHTMOST = "rightmost"
    MOST_MEDIAL = "most_medial"
    MOST_LATERAL = "most_lateral"


class PlaceAsked(_Part):
    """Where one of several findings is asked for; a finding that is asked for in two places is there twice."""

    concept: str
    side: Side | None = None
    zone: Zone | None = None


class SizeAsked(_Part):
    """Limits to the longest side of a finding's box; None where there is no limit at that end."""

    at_least_mm: float | None = Field(default=None, gt=0)
    at_most_mm: float | None = Field(default=None, gt=0)


class Understood(_Part):
    """What the question was taken to mean.

    `concepts` are vocabulary keys; `zone` is the third of the chest asked for; `rank` is the place in the order of
    `relation`, 2 for "second largest"; `count` is set where so many of the first are asked for ("the two largest");
    `attributes` are the appearance words it names; `negated` is True for "anything other than X". `unknown_words` are
    words that name no known finding and were not used. `places` are set where the findings are asked for in different
    places ("the left nodule and the right effusion"); `side` and `zone` then are what all of them share.
    `beyond_image` are words for what no single image shows ("newer", "takes up FDG"). `unchecked` are words that narrow
    what is asked for and that the model cannot check ("malignant", "spiculated", "small"). `size` is set where the
    question limits the size of the one finding it asks for ("larger than 8 mm"). `among` is how many there must be for
    its order to mean anything: two for "the larger", three for "the upper of the three".
    """

    concepts: tuple[str, ...]
    side: Side | None = None
    zone: Zone | None = None
    relation: Relation | None = None
    rank: int = Field(default=1, ge=1, le=9)
    count: int | None = Field(default=None, ge=2)
    attributes: tuple[str, ...] = ()
    negated: bool = False
    unknown_words: tuple[str, ...] = ()
    places: tuple[PlaceAsked, ...] = ()
    beyond_image: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()
    size: SizeAsked | None = None
    among: int | None = Field(default=None, ge=2)


class Examined(_Part):
    """What was looked at; frames are 1-based. The UIDs are None for a plain image file.

    `looked_closely` is the share of its pixels that was looked at at full resolution, 0..1, besides the image as a
    whole; the mean of its frames.
    """

    source: str
    series_instance_uid: str | None
    sop_instance_uid: str | None
    frames: tuple[int, ...]
    looked_closely: Probability = 0.0


class Answer(_Part):
    """The answer to one question about one study."""

    id: str
    query: str
    language: Literal["en", "zh"]
    understood: Understood
    examined: tuple[Examined, ...]
    verdict: Verdict
    presence: Probability | None
    findings: tuple[Finding, ...]
    warnings: tuple[str, ...] = ()


class Urgency(StrEnum):
    """How soon a person should look."""

    EMERGENT = "emergent"
    URGENT = "urgent"
    ROUTINE = "routine"


class Recommendation(_Part):
    """What the rule table says of one finding; `citation` names the source of the rule."""

    finding_id: str
    urgency: Urgency
    next_step: str
    rule: str
    code: Code
    citation: str
    origin: Literal[Origin.RULE] = Origin.RULE


class Report(_Part):
    """Summary of a study's answers."""

    number_of_findings: int
    nothing_above_threshold: bool
    recommendations: tuple[Recommendation, ...]


class StudyResult(_Part):
    """All answers about one study, or about one plain image (then `study_instance_uid` is None)."""

    study_instance_uid: str | None
    sources: tuple[str, ...]
    answers: tuple[Answer, ...]
    report: Report
    warnings: tuple[str, ...] = ()


class Refusal(_Part):
    """An input that could not be read, and why."""

    source: str
    error: str


class ModelInfo(_Part):
    """Which model answered; `sha256` is the digest of the bundle's manifest."""

    name: str
    version: str
    sha256: str
    trained_on: tuple[str, ...]


class Settings(_Part):
    """Everything besides inputs and model that the result depends on."""

    min_score: Probability
    max_boxes: int
    top_k: int
    image_size_px: int
    mode: str
    code_version: str


class GroundingResult(_Part):
    """The top level of `results.json`."""

    schema_version: Literal[1] = 1
    result_id: str
    model: ModelInfo
    settings: Settings
    studies: tuple[StudyResult, ...]
    refused: tuple[Refusal, ...] = ()
    skipped: tuple[Refusal, ...] = ()
    timing_ms: dict[str, float] = Field(default_factory=dict)
