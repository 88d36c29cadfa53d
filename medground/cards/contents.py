"""What a model card holds: every number and every sentence of it, unrounded and in one document.

Every form of the card is rendered from `CardFacts` alone; `medground.cards.facts` computes it from the evidence.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from medground.cards.results import Evaluation
from medground.schema.anatomy import Domain
from medground.schema.config import StrictConfig

FORMAT = 1
Setting = str | int | float | bool | None


class ModelFacts(StrictConfig):
    """What the model is.

    Attributes:
        name, version, sha256: as the bundle's manifest says; the digest is the manifest's own.
        trained_on: names of the data sets.
        kind: of the backbone.
        parameters: numbers learnt; None where they were not counted.
        weights_bytes, weights_sha256: of the weights' file.
        image_size_px: long side of what the network sees.
        licence: of the model.
        languages: that questions may be asked in.
    """

    name: str
    version: str
    sha256: str
    trained_on: tuple[str, ...]
    kind: str
    parameters: int | None
    weights_bytes: int | None
    weights_sha256: str | None
    image_size_px: int
    licence: str
    languages: tuple[str, ...]


class Thresholds(StrictConfig):
    """What answers are decided by, see `medground.model.scope.Scope`."""

    found: float
    not_found: float
    least_score: float
    least_familiarity: float
    least_certainty_of_kind: float


class PartCount(StrictConfig):
    """Size of a part of a data set; None where it was not counted, or where the source names no patients."""

    images: int = Field(ge=0)
    patients: int | None = Field(default=None, ge=0)
    boxes: int | None = Field(default=None, ge=0)
    by_finding: dict[str, int] | None = None


class LeakCheck(StrictConfig):
    """That no patient, file or film is in two parts: how many images were compared, and what was found.

    Attributes:
        images: that were compared with each other.
        leaks: that are left.
        words: how it was done.
    """

    images: int
    leaks: int
    words: str


class DataFacts(StrictConfig):
    """A data set that the model was trained on, as counted and as its publishers state it.

    Attributes:
        key: short name.
        title, licence, source, cite, who, not_in: as stated.
        synthetic: whether it was made by code.
        parts: what of it was used for what.
        leak_check: None where there are no parts to compare.
    """

    key: str
    title: str
    licence: str
    source: str
    cite: str
    synthetic: bool
    who: str
    not_in: str
    parts: dict[str, PartCount]
    leak_check: LeakCheck | None = None


class ClassCount(StrictConfig):
    """How much of a finding was trained on, on one kind of image."""

    concept: str
    name: str
    domain: Domain
    images: int
    boxes: int
    real_boxes: int
    synthetic_boxes: int
    rare: bool
    synthetic_only: bool


class PoolCount(StrictConfig):
    """A pool that samples are drawn from: its images and their boxes, some of them made for the pool."""

    name: str
    images: int
    boxes: int
    by_finding: dict[str, int]


class StageFacts(StrictConfig):
    """One stage of training: what it is for as stated, what is open, what is shown, and every setting."""

    name: str
    words: str
    steps: int
    trainable: tuple[str, ...]
    pools: tuple[str, ...]
    settings: dict[str, Setting]


class Failure(StrictConfig):
    """A wrong answer on a phantom, with a picture of it under `pictures/`; None where it was not drawn."""

    picture: str | None
    kind: Literal["false", "missed", "late"]
    concept: str
    name: str
    image_id: str
    score: float | None
    overlap: float
    words: str


class Weakness(StrictConfig):
    """A sentence for clinicians, the rule that says it, and the numbers that it is said from."""

    rule: str
    evaluation: str | None
    concept: str | None
    numbers: dict[str, float | int]
    words: str


class Method(StrictConfig):
    """How figures are computed: overlaps of a hit, level of intervals, share found where false boxes are counted."""

    overlap: float
    overlaps: tuple[float, ...]
    level: float
    found_share: float
    allowances: tuple[float, ...]
    rare_below: int


class Compute(StrictConfig):
    """What training took: as stated, and as the training itself recorded of its last call."""

    words: str
    last_call_seconds: float | None
    recipe: str | None
    recipe_sha256: str | None
    seed: int | None
    batch: int | None


class Versions(StrictConfig):
    """With what the model was trained, and with what it was measured.

    Attributes:
        training: package to version.
        python, system, machine, cpu, packages: with what it was measured; packages to their versions.
        licences: of these packages, in their own words, where they say it.
        requires: which of them needs which others.
        medground, commit, uncommitted: the code.
        collected_on, collected_at: when the evidence was collected, as a day and to the second, UTC.
    """

    training: dict[str, str]
    python: str
    system: str
    machine: str
    cpu: str
    packages: dict[str, str]
    licences: dict[str, str]
    requires: dict[str, tuple[str, ...]]
    medground: str
    commit: str | None
    uncommitted: bool
    collected_on: str
    collected_at: str


class EvidenceFile(StrictConfig):
    """A file of the evidence, by its path in the card."""

    path: str
    bytes: int
    sha256: str


class Change(StrictConfig):
    """One version in the history of the model."""

    version: str
    date: str
    words: str


class ChecklistItem(StrictConfig):
    """Where an item of a reporting guideline is answered, or why not.

    Attributes:
        guideline, item: its name, and the number of the item in it.
        words: what the item asks for, in words of this project.
        headings: of `MODEL_CARD.md` that answer it; empty where it is not answered.
        answered: what follows the headings: what they leave open, or why nothing answers it.
    """

    guideline: str
    item: str
    words: str
    headings: tuple[str, ...]
    answered: str


class CardFacts(StrictConfig):
    """The card; see the module."""

    format: int = FORMAT
    title: str
    summary: str
    model: ModelFacts
    thresholds: Thresholds
    developer: str
    contact: str
    regulatory: str
    intended_use: tuple[str, ...]
    users: tuple[str, ...]
    out_of_scope: tuple[str, ...]
    never_shown: tuple[str, ...]
    oversight: tuple[str, ...]
    ethics: tuple[str, ...]
    method: Method
    training_data: tuple[DataFacts, ...]
    classes: tuple[ClassCount, ...]
    pools: tuple[PoolCount, ...]
    stages: tuple[StageFacts, ...]
    evaluations: tuple[Evaluation, ...]
    known_failures: tuple[Failure, ...]
    weaknesses: tuple[Weakness, ...]
    compute: Compute
    versions: Versions
    changes: tuple[Change, ...]
    files: tuple[EvidenceFile, ...]
    checklist: tuple[ChecklistItem, ...] = ()
