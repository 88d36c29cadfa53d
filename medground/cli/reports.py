"""The DICOM objects of every study: structured report, presentation states, segmentations."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from pydicom import Dataset

from medground.cli.output import OutputFolder
from medground.dicom.gsps import write_gsps
from medground.dicom.image import DicomImage
from medground.dicom.seg import write_seg
from medground.dicom.sr import write_sr
from medground.inference.ground import Grounded
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


def write_reports(grounded: Grounded, folder: OutputFolder, formats: Collection[str] = ("sr",)) -> GroundingResult:
    """Write the DICOM objects of every DICOM study, counted from 1, as `<format>/<study>.dcm`; pictures have none.

    Should a study need several objects of one kind, those after the first are `<format>/<study>-2.dcm` and so on.

    Args:
        grounded: a result with its studies.
        folder: where the files go.
        formats: what is wanted; of it `sr`, `gsps` and `seg` count.

    Returns:
        The result; a study of whose header nothing can be written is warned about in it.
    """
    studies: list[StudyResult] = []
    for number, (study, answered) in enumerate(zip(grounded.studies, grounded.result.studies, strict=True), start=1):
        wanted = [format_ for format_ in WRITERS if format_ in formats] if study.instances else []
        warnings = _write(wanted, number, study, answered, grounded.result, folder)
        changed = {"warnings": (*answered.warnings, *warnings)}
        studies.append(answered.model_copy(update=changed) if warnings else answered)
    return grounded.result.model_copy(update={"studies": tuple(studies)})


def _write(
    wanted: Sequence[str],
    number: int,
    study: Study,
    answered: StudyResult,
    result: GroundingResult,
    folder: OutputFolder,
) -> list[str]:
    """Write the objects of one study; returns what to warn of."""
    warnings = []
    images: dict[str, DicomImage] = {}
    for format_ in wanted:
        name, write = WRITERS[format_]
        try:
            images = images or _images(study, answered)
            for part, written in enumerate(write(answered, result.model, result.settings, images), start=1):
                file = f"{number}.dcm" if part == 1 else f"{number}-{part}.dcm"
                written.save_as(folder.path(f"{format_}/{file}"), enforce_file_format=True)
        except (UsageError, InputError) as error:
            warnings.append(f"No {name} was written: {error}.")
    return warnings


def _images(study: Study, answered: StudyResult) -> dict[str, DicomImage]:
    """What the report refers to: the images examined, or where none was, the first, as what was asked about."""
    examined = {one.sop_instance_uid for answer in answered.answers for one in answer.examined}
    chosen = [one for one in study.instances if one.header.sop_instance_uid in examined] or list(study.instances[:1])
    return {instance.header.sop_instance_uid: instance.open() for instance in chosen}
