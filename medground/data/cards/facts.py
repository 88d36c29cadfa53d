"""Facts counted from a data set on disk, with what its import and its leak check wrote beside it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import ValidationError

from medground.data.columnar import REPORT, DataSet
from medground.data.data_split import SPLIT, Split
from medground.data.import_report import ImportReport
from medground.data.reviewed import Counts, outcomes_of
from medground.schema.errors import DataSetError
from medground.schema.record import ImageRecord

NO_PART = "no part"


@dataclass(frozen=True, slots=True)
class ConceptCount:
    """How often a concept is marked.

    Attributes:
        boxes: regions; those of a lesion through a volume count each.
        lesions: the same, a lesion through a volume once.
        images: with at least one.
        by_part: regions in each part.
        uncertain: regions that the source itself doubts.
    """

    boxes: int
    lesions: int
    images: int
    by_part: Mapping[str, int]
    uncertain: int


@dataclass(frozen=True, slots=True)
class DataSetFacts:
    """What can be counted.

    Attributes:
        name, version, importer: as the manifest says.
        images_by_part, patients_by_part: part to number; the checked split's parts, else those of the publisher.
        patients: in all.
        concepts: key to its counts, most boxes first.
        sets: concepts labelled exhaustively together, to the number of images; the empty set for none.
        domains: kind of image to number.
        synthetic: images made by code.
        without_file: images that name no file.
        sides_known, spacing_known: images for which side words, and millimetres, are known to be true.
        report: of the import; None where the data set was made otherwise.
        split: of this version; None where there is none.
        dropped: images that the split left out of every part.
        outcomes: of reviews: concept to outcome to number; empty for data that no review is of.
    """

    name: str
    version: str
    importer: str | None
    images_by_part: Mapping[str, int]
    patients_by_part: Mapping[str, int]
    patients: int
    concepts: Mapping[str, ConceptCount]
    sets: Mapping[frozenset[str], int]
    domains: Mapping[str, int]
    synthetic: int
    without_file: int
    sides_known: int
    spacing_known: int
    report: ImportReport | None
    split: Split | None
    dropped: int
    outcomes: Counts = field(default_factory=dict)

    @property
    def images(self) -> int:
        """In all, those that the split dropped included."""
        return sum(self.images_by_part.values()) + self.dropped


def facts_of(data: DataSet) -> DataSetFacts:
    """Count what is in a data set.

    Args:
        data: the data set; `split.json` of another version of it is no split of it.

    Raises:
        DataSetError: the report or the split beside it cannot be read.
    """
    report, split = _report(data), _split(data)
    chosen = {one: part for part, ids in split.parts.items() for one in ids} if split else None
    tally = _Tally()
    dropped = 0
    for record in data:
        part = (record.part or NO_PART) if chosen is None else chosen.get(record.record_id)
        dropped += part is None
        tally.add(record, part)
    return DataSetFacts(
        name=data.manifest.name,
        version=data.manifest.version,
        importer=data.manifest.importer,
        images_by_part=dict(tally.images),
        patients_by_part={part: len(own) for part, own in tally.patients.items() if part is not None},
        patients=len(set().union(*tally.patients.values())),
        concepts=tally.concepts(),
        sets=dict(tally.sets.most_common()),
        domains=dict(tally.domains.most_common()),
        synthetic=tally.flags["synthetic"],
        without_file=tally.flags["without_file"],
        sides_known=tally.flags["sides"],
        spacing_known=tally.flags["spacing"],
        report=report,
        split=split,
        dropped=dropped,
        outcomes={concept: dict(counts) for concept, counts in sorted(tally.outcomes.items())},
    )


class _Tally:
    """Counts as they grow, record by record."""

    def __init__(self) -> None:
        self.images: Counter[str] = Counter()
        self.patients: dict[str | None, set[str]] = defaultdict(set)
        self.sets: Counter[frozenset[str]] = Counter()
        self.domains: Counter[str] = Counter()
        self.flags: Counter[str] = Counter()
        self.outcomes: dict[str, Counter[str]] = defaultdict(Counter)
        self._parts: dict[str, Counter[str]] = defaultdict(Counter)
        self._images: Counter[str] = Counter()
        self._lesions: dict[str, set[object]] = defaultdict(set)
        self._uncertain: Counter[str] = Counter()

    def add(self, record: ImageRecord, part: str | None) -> None:
        """Count a record; one without a part was dropped, and still counts as an image with its boxes."""
        if part is not None:
            self.images[part] += 1
        self.patients[part].add(record.patient_id)
        self.sets[record.exhaustive_for] += 1
        self.domains[record.domain.value] += 1
        self.flags["synthetic"] += record.synthetic
        self.flags["without_file"] += record.path is None
        self.flags["sides"] += record.columns_toward_left is not None
        self.flags["spacing"] += record.spacing_mm is not None
        for number, region in enumerate(record.regions):
            self._parts[region.concept][part or "dropped"] += 1
            self._lesions[region.concept].add(region.lesion_id or (record.record_id, number))
            self._uncertain[region.concept] += region.uncertain
        for concept, counts in outcomes_of(record).items():
            self.outcomes[concept].update(counts)
        self._images.update({region.concept for region in record.regions})

    def concepts(self) -> dict[str, ConceptCount]:
        """Key to counts, most boxes first, then by name."""
        ordered = sorted(self._parts.items(), key=lambda item: (-item[1].total(), item[0]))
        return {
            key: ConceptCount(
                boxes=parts.total(),
                lesions=len(self._lesions[key]),
                images=self._images[key],
                by_part=dict(parts),
                uncertain=self._uncertain[key],
            )
            for key, parts in ordered
        }


def _report(data: DataSet) -> ImportReport | None:
    path = data.folder / REPORT
    if not path.is_file():
        return None
    try:
        return ImportReport.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise DataSetError(f"{REPORT} in {data.folder} cannot be read: run medground import again") from error


def _split(data: DataSet) -> Split | None:
    path = data.folder / SPLIT
    if not path.is_file():
        return None
    try:
        split = Split.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise DataSetError(f"{SPLIT} in {data.folder} cannot be read: run medground data split again") from error
    return split if split.version == data.manifest.version else None
