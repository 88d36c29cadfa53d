"""Gathers what can be looked at from files: DICOM studies and plain pictures become studies of views."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medground.dicom.discover import Discovery, discover
from medground.dicom.found import Found
from medground.dicom.geometry import plane_of
from medground.dicom.header import ImageHeader
from medground.dicom.image import DicomImage
from medground.dicom.series import Instance, Opener, Series, are_parallel
from medground.dicom.series import Study as DicomStudy
from medground.imaging.picture import is_jpeg, read_picture
from medground.inference.ids import instance_key
from medground.inference.views import Group, Study, View
from medground.schema.errors import InputError, NotAnImageError
from medground.schema.result import Refusal

LUNG_WINDOW = "lung"  # the window that the model was trained with on CT, whatever the object's own


@dataclass(frozen=True, slots=True)
class Gathered:
    """Studies with at least one image, and what was refused or skipped on the way."""

    studies: tuple[Study, ...]
    refused: tuple[Refusal, ...] = ()
    skipped: tuple[Refusal, ...] = ()


def gather(inputs: Sequence[Path | Found], *, opener: Opener | None = None) -> Gathered:
    """Find the images in files, folders and ZIPs; headers are read, pixels are not.

    The same picture given twice is one study with two sources.

    Args:
        inputs: as the user gave them, or files that have a name of their own.
        opener: opens DICOM objects when their pixels are wanted; `open_image` if None.

    Raises:
        InputError: there is no image at all; the class is that of the first refusal.
    """
    found = discover(inputs, opener=opener)
    refused = [Refusal(source=source, error=str(error)) for source, error in found.refused]
    studies = [_dicom_study(study, found.warnings) for study in found.studies]
    pictures: dict[str, Study] = {}
    for picture in found.pictures:
        try:
            study = _picture_study(picture)
        except InputError as error:
            refused.append(Refusal(source=picture.source, error=str(error)))
            continue
        (key,) = study.instance_keys
        before = pictures.get(key)
        sources = (*before.sources, *study.sources) if before else study.sources
        pictures[key] = Study(None, sources, before.groups if before else study.groups, study.warnings)
    studies += pictures.values()
    if not studies:
        raise _nothing_to_look_at(found)
    skipped = tuple(Refusal(source=source, error=reason) for source, reason in found.skipped)
    return Gathered(tuple(studies), tuple(refused), skipped)


def _nothing_to_look_at(found: Discovery) -> InputError:
    if found.refused:
        source, error = found.refused[0]
        more = f" (and {len(found.refused) - 1} more inputs)" if len(found.refused) > 1 else ""
        sentence = str(error) if source in str(error) else f"{source}: {error}"
        return type(error)(f"{sentence}{more}")
    if found.skipped:
        source, reason = found.skipped[0]
        return NotAnImageError(f"none of the {len(found.skipped)} files is an image, e.g. {source}: {reason}")
    return NotAnImageError("the inputs hold no file; give a DICOM file, a folder, a ZIP, a PNG or a JPEG")


def _picture_study(picture: Found) -> Study:
    content = picture.content()

    def display() -> NDArray[np.float32]:
        return read_picture(picture.content(), name=picture.source)

    view = View(instance_key(None, content), picture.source, 1, None, None, display)
    lossy = ("It is a JPEG, compressed with loss: small or faint findings may have changed.",)
    return Study(None, (picture.source,), (Group((view,)),), lossy if is_jpeg(content) else ())


def _dicom_study(study: DicomStudy, warnings: Sequence[str]) -> Study:
    groups = [group for series in study.series for group in _groups(series)]
    instances = tuple(instance for series in study.series for instance in series.instances)
    sources = tuple(instance.source for instance in instances)
    noticed = [warning for series in study.series for warning in series.warnings]
    noticed += [warning for warning in warnings if any(source in warning for source in sources)]
    noticed += _lossy([instance.header for instance in instances])
    return Study(study.study_instance_uid or None, sources, tuple(groups), tuple(noticed), instances)


def _lossy(headers: Sequence[ImageHeader]) -> list[str]:
    """What is told of images that lost detail when they were compressed."""
    lossy = [header for header in headers if header.lossy]
    if not lossy:
        return []
    ratios = [header.lossy_ratio for header in lossy if header.lossy_ratio is not None]
    told = f" ({'up to ' if len(ratios) > 1 else ''}{max(ratios):.3g}:1)" if ratios else ""
    some = f"{len(lossy)} of its {len(headers)} images {'was' if len(lossy) == 1 else 'were'}"
    which = "Its image was" if len(headers) == 1 else some
    return [f"{which} compressed with loss{told}: small or faint findings may have changed."]


def _groups(series: Series) -> list[Group]:
    """A CT stack is a volume, and so is a multi-frame CT; everything else is looked at frame by frame."""
    if series.is_volume and series.instances[0].header.modality == "CT":
        return [Group(tuple(view for instance in series.instances for view in _views(instance)), is_volume=True)]
    groups: list[Group] = []
    for instance in series.instances:
        views = _views(instance)
        if instance.header.modality == "CT" and len(views) > 1 and _is_stack(views):
            groups.append(Group(tuple(sorted(views, key=_place)), is_volume=True))
        else:
            groups += [Group((view,)) for view in views]
    return groups


def _is_stack(views: Sequence[View]) -> bool:
    """Whether the frames of one object lie in the patient, all in the same direction."""
    planes = [view.plane for view in views if view.plane]
    return len(planes) == len(views) and all(are_parallel(planes[0], plane) for plane in planes[1:])


def _place(view: View) -> float:
    return view.plane.along_normal_mm if view.plane else 0.0


def _views(instance: Instance) -> list[View]:
    header = instance.header
    key = header.sop_instance_uid or instance_key(None, instance.found.content())
    window = LUNG_WINDOW if header.modality == "CT" else None
    # A file of many frames is parsed once and not once per frame; one of a thousand slices is not kept open.
    opened = lru_cache(maxsize=1)(instance.open) if header.frames > 1 else instance.open
    return [
        View(
            key,
            instance.source,
            frame,
            header,
            opened().frame_geometry(frame) if header.frames > 1 else plane_of(header),
            partial(_display, opened, frame, window),
        )
        for frame in range(1, header.frames + 1)
    ]


def _display(opened: Callable[[], DicomImage], frame: int, window: str | None) -> NDArray[np.float32]:
    return opened().display(frame, window=window)
