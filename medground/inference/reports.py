"""The DICOM objects of every study: structured report, presentation states, segmentations."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from pydicom import Dataset

from medground.dicom.gsps import write_gsps
from medground.dicom.image import DicomImage
from medground.dicom.seg import write_seg
from medground.dicom.sr import write_sr
from medground.inference.views import Study
from medground.schema.errors import InputError, UsageError
from medground.schema.result import GroundingResult, ModelInfo, Settings, StudyResult

Write = Callable[[StudyResult, ModelInfo, Settings, dict[str, DicomImage]], Sequence[Dataset]]


def _sr(study: StudyResult, model: ModelInfo, settings: Settings, images: dict[str, DicomImage]) -> tuple[Dataset, ...]:
    return (write_sr(study, model, settings, images),)


WRITERS: dict[str, tuple[str, Write]] = {
    "sr": ("structured report", _sr),
    "gsps": ("presentation state", write_gsps),
    "seg": ("segmentation", write_seg),
}


@dataclass(frozen=True, slots=True)
class Reports:
    """The DICOM objects of one study, by format in the order of `WRITERS`, and why some could not be written."""

    objects: dict[str, tuple[Dataset, ...]]
    warnings: tuple[str, ...] = ()


def study_reports(study: Study, answered: StudyResult, result: GroundingResult, formats: Collection[str]) -> Reports:
    """Make the DICOM objects of a study; a plain picture has none.

    Args:
        study: what was looked at.
        answered: what was answered of it.
        result: the whole result, whose model and settings the objects name.
        formats: what is wanted; of it `sr`, `gsps` and `seg` count.
    """
    objects: dict[str, tuple[Dataset, ...]] = {}
    warnings = []
    images: dict[str, DicomImage] = {}
    for format_ in [format_ for format_ in WRITERS if format_ in formats] if study.instances else []:
        name, write = WRITERS[format_]
        try:
            images = images or _images(study, answered)
            objects[format_] = tuple(write(answered, result.model, result.settings, images))
        except (UsageError, InputError) as error:
            warnings.append(f"No {name} was written: {error}.")
    return Reports(objects, tuple(warnings))


def with_warnings(result: GroundingResult, warnings: Sequence[Sequence[str]]) -> GroundingResult:
    """The result with more warnings of each of its studies."""
    studies = [
        study.model_copy(update={"warnings": (*study.warnings, *more)}) if more else study
        for study, more in zip(result.studies, warnings, strict=True)
    ]
    return result.model_copy(update={"studies": tuple(studies)})


def _images(study: Study, answered: StudyResult) -> dict[str, DicomImage]:
    """What the report refers to: the images examined, or where none was, the first, as what was asked about."""
    examined = {one.sop_instance_uid for answer in answered.answers for one in answer.examined}
    chosen = [one for one in study.instances if one.header.sop_instance_uid in examined] or list(study.instances[:1])
    return {instance.header.sop_instance_uid: instance.open() for instance in chosen}
