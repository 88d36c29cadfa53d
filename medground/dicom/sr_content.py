"""Content of the structured report: one TID 1410 group for each finding, and the answers as qualitative evaluations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from highdicom import sr
from numpy.typing import NDArray
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from medground.dicom import sr_codes
from medground.dicom.header import ImageHeader
from medground.dicom.identifiers import uid_of
from medground.dicom.image import DicomImage
from medground.schema.errors import UsageError
from medground.schema.result import Answer, Finding, ModelInfo, Settings, SizeMm, StudyResult

Groups = list[sr.PlanarROIMeasurementsAndQualitativeEvaluations]


def report_root(
    study: StudyResult, model: ModelInfo, groups: Groups, headers: Sequence[ImageHeader]
) -> sr.ContainerContentItem:
    """The root of the content tree (TID 1500).

    highdicom's own MeasurementReport needs at least one measurement; a report that nothing was found has none.

    Args:
        study: all answers about the study.
        model: the observing device.
        groups: see `measurement_groups`; may be empty.
        headers: of the images examined, listed as the image library.
    """
    contains = sr.RelationshipTypeValues.CONTAINS
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=uid_of("device", model.sha256), name=model.name, manufacturer_name="medground", model_name=model.version
    )
    root = sr.ContainerContentItem(name=codes.DCM.ImagingMeasurementReport, template_id="1500")
    root.ContentSequence = sr.ContentSequence(
        [
            *sr.LanguageOfContentItemAndDescendants(sr_codes.ENGLISH),
            *sr.ObservationContext(observer_device_context=sr.ObserverContext(codes.DCM.Device, device)),
            sr.CodeContentItem(
                codes.DCM.ProcedureReported,
                sr_codes.IMAGING_PROCEDURE,
                relationship_type=sr.RelationshipTypeValues.HAS_CONCEPT_MOD,
            ),
            _image_library(headers),
        ]
    )
    if groups:
        measurements = sr.ContainerContentItem(codes.DCM.ImagingMeasurements, relationship_type=contains)
        measurements.ContentSequence = sr.ContentSequence([item for group in groups for item in group])
        root.ContentSequence.append(measurements)
    root.ContentSequence.append(_answers(study))
    return root


def _image_library(headers: Sequence[ImageHeader]) -> sr.ContainerContentItem:
    """The images examined (TID 1600), with modality and size alone: many real images lack more."""
    contains, context = sr.RelationshipTypeValues.CONTAINS, sr.RelationshipTypeValues.HAS_ACQ_CONTEXT
    group = sr.ContainerContentItem(codes.DCM.ImageLibraryGroup, relationship_type=contains)
    group.ContentSequence = sr.ContentSequence()
    for header in headers:
        entry = sr.ImageContentItem(
            sr_codes.SOURCE, header.sop_class_uid, header.sop_instance_uid, relationship_type=contains
        )
        sizes = ((codes.DCM.PixelDataRows, header.rows), (codes.DCM.PixelDataColumns, header.columns))
        modality = sr_codes.modality_of(header.modality)
        entry.ContentSequence = sr.ContentSequence(
            [
                sr.CodeContentItem(codes.DCM.Modality, modality, relationship_type=context),
                *(sr.NumContentItem(name, size, sr_codes.PIXELS, relationship_type=context) for name, size in sizes),
            ]
        )
        group.ContentSequence.append(entry)
    library = sr.ContainerContentItem(codes.DCM.ImageLibrary, relationship_type=contains)
    library.ContentSequence = sr.ContentSequence([group])
    return library


def measurement_groups(
    study: StudyResult, model: ModelInfo, settings: Settings, images: Mapping[str, DicomImage], identity: str
) -> Groups:
    """One group for each finding of each answer, in the order of the result.

    Args:
        study: all answers about the study.
        model: named as the algorithm.
        settings: named as the algorithm's parameters.
        images: SOP Instance UID to image, for each image that a finding lies on.
        identity: text that no other report shares; tracking UIDs follow from it.
    """
    algorithm = sr.AlgorithmIdentification(
        name=model.name,
        version=model.version,
        parameters=[
            f"bundle_sha256={model.sha256}",
            *(f"{key}={value}" for key, value in settings.model_dump().items()),
        ],
    )
    return [
        _group(finding, _header_of(finding, images), algorithm, uid_of(identity, answer.id, finding.id))
        for answer in study.answers
        for finding in answer.findings
    ]


def _header_of(finding: Finding, images: Mapping[str, DicomImage]) -> ImageHeader:
    image = images.get(finding.sop_instance_uid or "")
    if image is None:
        raise UsageError(
            f"finding {finding.id} lies on instance {finding.sop_instance_uid}, which is not among the images given"
        )
    return image.header


def _group(
    finding: Finding, header: ImageHeader, algorithm: sr.AlgorithmIdentification, tracking_uid: str
) -> sr.PlanarROIMeasurementsAndQualitativeEvaluations:
    """A finding as TID 1410: closed polyline, code, site, certainty, size, words.

    The exact score is text. As a number it would be a measurement, and viewers that look for the region under the
    first number of a group then lose the box; for the same reason each length carries the coordinates it was
    inferred from.
    """
    frames = [finding.frame] if header.frames > 1 else None
    outline = _outline(finding)
    source = sr.SourceImageForRegion(header.sop_class_uid, header.sop_instance_uid, frames)
    concept = finding.concept.code
    site = _site(finding, header)
    group = sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid=tracking_uid, identifier=finding.id),
        referenced_region=sr.ImageRegion(sr.GraphicTypeValues.POLYLINE, outline, source),
        finding_type=Code(concept.value, concept.scheme, concept.meaning),
        algorithm_id=algorithm,
        finding_sites=[site] if site else None,
        qualitative_evaluations=[
            sr.QualitativeEvaluation(sr_codes.CERTAINTY, sr_codes.certainty_of(finding.score)),
        ],
    )
    for length in _lengths(finding.size_mm) if finding.size_mm else []:
        length[0].ContentSequence.append(_inferred_from(outline, source))
        group[0].ContentSequence.extend(length)
    for name, words in ((sr_codes.COMMENT, finding.description.text), (sr_codes.SCORE, f"{finding.score:.4f}")):
        group[0].ContentSequence.append(_text(name, words))
    return group


def _outline(finding: Finding) -> NDArray[np.float64]:
    """The corners of the box, the first one again at the end; SCOORD counts pixels as Box does."""
    x1, y1, x2, y2 = finding.box_xyxy_px
    return np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2), (x1, y1)], np.float64)


def _site(finding: Finding, header: ImageHeader) -> sr.FindingSite | None:
    """Zone of the lung or imaged part of the body, with the side; None where neither part nor side is known."""
    laterality = sr_codes.LATERALITIES[finding.laterality] if finding.laterality else None
    part = sr_codes.BODY_PARTS.get(header.body_part or "")
    location = sr_codes.LUNG_ZONES[finding.zone] if finding.zone else part
    if location is None and laterality is None:
        return None
    return sr.FindingSite(location or sr_codes.ANY_BODY_PART, laterality=laterality)


def _lengths(size: SizeMm) -> list[sr.Measurement]:
    """Extent of the box in millimetres, with the plane that its spacing belongs to as the method."""
    extents = ((sr_codes.WIDTH, size.width), (sr_codes.HEIGHT, size.height), (sr_codes.DEPTH, size.depth))
    return [
        sr.Measurement(
            name=name,
            value=round(length, 2),
            unit=Code("mm", "UCUM", "millimeter"),
            method=sr_codes.measurement_method(size.spacing_source),
        )
        for name, length in extents
        if length is not None
    ]


def _inferred_from(outline: NDArray[np.float64], image: sr.SourceImageForRegion) -> sr.ScoordContentItem:
    coordinates = sr.ScoordContentItem(
        codes.DCM.ImageRegion,
        sr.GraphicTypeValues.POLYLINE,
        outline,
        relationship_type=sr.RelationshipTypeValues.INFERRED_FROM,
    )
    coordinates.ContentSequence = sr.ContentSequence([image])
    return coordinates


def _answers(study: StudyResult) -> sr.ContainerContentItem:
    """Questions, verdicts, presence and warnings in order (TID 1500, Qualitative Evaluations: codes and texts only)."""
    container = sr.ContainerContentItem(
        name=sr_codes.QUALITATIVE_EVALUATIONS, relationship_type=sr.RelationshipTypeValues.CONTAINS
    )
    items = [item for answer in study.answers for item in _answer(answer)]
    items += [_text(sr_codes.WARNING, warning) for warning in study.warnings]
    container.ContentSequence = sr.ContentSequence(items)
    return container


def _answer(answer: Answer) -> list[sr.ContentItem]:
    items: list[sr.ContentItem] = [
        _text(sr_codes.QUESTION, answer.query),
        sr.CodeContentItem(
            sr_codes.VERDICT, sr_codes.VERDICTS[answer.verdict], relationship_type=sr.RelationshipTypeValues.CONTAINS
        ),
    ]
    if answer.presence is not None:
        items.append(_text(sr_codes.PRESENCE, f"{answer.presence:.4f}"))
    return items + [_text(sr_codes.WARNING, warning) for warning in answer.warnings]


def _text(name: Code, words: str) -> sr.TextContentItem:
    return sr.TextContentItem(name, words, relationship_type=sr.RelationshipTypeValues.CONTAINS)
