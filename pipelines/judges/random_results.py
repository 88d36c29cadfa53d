"""Random results about random studies: everything the schema can say, from a seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from medground.dicom.identifiers import uid_of
from medground.dicom.image import DicomImage
from medground.schema.anatomy import Side, Zone
from medground.schema.result import (
    Answer,
    BoxPx,
    Description,
    Examined,
    Extent,
    Finding,
    FindingConcept,
    ModelInfo,
    Origin,
    Recommendation,
    Relation,
    Report,
    Settings,
    SizeMm,
    SliceBox,
    SpacingSource,
    Statement,
    StatementKind,
    StudyResult,
    Understood,
    Urgency,
    Verdict,
)
from medground.schema.vocabulary import Code, Concept
from pipelines.judges.random_images import random_series, random_study
from pipelines.judges.random_words import random_concept, random_file_name, random_question, random_sentence

MAX_BOXES = 200
_NO_BOXES = (Verdict.NOT_FOUND, Verdict.UNCERTAIN, Verdict.UNSUPPORTED)


@dataclass(frozen=True, slots=True)
class Case:
    """One random result with the images that it is about, as `write_sr` takes them."""

    study: StudyResult
    model: ModelInfo
    settings: Settings
    images: dict[str, DicomImage]


def random_case(seed: int, index: int) -> Case:
    """A result with 0 to 200 boxes.

    Args:
        seed: of the whole run.
        index: of the result within it. Results 0 and 1 have no box and 200; of twenty others two have none, twelve 1
            to 5, five 6 to 30, and one 31 to 200.

    Returns:
        The same for the same seed and index.
    """
    random = Random(f"{seed}/{index}")
    uid = uid_of("random study", str(seed), str(index))
    common = random_study(random, uid)
    images = [image for number in range(random.randrange(1, 4)) for image in random_series(random, common, number + 1)]
    counts = _shares(random, _box_count(random, index))
    answers = tuple(_answer(random, images, count) for count in counts)
    ids = [finding.id for answer in answers for finding in answer.findings]
    report = Report(
        number_of_findings=len(ids),
        nothing_above_threshold=not ids,
        recommendations=tuple(_recommendation(random, name) for name in ids if random.random() < 0.1),
    )
    study = StudyResult(
        study_instance_uid=uid,
        sources=tuple(random_file_name(random) for _ in images),
        answers=answers,
        report=report,
        warnings=_warnings(random),
    )
    return Case(study, _model(random), _settings(random), {image.header.sop_instance_uid: image for image in images})


def _box_count(random: Random, index: int) -> int:
    if index < 2:
        return MAX_BOXES * index
    low, high = random.choices(((0, 0), (1, 5), (6, 30), (31, MAX_BOXES)), (2, 12, 5, 1))[0]
    return random.randint(low, high)


def _shares(random: Random, total: int) -> list[int]:
    """How many boxes each of 1 to 5 answers has."""
    answers = random.randint(1, 5)
    cuts = sorted(random.randint(0, total) for _ in range(answers - 1))
    return [high - low for low, high in zip([0, *cuts], [*cuts, total], strict=True)]


def _answer(random: Random, images: Sequence[DicomImage], boxes: int) -> Answer:
    concept = random_concept(random)
    query, language = random_question(random, concept)
    verdict = random.choice((Verdict.FOUND, Verdict.UNCERTAIN)) if boxes else random.choice(_NO_BOXES)
    return Answer(
        id=_id(random),
        query=query,
        language=language,
        understood=Understood(
            concepts=tuple({concept.key: None, random_concept(random).key: None}),
            side=random.choice((None, *Side)),
            zone=random.choice((None, *Zone)),
            relation=random.choice((None, *Relation)),
            rank=random.choice((1, 1, 2, 9)),
            count=random.choice((None, 2, 3)),
            attributes=random.choice(((), ("round",), ("faint", "irregular"))),
            negated=random.random() < 0.2,
            unknown_words=tuple(random_sentence(random, concept).split()[:2]),
        ),
        examined=tuple(_examined(random, image) for image in images),
        verdict=verdict,
        presence=None if verdict == Verdict.UNSUPPORTED else _probability(random),
        findings=tuple(_finding(random, images) for _ in range(boxes)),
        warnings=_warnings(random),
    )


def _examined(random: Random, image: DicomImage) -> Examined:
    return Examined(
        source=random_file_name(random),
        series_instance_uid=image.header.series_instance_uid,
        sop_instance_uid=image.header.sop_instance_uid,
        frames=tuple(range(1, image.header.frames + 1)),
    )


def _finding(random: Random, images: Sequence[DicomImage]) -> Finding:
    image = random.choice(images)
    frame, box = random.randint(1, image.header.frames), _box(random, image)
    extent = _extent(random, image, frame, box, images) if random.random() < 0.3 else None
    concept = random_concept(random)
    statements = tuple(
        Statement(kind=kind, text=random_sentence(random, concept), origin=random.choice(list(Origin)))
        for kind in random.choices(list(StatementKind), k=random.randint(0, 6))
    )
    words = " ".join(statement.text for statement in statements) or random_sentence(random, concept)
    return Finding(
        id=_id(random),
        source=random_file_name(random),
        series_instance_uid=image.header.series_instance_uid,
        sop_instance_uid=image.header.sop_instance_uid,
        frame=frame,
        box_xyxy_px=box,
        extent=extent,
        size_mm=_size_mm(random, deep=extent is not None) if random.random() < 0.7 else None,
        score=_probability(random),
        concept=_named(concept),
        also=tuple(_named(random_concept(random)) for _ in range(random.choice((0, 0, 1, 2)))),
        laterality=random.choice((None, *Side)),
        zone=random.choice((None, *Zone)),
        description=Description(text=words, statements=statements),
    )


def _box(random: Random, image: DicomImage) -> BoxPx:
    """A box within the image: of any size, on whole or half pixels, thin, or the whole image."""
    width, height = float(image.header.columns), float(image.header.rows)
    shape = random.random()
    if shape < 0.05:
        return (0.0, 0.0, width, height)
    if shape < 0.1:
        x, y = random.uniform(0, width - 0.1), random.uniform(0, height - 0.1)
        return (x, y, x + 0.05, y + 0.05)
    x1, x2 = sorted(random.uniform(0, width) for _ in range(2))
    y1, y2 = sorted(random.uniform(0, height) for _ in range(2))
    if shape < 0.3:
        x1, y1, x2, y2 = (math.floor(2 * edge) / 2 for edge in (x1, y1, x2, y2))
    x1, y1 = min(x1, width - 0.5), min(y1, height - 0.5)
    return (x1, y1, max(x2, x1 + 0.5), max(y2, y1 + 0.5))


def _extent(random: Random, image: DicomImage, frame: int, box: BoxPx, images: Sequence[DicomImage]) -> Extent | None:
    """The finding on neighbouring slices of its series, or frames of its object; None where the planes are unknown."""
    series = [one for one in images if one.header.series_instance_uid == image.header.series_instance_uid]
    if image.header.frames > 1:
        around = range(max(frame - random.randrange(5), 1), min(frame + random.randrange(5), image.header.frames) + 1)
        places = [(image, number) for number in around]
    else:
        here = series.index(image)
        places = [(one, 1) for one in series[max(here - random.randrange(5), 0) : here + 1 + random.randrange(5)]]
    corners = []
    slices = []
    for one, number in places:
        plane = one.frame_geometry(number)
        if plane is None:
            return None
        edges = box if (one, number) == (image, frame) else _box(random, one)
        slices.append(SliceBox(sop_instance_uid=one.header.sop_instance_uid, frame=number, box_xyxy_px=edges))
        corners += [plane.to_lps(x, y) for x in edges[::2] for y in edges[1::2]]
    low, high = ([pick(axis) for axis in zip(*corners, strict=True)] for pick in (min, max))
    return Extent(
        frame_of_reference_uid=image.header.frame_of_reference_uid,
        box_lps_mm=(low[0], low[1], low[2], high[0], high[1], high[2]),
        slices=tuple(slices),
    )


def _size_mm(random: Random, *, deep: bool) -> SizeMm:
    width, height, depth = (random.choice((random.uniform(0.1, 400), random.randint(1, 9))) for _ in range(3))
    source = random.choice(list(SpacingSource))
    return SizeMm(width=width, height=height, depth=depth if deep else None, spacing_source=source)


def _recommendation(random: Random, finding_id: str) -> Recommendation:
    concept = random_concept(random)
    return Recommendation(
        finding_id=finding_id,
        urgency=random.choice(list(Urgency)),
        next_step=random_sentence(random, concept),
        rule=concept.key,
        code=Code(scheme="99MEDGROUND", value="follow-up", meaning="Follow up"),
        citation=random_sentence(random, concept),
    )


def _model(random: Random) -> ModelInfo:
    digest = f"{random.getrandbits(256):064x}"
    trained = tuple(random.sample(("phantom", "ChestX-Det", "FracAtlas", "NIH BBox"), random.randint(1, 4)))
    return ModelInfo(name="compact", version=f"1.{random.randrange(20)}", sha256=digest, trained_on=trained)


def _settings(random: Random) -> Settings:
    return Settings(
        min_score=_probability(random),
        max_boxes=random.randint(1, 300),
        top_k=random.randint(1, 50),
        image_size_px=random.choice((256, 512, 1024)),
        mode=random.choice(("eager", "compiled")),
        code_version="0.1.0",
    )


def _warnings(random: Random) -> tuple[str, ...]:
    return tuple(random_sentence(random, random_concept(random)) for _ in range(random.choice((0, 0, 1, 3))))


def _probability(random: Random) -> float:
    """Any double of 0..1, the ends and round numbers among them."""
    return random.choice(
        (random.random(), random.random(), round(random.random(), 2), 0.0, 1.0, random.random() * 1e-9)
    )


def _id(random: Random) -> str:
    return f"{random.getrandbits(96):024x}"


def _named(concept: Concept) -> FindingConcept:
    return FindingConcept(key=concept.key, name=concept.name, code=concept.code)
