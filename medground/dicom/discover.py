"""Discovery: what is in the files, folders and ZIPs that a user names. Headers are read, pixels are not."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from medground.dicom.boundary import typed_errors
from medground.dicom.found import Found, files_in, members_of, printable
from medground.dicom.image import open_image
from medground.dicom.limits import Limits
from medground.dicom.native import stamp_of
from medground.dicom.series import Instance, Opener, Study, studies_of
from medground.dicom.source import ByteSource
from medground.schema.errors import InputError, InputNotFoundError, NotAnImageError, UnreadableFileError

_HEAD_BYTES = 4096
_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
_ZIPS = (b"PK\x03\x04", b"PK\x05\x06")
_DICOM_SUFFIXES = frozenset({".dcm", ".dicom", ".ima"})
_DESKTOP_FILES = frozenset({".ds_store", "thumbs.db", "desktop.ini"})


@dataclass(frozen=True, slots=True)
class Discovery:
    """What was found.

    Attributes:
        studies: DICOM images by study and series.
        pictures: PNG and JPEG files, by their first bytes.
        skipped: (source, reason) of objects in folders and ZIPs that are no images; they change no exit code.
        refused: (source, error) of what should have been an image and cannot be read.
        warnings: e.g. instances that came twice.
    """

    studies: tuple[Study, ...]
    pictures: tuple[Found, ...]
    skipped: tuple[tuple[str, str], ...]
    refused: tuple[tuple[str, InputError], ...]
    warnings: tuple[str, ...]


@dataclass(slots=True)
class _Tray:
    """What a discovery collects on its way."""

    instances: list[Instance] = field(default_factory=list)
    pictures: list[Found] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    refused: list[tuple[str, InputError]] = field(default_factory=list)

    def refuse(self, source: str, error: InputError) -> None:
        """Keep an error, but not the content of the file that its traceback refers to."""
        link: BaseException | None = error
        while link is not None:
            traceback.clear_frames(link.__traceback__)
            link = link.__cause__
        self.refused.append((source, error))


def discover(
    inputs: Sequence[Path | Found], *, limits: Limits | None = None, opener: Opener | None = None
) -> Discovery:
    """Find the images in files, folders (with their subfolders, sorted) and ZIPs.

    Args:
        inputs: as the user gave them, or files that have a name of their own. A file that is named itself and is no
            image is refused, not skipped.
        limits: what may be asked of the machine; the defaults of `Limits` if None.
        opener: how pixels are reached later; headers are read here in any case.
    """
    limits = limits or Limits()
    tray = _Tray()
    for given in inputs:
        try:
            with typed_errors(UnreadableFileError, "the input cannot be read"):
                for found in _files(given, limits):
                    _sort(found, tray, limits)
        except InputError as error:
            tray.refuse(given.source if isinstance(given, Found) else printable(given), error)
    instances, warnings = _without_doubles(tray.instances)
    if opener is not None:
        instances = [replace(instance, opener=opener, native=None) for instance in instances]
    studies = studies_of(instances)
    return Discovery(studies, tuple(tray.pictures), tuple(tray.skipped), tuple(tray.refused), tuple(warnings))


def _files(given: Path | Found, limits: Limits) -> Iterator[Found]:
    if isinstance(given, Found):
        yield given
    elif given.is_dir():
        yield from files_in(given, limits)
    elif given.exists():
        yield Found(printable(given), given, is_alone=True)
    else:
        raise InputNotFoundError(f"nothing is at {printable(given)}: check the path")


def _sort(found: Found, tray: _Tray, limits: Limits) -> None:
    """Put one file, or the members of one ZIP, where they belong."""
    try:
        members = _place(found, tray, limits)
    except NotAnImageError as error:
        if found.is_alone:
            tray.refuse(found.source, error)
        else:
            tray.skipped.append((found.source, str(error)))
    except InputError as error:
        tray.refuse(found.source, error)
    else:
        for member in members:
            _sort(member, tray, limits)


def _place(found: Found, tray: _Tray, limits: Limits) -> list[Found]:
    """Put one file where it belongs; of a ZIP return the members, but do not open one inside a ZIP."""
    content = found.content(limits)
    with ByteSource(content).view(limits) as data:
        head = bytes(data[:_HEAD_BYTES])
    is_dicom = head[128:132] == b"DICM"
    if not is_dicom and head.startswith(_ZIPS):
        if found.member is None:
            return members_of(found, limits)
        tray.skipped.append((found.source, "a ZIP inside a ZIP is not opened"))
    elif not is_dicom and head.startswith(_PICTURES):
        tray.pictures.append(found)
    elif not is_dicom and not found.is_alone and (reason := _other_kind(found, head)):
        tray.skipped.append((found.source, reason))
    else:
        tray.instances.append(_instance(found, content, limits))
    return []


def _instance(found: Found, content: Path | bytes, limits: Limits) -> Instance:
    stamp = stamp_of(content.stat()) if isinstance(content, Path) else None
    image = open_image(content, limits=limits)
    native = image.native_slice(content, stamp) if isinstance(content, Path) and stamp else None
    return Instance(found, image.header, native)


def _other_kind(found: Found, head: bytes) -> str | None:
    """Why a file that is no DICOM has no business being read; None for one that claims to be DICOM by its name."""
    name = Path(found.source.rpartition("!")[2]).name.lower()
    if name in _DESKTOP_FILES or "__MACOSX" in found.source:
        return "a file of the desktop"
    if Path(name).suffix in _DICOM_SUFFIXES:
        return None
    if head.startswith(b"%PDF"):
        return "a PDF"
    return "a text file" if _is_text(head) else None


def _is_text(head: bytes) -> bool:
    try:
        letters = head.decode("utf-8") if len(head) < _HEAD_BYTES else head[:-3].decode("utf-8", "ignore")
    except UnicodeDecodeError:
        return False
    return bool(letters) and all(letter.isprintable() or letter in "\t\r\n\f" for letter in letters)


def _without_doubles(instances: list[Instance]) -> tuple[list[Instance], list[str]]:
    """The first of every SOP instance, and a warning for each later one."""
    first: dict[str, Instance] = {}
    kept, warnings = [], []
    for instance in instances:
        uid = instance.header.sop_instance_uid
        before = first.setdefault(uid, instance) if uid else instance
        if before is instance:
            kept.append(instance)
        else:
            warnings.append(f"{instance.source} is the same instance as {before.source} and is not read twice")
    return kept, warnings
