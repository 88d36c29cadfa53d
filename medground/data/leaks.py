"""Leaks between parts: a patient, a file or a film that is both learned from and measured on."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

from medground.data.fingerprints import (
    Fingerprint,
    duplicate_groups,
    fingerprint,
    fingerprint_records,
    near_duplicates,
)
from medground.schema.errors import DataSetError, LeakError
from medground.schema.record import ImageRecord

__all__ = [
    "Fingerprint",
    "Leak",
    "LeakKind",
    "LeakReport",
    "check_leaks",
    "duplicate_groups",
    "fingerprint",
    "fingerprint_records",
    "near_duplicates",
    "with_duplicate_groups",
    "without_leaks",
]

_LISTED = 20


class LeakKind(StrEnum):
    """What two parts have in common."""

    PATIENT = "same patient"
    FILE = "same file"
    FILM = "same film"


@dataclass(frozen=True, slots=True)
class Leak:
    """Two images in two parts that must not be apart.

    Attributes:
        kind: what they share.
        first: record id.
        first_part: its part.
        second: record id.
        second_part: its part.
        correlation: of their fingerprints, 0..1; 1 for the same file, None where only the patient is shared.
    """

    kind: LeakKind
    first: str
    first_part: str
    second: str
    second_part: str
    correlation: float | None = None

    def __str__(self) -> str:
        value = f" (correlation {self.correlation:.3f})" if self.kind is LeakKind.FILM else ""
        return f"{self.first} in {self.first_part} and {self.second} in {self.second_part}: {self.kind}{value}"


@dataclass(frozen=True, slots=True)
class LeakReport:
    """Every leak between two parts; a pair is listed once for each thing it shares."""

    leaks: tuple[Leak, ...]

    def raise_if_leaking(self) -> None:
        """Refuse parts that leak.

        Raises:
            LeakError: naming the pairs, if there are any.
        """
        if self.leaks:
            listed = "; ".join(str(leak) for leak in self.leaks[:_LISTED])
            more = f"; and {len(self.leaks) - _LISTED} more" if len(self.leaks) > _LISTED else ""
            raise LeakError(f"{len(self.leaks)} leaks between parts: {listed}{more}; drop one side with without_leaks")


def check_leaks(
    parts: Mapping[str, Sequence[ImageRecord]],
    fingerprints: Mapping[str, Fingerprint] | None = None,
    *,
    films: Sequence[tuple[str, str, float]] | None = None,
) -> LeakReport:
    """Compare every part with every other.

    Args:
        parts: part to its records, of one data set.
        fingerprints: record id to fingerprint; None looks for shared patients and files only.
        films: pairs of copies that `near_duplicates` found among the records, where that was done before.

    Returns:
        All shared patients (each pair of images), files (SHA-256) and films (fingerprints). Two patients with a copy of
        one film are one.

    Raises:
        DataSetError: if two records share an id.
    """
    part_of = _part_of(parts)
    patient = {record.record_id: record.patient_id for own in parts.values() for record in own}
    by_digest: dict[str, list[str]] = defaultdict(list)
    for record in (record for own in parts.values() for record in own):
        if record.path is not None:
            by_digest[hashlib.sha256(record.path.read_bytes()).hexdigest()].append(record.record_id)
    known = {name: print_ for name, print_ in (fingerprints or {}).items() if name in part_of}
    copies = [(*pair, 1.0) for ids in by_digest.values() for pair in combinations(ids, 2)]
    alike = near_duplicates(known) if films is None else [f for f in films if f[0] in part_of and f[1] in part_of]
    leaks = _patient_leaks(patient, [*copies, *alike], part_of)
    leaks += [Leak(LeakKind.FILE, *pair, 1.0) for ids in by_digest.values() for pair in _crossing(ids, part_of)]
    for first, second, value in alike:
        leaks += [Leak(LeakKind.FILM, *pair, value) for pair in _crossing([first, second], part_of)]
    return LeakReport(tuple(leaks))


def _patient_leaks(
    patient: Mapping[str, str], copies: Sequence[tuple[str, str, float]], part_of: Mapping[str, str]
) -> list[Leak]:
    """Pairs of images of one patient; a copy ties the patient it is filed under to the patient of the original.

    A pair that is itself a copy under two patients' names is left to the leaks of files and films.
    """
    tied = duplicate_groups((patient[a], patient[b], value) for a, b, value in copies if patient[a] != patient[b])
    name = {one: group[0] for group in tied for one in group}
    by_patient: dict[str, list[str]] = defaultdict(list)
    for record_id, one in patient.items():
        by_patient[name.get(one, one)].append(record_id)
    listed = {frozenset(pair[:2]) for pair in copies}
    crossing = (pair for ids in by_patient.values() for pair in _crossing(ids, part_of))
    return [
        Leak(LeakKind.PATIENT, *pair)
        for pair in crossing
        if patient[pair[0]] == patient[pair[2]] or frozenset((pair[0], pair[2])) not in listed
    ]


def without_leaks(
    parts: Mapping[str, Sequence[ImageRecord]], report: LeakReport, *, keep: str
) -> dict[str, tuple[ImageRecord, ...]]:
    """Drop from the other parts what leaks into the part that is measured on.

    Args:
        parts: the parts that the report is about.
        report: their leaks.
        keep: the part left whole, e.g. `valid`, so that figures on it stay comparable with published ones.

    Returns:
        The parts; leaks among the others, if any, are left.
    """
    dropped = set()
    for leak in report.leaks:
        if leak.first_part == keep:
            dropped.add(leak.second)
        elif leak.second_part == keep:
            dropped.add(leak.first)
    return {part: tuple(record for record in own if record.record_id not in dropped) for part, own in parts.items()}


def with_duplicate_groups(
    records: Iterable[ImageRecord], pairs: Iterable[tuple[str, str, float]]
) -> tuple[ImageRecord, ...]:
    """Give copies of one film one patient, so that no split can part them.

    Args:
        records: of a data set that names no patients.
        pairs: as `near_duplicates` gives them, by record id.

    Returns:
        The records in the order given; in each group of copies the first name stands for the patient.
    """
    patient = {name: group[0] for group in duplicate_groups(pairs) for name in group}
    return tuple(
        record.model_copy(update={"patient_id": patient.get(record.record_id, record.patient_id)}) for record in records
    )


def _part_of(parts: Mapping[str, Sequence[ImageRecord]]) -> dict[str, str]:
    part_of: dict[str, str] = {}
    for part, own in parts.items():
        for record in own:
            if record.record_id in part_of:
                held = part_of[record.record_id]
                raise DataSetError(f"record {record.record_id!r} is in {held} and again in {part}; ids must be unique")
            part_of[record.record_id] = part
    return part_of


def _crossing(ids: Sequence[str], part_of: Mapping[str, str]) -> list[tuple[str, str, str, str]]:
    """Pairs (id, part, id, part) of records in different parts."""
    return [(a, part_of[a], b, part_of[b]) for a, b in combinations(ids, 2) if part_of[a] != part_of[b]]
