"""What a class is added from: its names, the images that show it, and whether those images bear it out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np
from pydantic import ValidationError
from rich.console import Console

from medground.data.columnar import MANIFEST, DataSet
from medground.data.importers import ImportOptions, by_name
from medground.data.pixels import displayed
from medground.evaluation.detection import Detection, ImageTruth, Truth, average_precision, match
from medground.imaging.preprocess import prepare
from medground.inference.learnt_cases import cases_of
from medground.inference.lexicon import HAN
from medground.model.bundle import Bundle
from medground.model.cases import ADDED_BY_HAND, Cases, Picture, diverse
from medground.model.cases import MOST_CASES as MOST_OF_BUNDLE
from medground.model.class_example import Example, Seen, see
from medground.model.grounder import Grounder
from medground.model.new_class import add_class
from medground.model.reading import Phrase
from medground.schema.anatomy import Domain
from medground.schema.errors import UsageError
from medground.schema.record import ImageRecord
from medground.schema.vocabulary import Code, Concept, Vocabulary

Progress = Callable[[int, int], None]
CHECKED = 100
"""Patients that are left out once, at most: each costs a look at all its images."""
MOST_CASES = 24
"""Regions that become cases, at most: those that differ most."""
DATA_SET = "data set"
_BOXES = 50


@dataclass(frozen=True, slots=True)
class AddOptions:
    """The command line of `medground prototypes add`, parsed; see its help for the meaning of each."""

    bundle: Path
    images: Path
    concept: str
    out: Path
    format: str = "auto"
    name: str | None = None
    name_zh: str | None = None
    synonyms: tuple[str, ...] = ()
    code: str | None = None
    classes: tuple[str, ...] = ()
    domain: str | None = None
    keep_thumbnails: bool = False
    device: str = "auto"
    base: str | None = None


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """How the images are answered by the prototypes of the other patients' images.

    Attributes:
        boxes: true ones on the images tried.
        ap50: average precision at IoU 0.5, every box of the class taken to be drawn.
        found: true boxes found at the bundle's own minimum score.
        false: boxes shown at that score that are none.
    """

    boxes: int
    ap50: float
    found: int
    false: int


def concept_of(options: AddOptions, vocabulary: Vocabulary) -> Concept:
    """The concept of the vocabulary, or a new one of the names given."""
    key = options.concept
    named = any((options.name, options.name_zh, options.synonyms, options.code))
    known = next((concept for concept in vocabulary.concepts if concept.key == key), None)
    if known is not None:
        if named:
            raise UsageError(f"{key!r} is in the bundle's vocabulary as {known.name!r}; leave its names and code out")
        return known
    if not options.name:
        raise UsageError(f"{key!r} is not in the bundle's vocabulary; say what it is called: --name 'english name'")
    scheme, _, value = (options.code or f"99MEDGROUND:{key}").partition(":")
    if not scheme or not value:
        raise UsageError(f"--code {options.code!r} is not SCHEME:VALUE, e.g. SCT:1234")
    words = {"en": [options.name], "zh": [options.name_zh] if options.name_zh else []}
    for synonym in options.synonyms:
        words["zh" if HAN.search(synonym) else "en"].append(synonym)
    names = {language: tuple(dict.fromkeys(said)) for language, said in words.items() if said}
    try:
        return Concept(key=key, code=Code(scheme=scheme, value=value, meaning=options.name), names=names)
    except ValidationError as error:
        raise UsageError(f"--concept {key!r} is no key: lower-case letters, digits and _, e.g. lung_cyst") from error


def labelled_images(options: AddOptions, concept: Concept, vocabulary: Vocabulary) -> list[ImageRecord]:
    """The images that show the concept.

    Raises:
        UsageError: there are none.
    """
    format_ = _format(options.images) if options.format == "auto" else options.format
    rejected: Counter[str] = Counter()
    if format_ == DATA_SET:
        data = DataSet(options.images)
        records: Sequence[ImageRecord] = [data[row] for row in data.with_concept(concept.key)]
    else:
        if concept not in vocabulary.concepts:
            vocabulary = vocabulary.model_copy(update={"concepts": (*vocabulary.concepts, concept)})
        asked = ImportOptions(
            vocabulary=vocabulary,
            classes=dict.fromkeys(options.classes, concept.key),
            domain=_domain(options.domain),
        )
        imported = by_name(format_)(options.images, asked)
        records = imported.records
        rejected.update(issue.kind for issue in imported.issues if issue.action == "rejected")
    shown = [record for record in records if boxes_of(record, concept.key)]
    why = ", ".join(f"{kind} ({count})" for kind, count in rejected.items())
    if not shown:
        rejected_too = f"; rejected: {why}" if why else ""
        raise UsageError(
            f"none of {len(records)} images in {options.images} shows {concept.key!r}{rejected_too}; boxes must bear "
            "its key, a name of it, or a name that --class gives"
        )
    if why:
        Console(stderr=True).print(f"left out: {why}", markup=False, highlight=False)
    return shown


def look(bundle: Bundle, records: Sequence[ImageRecord], key: str, progress: Progress) -> list[Seen]:
    """What the network makes of each image and its boxes of the class.

    Args:
        bundle: its network looks.
        records: images that show the class.
        key: of the class.
        progress: told how many images are done, of how many.
    """
    seen = []
    for done, record in enumerate(records, 1):
        image = prepare(displayed(record), bundle.network.config.image_size_px)
        seen.append(see(bundle, Example(image, boxes_of(record, key), record.domain, record.synthetic)))
        progress(done, len(records))
    return seen


def cases_from(
    bundle: Bundle, records: Sequence[ImageRecord], key: str, seen: Sequence[Seen], *, keep_thumbnails: bool
) -> Cases:
    """The regions of the class as cases: those that the bundle would show, and as many as it has room for.

    Args:
        bundle: has the class already.
        records: images that show the class.
        key: of the class.
        seen: what the network made of each.
        keep_thumbnails: whether a picture of each region is kept.
    """
    shown = [(record, one) for record, one in zip(records, seen, strict=True) if bundle.may_show_cases(key, one.domain)]
    if not shown:
        return Cases()
    every = np.concatenate([one.regions_GF.numpy() for _, one in shown])
    kept, start, parts = set(diverse(every, min(MOST_CASES, room_for_cases(bundle)))), 0, []
    for record, one in shown:
        regions = _regions_of(record, key)
        rows = [row for row in range(len(regions)) if start + row in kept]
        start += len(regions)
        if rows:
            parts.append(
                cases_of(
                    record.model_copy(update={"domain": one.domain}),
                    [regions[row] for row in rows],
                    one.regions_GF.numpy()[rows],
                    bundle.vocabulary,
                    source=ADDED_BY_HAND,
                    picture=Picture.KEPT if keep_thumbnails else Picture.NOT_ASKED,
                    pixels=displayed(record) if keep_thumbnails else None,
                )
            )
    return reduce(Cases.joined, parts, Cases())


def room_for_cases(bundle: Bundle) -> int:
    """How many more cases the bundle can hold."""
    return max(0, MOST_OF_BUNDLE - len(bundle.cases.known))


def self_check(
    bundle: Bundle,
    concept: Concept,
    records: Sequence[ImageRecord],
    seen: Sequence[Seen],
    progress: Progress,
) -> SelfCheck | None:
    """Leaves each patient out once and asks for the class on that patient's images, as it would be served.

    Args:
        bundle: before the class was added.
        concept: the class.
        records: images that show it.
        seen: what was learned from each.
        progress: told how many images are done, of how many.

    Returns:
        The figures; None where all images are of one patient.
    """
    patients = list(dict.fromkeys(record.patient_id for record in records))
    if len(patients) < 2:
        return None
    tried = [record for record in records if record.patient_id in set(patients[:CHECKED])]
    phrase, device = Phrase(concept.key, concept.name), bundle.network.prototypes.scatter_DD.device.type
    truths, shown = [], []
    for patient in patients[:CHECKED]:
        others = [one for one, record in zip(seen, records, strict=True) if record.patient_id != patient]
        grounder = Grounder(add_class(bundle, concept, others), device=device)
        for record in tried:
            if record.patient_id != patient:
                continue
            image = prepare(displayed(record), grounder.image_size_px)
            (reading,) = grounder.read([image], [phrase], max_boxes=_BOXES, min_score=0.0)
            shown += [
                Detection(record.record_id, concept.key, box.box_xyxy_px, box.score)
                for box in reading.phrases[0].candidates
            ]
            boxes = tuple(Truth(record.record_id, concept.key, box) for box in boxes_of(record, concept.key))
            truths.append(ImageTruth(record.record_id, patient, boxes, frozenset({concept.key})))
            progress(len(truths), len(tried))
    surely = [one for one in shown if one.score >= bundle.scope.default_min_score]
    matched = match(truths, surely, concept.key)
    return SelfCheck(
        boxes=sum(len(image.truths) for image in truths),
        ap50=average_precision(truths, shown, concept.key) or 0.0,
        found=int(matched.hit_D.sum()),
        false=int((~matched.hit_D).sum()),
    )


def boxes_of(record: ImageRecord, key: str) -> tuple[tuple[float, float, float, float], ...]:
    """The boxes of a class on an image, xyxy pixels of the stored image; those its source doubts are left out."""
    return tuple(record.regions[index].box.xyxy_px for index in _regions_of(record, key))


def _regions_of(record: ImageRecord, key: str) -> list[int]:
    return [index for index, one in enumerate(record.regions) if one.concept == key and not one.uncertain]


def _format(source: Path) -> str:
    """What lies at the source, told by the files that only it has."""
    if (source / MANIFEST).is_file():
        return DATA_SET
    if (source / "Annotations").is_dir():
        return "voc"
    if (source / "data.yaml").is_file() or (source / "classes.txt").is_file():
        return "yolo"
    if source.suffix.lower() == ".json" or any([*source.glob("*.json"), *(source / "annotations").glob("*.json")]):
        return "coco"
    raise UsageError(
        f"--images {source} is no data set, and neither COCO, Pascal VOC nor YOLO; name its layout with --format "
        "(`medground import list` shows them)"
    )


def _domain(word: str | None) -> Domain | None:
    known = {domain.value.lower().replace(" ", "-"): domain for domain in Domain if domain is not Domain.OTHER}
    if word is not None and word.lower() not in known:
        raise UsageError(f"--domain {word!r} is none of {', '.join(known)}")
    return None if word is None else known[word.lower()]
