"""One structured report per DICOM study."""

from __future__ import annotations

from medground.cli.output import OutputFolder
from medground.dicom.image import DicomImage
from medground.dicom.sr import write_sr
from medground.inference.ground import Grounded
from medground.inference.views import Study
from medground.schema.errors import InputError, UsageError
from medground.schema.result import GroundingResult, StudyResult


def write_reports(grounded: Grounded, folder: OutputFolder) -> GroundingResult:
    """Write a report of every DICOM study as `sr/<study>.dcm`, counted from 1; plain pictures have none.

    Args:
        grounded: a result with its studies.
        folder: where the reports go.

    Returns:
        The result; a study whose header no report can be written from is warned about in it.
    """
    studies: list[StudyResult] = []
    for number, (study, answered) in enumerate(zip(grounded.studies, grounded.result.studies, strict=True), start=1):
        warned = answered
        if study.instances:
            try:
                document = write_sr(answered, grounded.result.model, grounded.result.settings, _images(study, answered))
                document.save_as(folder.path(f"sr/{number}.dcm"), enforce_file_format=True)
            except (UsageError, InputError) as error:
                warning = f"No structured report was written: {error}."
                warned = answered.model_copy(update={"warnings": (*answered.warnings, warning)})
        studies.append(warned)
    return grounded.result.model_copy(update={"studies": tuple(studies)})


def _images(study: Study, answered: StudyResult) -> dict[str, DicomImage]:
    """What the report refers to: the images examined, or where none was, the first, as what was asked about."""
    examined = {one.sop_instance_uid for answer in answered.answers for one in answer.examined}
    chosen = [one for one in study.instances if one.header.sop_instance_uid in examined] or list(study.instances[:1])
    return {instance.header.sop_instance_uid: instance.open() for instance in chosen}
