"""Parts and folds by patient: nobody is in two parts, and a new patient moves nobody else."""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from medground.schema.errors import LeakError, UsageError
from medground.schema.record import ImageRecord

TRAIN, VALID, DEV = "train", "valid", "dev"
TRAIN_AND_VALID: Mapping[str, float] = MappingProxyType({TRAIN: 0.8, VALID: 0.2})
DEV_FRACTION = 0.15


def hash_part(patient_id: str, *, fractions: Mapping[str, float], salt: str) -> str:
    """The part a patient belongs to, from the patient's identifier alone.

    Args:
        patient_id: what the split is made by.
        fractions: part to its share of patients, 0..1, summing to 1; the order of parts matters.
        salt: names the split; another salt gives an independent one.

    Returns:
        A key of `fractions`.

    Raises:
        UsageError: if the fractions are negative or do not sum to 1.
    """
    if not math.isclose(sum(fractions.values()), 1.0, abs_tol=1e-9) or min(fractions.values()) < 0:
        raise UsageError(f"fractions {dict(fractions)} must be at least 0 and sum to 1")
    position = _position(patient_id, salt)
    reached = 0.0
    for part, fraction in fractions.items():
        reached += fraction
        if position < reached:
            return part
    return [part for part, fraction in fractions.items() if fraction > 0][-1]  # rounding of the sum


def split_records(
    records: Iterable[ImageRecord],
    *,
    salt: str,
    fractions: Mapping[str, float] = TRAIN_AND_VALID,
    dev_fraction: float = DEV_FRACTION,
    reach_every_part: bool = False,
) -> dict[str, tuple[ImageRecord, ...]]:
    """Put records into parts by patient.

    The publisher's part is kept where there is one; patients without are hashed by `fractions`. Then a development
    part is hashed out of `train` and only out of `train`: choices made on it touch no image that is measured on.

    Args:
        records: of one data set (patient identifiers of two data sets may coincide).
        salt: names the split.
        fractions: part to share of the patients without a published part.
        dev_fraction: share of train's patients that becomes `dev`, 0..1.
        reach_every_part: move the fewest patients so that a finding with at least as many hashed patients as there are
            parts is in every part. Patients who are not moved stay where their hash puts them, whoever is added.

    Returns:
        Part to its records, in the order given. Parts of `fractions` and `dev` are there even if empty.

    Raises:
        UsageError: if fractions do not sum to 1, or `dev_fraction` is not within 0..1.
        LeakError: if the publisher put one patient into two parts, or only some of a patient's images into one.
    """
    if not 0 <= dev_fraction <= 1:
        raise UsageError(f"dev_fraction {dev_fraction} must be within 0..1")
    given = tuple(records)
    by_patient: dict[str, list[ImageRecord]] = defaultdict(list)
    for record in given:
        by_patient[record.patient_id].append(record)
    part_of: dict[str, str] = {}
    for patient_id, own in by_patient.items():
        part = _published_part(own) or hash_part(patient_id, fractions=fractions, salt=salt)
        held_back = part == TRAIN and _position(patient_id, f"{salt}/{DEV}") < dev_fraction
        part_of[patient_id] = DEV if held_back else part
    if reach_every_part:
        hashed = [patient_id for patient_id, own in by_patient.items() if own[0].part is None]
        wanted = [part for part, fraction in fractions.items() if fraction > 0] + [DEV] * (dev_fraction > 0)
        _reach_every_part(part_of, {patient: by_patient[patient] for patient in hashed}, wanted, salt)
    parts: dict[str, list[ImageRecord]] = {part: [] for part in (*fractions, DEV)}
    for record in given:
        parts.setdefault(part_of[record.patient_id], []).append(record)
    return {part: tuple(own) for part, own in parts.items()}


def folds(
    records: Sequence[ImageRecord], k: int, salt: str
) -> tuple[tuple[tuple[ImageRecord, ...], tuple[ImageRecord, ...]], ...]:
    """Cut records into k folds by patient, with each finding spread as evenly as its patients allow.

    Patients are placed one by one, those with the rarest finding first, into the fold that has least of that finding:
    with seven cases of a finding, five folds made by chance would often leave one without any.

    Args:
        records: of one data set.
        k: number of folds, at least 2 and at most the number of patients.
        salt: breaks ties; another salt gives other folds.

    Returns:
        k pairs (records to train on, records held out), each in the order given.

    Raises:
        UsageError: if k is out of range.

    Source: Sechidis et al., On the Stratification of Multi-label Data, ECML PKDD 2011, algorithm 1, by patient.
    """
    concepts: dict[str, Counter[str]] = defaultdict(Counter)
    for record in records:
        concepts[record.patient_id].update({region.concept for region in record.regions})
    if not 2 <= k <= len(concepts):
        raise UsageError(f"k={k} folds must be at least 2 and at most the number of patients, {len(concepts)}")
    total = sum(concepts.values(), Counter[str]())
    order = sorted(concepts, key=lambda patient: _position(patient, salt))
    order.sort(key=lambda patient: min((total[c] for c in concepts[patient]), default=math.inf))
    filled: list[Counter[str]] = [Counter() for _ in range(k)]
    patients = [0] * k
    fold_of: dict[str, int] = {}
    for patient in order:
        rarest = min(concepts[patient], key=lambda c: (total[c], c), default="")
        chosen = min(range(k), key=lambda fold: (filled[fold][rarest], patients[fold], fold))
        fold_of[patient] = chosen
        filled[chosen].update(concepts[patient])
        patients[chosen] += 1
    return tuple(
        (
            tuple(record for record in records if fold_of[record.patient_id] != fold),
            tuple(record for record in records if fold_of[record.patient_id] == fold),
        )
        for fold in range(k)
    )


def _reach_every_part(
    part_of: dict[str, str], patients: Mapping[str, Sequence[ImageRecord]], wanted: Sequence[str], salt: str
) -> None:
    """Move patients in place, rarest finding first; nobody is moved who is the last of a finding in their part."""
    concepts = {
        patient: {region.concept for record in own for region in record.regions} for patient, own in patients.items()
    }
    total = Counter(concept for own in concepts.values() for concept in own)
    held = Counter((part_of[patient], concept) for patient, own in concepts.items() for concept in own)
    order = sorted(patients, key=lambda patient: _position(patient, salt))
    for concept in sorted(total, key=lambda one: (total[one], one)):
        for part in wanted:
            if held[part, concept] or total[concept] < len(wanted):
                continue
            free = [
                patient
                for patient in order
                if concept in concepts[patient] and all(held[part_of[patient], own] > 1 for own in concepts[patient])
            ]
            if not free:
                continue
            moved = max(free, key=lambda patient: held[part_of[patient], concept])  # the first of the fullest part
            held.subtract((part_of[moved], own) for own in concepts[moved])
            part_of[moved] = part
            held.update((part, own) for own in concepts[moved])


def _published_part(own: Sequence[ImageRecord]) -> str | None:
    """The one part that the publisher put a patient in, if any."""
    published = {record.part for record in own}
    if len(published) > 1:
        names = ", ".join(sorted(record.record_id for record in own))
        raise LeakError(
            f"patient {own[0].patient_id!r} stands in parts {sorted(map(str, published))} with images {names}; "
            "remove them from one part (leaks.without_leaks does)"
        )
    return published.pop()


def _position(patient_id: str, salt: str) -> float:
    """A number in [0, 1) that only patient and salt decide."""
    digest = hashlib.sha256(f"{salt}\x00{patient_id}".encode()).digest()
    return int.from_bytes(digest[:6]) / 2**48
