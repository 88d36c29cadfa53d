"""A whole run: every object below a source cleaned into a hidden folder, searched again, and published together."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydicom.uid import UID

from medground import __version__
from medground.dicom.boundary import typed_errors
from medground.dicom.deidentify.cleaning import Cleaner
from medground.dicom.deidentify.instance import deidentified, read_source
from medground.dicom.deidentify.options import Options
from medground.dicom.deidentify.profile import EDITION
from medground.dicom.deidentify.pseudonyms import Pseudonyms, identity_of
from medground.dicom.deidentify.refusal import DIRECTORY, reason_to_refuse
from medground.dicom.deidentify.report import REPORT, FileReport, Outcome, Report, ScanReport
from medground.dicom.deidentify.residue.search import DatedFrom, Residue, dated_from, residues
from medground.dicom.deidentify.residue.values import Allowed, Values, values_of
from medground.dicom.elements import text
from medground.dicom.found import Found, files_in, members_of
from medground.dicom.limits import Limits
from medground.dicom.source import ByteSource
from medground.schema.errors import InputError, InputNotFoundError, UnreadableFileError, UsageError

_ZIPS: Final = (b"PK\x03\x04", b"PK\x05\x06")
_MOST_TOLD: Final = 8
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class _Written:
    """A file in the hidden folder that waits for the second scan."""

    number: int
    name: str
    patient: str
    dated: DatedFrom | None


@dataclass(slots=True)
class _Tray:
    files: list[FileReport] = field(default_factory=list)
    written: list[_Written] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    patients: dict[str, Values] = field(default_factory=dict)


def deidentify(
    source: Path,
    out: Path,
    options: Options,
    key: bytes,
    *,
    key_kept: bool = False,
    limits: Limits | None = None,
    progress: Progress = lambda *_: None,
) -> Report:
    """De-identify everything below a source.

    Args:
        source: a DICOM file, a folder with its subfolders, or a ZIP.
        out: the folder to be made; it must be absent or empty.
        options: what is kept.
        key: secret of the pseudonyms, 32 bytes.
        key_kept: the key is in a file, so the run can be repeated; for the report.
        limits: what may be asked of the machine; the defaults of `Limits` if None.
        progress: called with the step, the number of files done and their total.

    Returns:
        What was done; it also stands in the folder.

    Raises:
        UsageError: the output folder is not empty, or lies in the source.
        InputError: nothing could be de-identified, or an identifying value was left; then nothing is published.
    """
    limits = limits or Limits()
    _check_folders(source, out)
    founds = list(_files(source, limits))
    with _staging(out) as staging:
        tray = _Tray()
        worker = _Worker(options, Pseudonyms(key), limits, staging)
        for done, found in enumerate(founds, start=1):
            worker.take(done, found, tray)
            progress("cleaned", done, len(founds))
        if not tray.written:
            raise InputError(_nothing_written(tray.files))
        _scan(staging, tray, progress)
        report = _report(tray, options, key_kept)
        _write(staging / REPORT, (report.model_dump_json(indent=2) + "\n").encode("utf-8"))
        _publish(staging, out)
    return report


class _Worker:
    """Takes one file after another into the hidden folder."""

    def __init__(self, options: Options, pseudonyms: Pseudonyms, limits: Limits, staging: Path) -> None:
        self._options = options
        self._pseudonyms = pseudonyms
        self._limits = limits
        self._staging = staging
        self._cleaner = Cleaner(options, pseudonyms)
        self._allowed = Allowed(
            patient_characteristics=options.keep_patient_characteristics,
            device=options.keep_device,
            uids=options.keep_uids,
        )

    def take(self, number: int, found: Found, tray: _Tray) -> None:
        """Clean one file; whatever becomes of it is noted."""
        try:
            with typed_errors(UnreadableFileError, "the file cannot be read"):
                content = found.content(self._limits)
                if not found.is_alone and (kind := _no_dicom(content, self._limits)):
                    tray.files.append(FileReport(number=number, outcome=Outcome.SKIPPED, reason=kind))
                    return
                tray.files.append(self._taken(number, content, tray))
        except InputError as error:
            reason = str(error).replace(str(found.path), "the file").replace(found.source, "the file")
            tray.files.append(FileReport(number=number, outcome=Outcome.REFUSED, reason=reason))

    def _taken(self, number: int, content: Path | bytes, tray: _Tray) -> FileReport:
        source = read_source(content, self._limits)
        sop_class = text(source.dataset, "SOPClassUID") or str(source.dataset.file_meta.get("MediaStorageSOPClassUID"))
        kind = UID(sop_class).name if UID(sop_class).name != sop_class else "private class of object"
        if sop_class == DIRECTORY:
            return FileReport(number=number, outcome=Outcome.SKIPPED, reason="a DICOMDIR", sop_class=kind)
        reason = reason_to_refuse(source.dataset, self._options, has_pixels=source.parsed is not None)
        if reason:
            return FileReport(number=number, outcome=Outcome.REFUSED, reason=reason, sop_class=kind)
        patient = self._pseudonyms.patient(identity_of(source.dataset))
        values = values_of(source.dataset, self._allowed)
        dated = dated_from(source.dataset) if self._options.shift_dates else None
        dataset, output, counts = deidentified(source, self._cleaner, self._limits)
        levels = (dataset.get("StudyInstanceUID"), dataset.get("SeriesInstanceUID"), dataset.SOPInstanceUID)
        name = "/".join(self._pseudonyms.name(str(uid)) for uid in levels) + ".dcm"
        if name in tray.names:
            return FileReport(number=number, outcome=Outcome.SKIPPED, reason="an instance that came before")
        _write(self._staging / name, output)
        tray.names.add(name)
        tray.written.append(_Written(number, name, patient, dated))
        tray.patients.setdefault(patient, Values()).merge(values)
        changed: dict[str, dict[str, int]] = {}
        for (action, tag), count in sorted(counts.items()):
            changed.setdefault(action.value, {})[tag] = count
        return FileReport(number=number, outcome=Outcome.WRITTEN, output=name, sop_class=kind, changed=changed)


def _scan(staging: Path, tray: _Tray, progress: Progress) -> None:
    """Search every file for what identifies its patient.

    Raises:
        InputError: something was left.
    """
    left: list[tuple[int, Residue]] = []
    for done, file in enumerate(tray.written, start=1):
        with typed_errors(UnreadableFileError, "a written file cannot be read again"):
            output = (staging / file.name).read_bytes()
            found = residues(output, file.name, tray.patients[file.patient], file.dated)
        left.extend((file.number, residue) for residue in dict.fromkeys(found))
        progress("searched", done, len(tray.written))
    if left:
        told = "; ".join(f"file {number}: {one.kind} in {one.where}" for number, one in left[:_MOST_TOLD])
        more = f"; and {len(left) - _MOST_TOLD} more" if len(left) > _MOST_TOLD else ""
        raise InputError(
            f"identifying values are left after de-identification, so nothing was published: {told}{more}; "
            "remove them at the source or leave these files out (files are numbered in the order of their paths)"
        )


def _report(tray: _Tray, options: Options, key_kept: bool) -> Report:
    values = list(tray.patients.values())
    scan = ScanReport(
        files=len(tray.written),
        patients=len(values),
        values=sum(one.searched for one in values),
        too_short=sum(len(one.too_short) for one in values),
        ordinary=sum(len(one.ordinary) for one in values),
    )
    return Report(
        code_version=__version__,
        profile_edition=EDITION,
        options=options,
        key_kept=key_kept,
        files=tuple(tray.files),
        scan=scan,
    )


def _nothing_written(files: list[FileReport]) -> str:
    refused = [file for file in files if file.outcome is Outcome.REFUSED]
    if not refused:
        return f"there is no DICOM object among the {len(files)} files; give a file, folder or ZIP that holds some"
    return f"nothing could be de-identified: {len(refused)} files were refused, the first because {refused[0].reason}"


def _files(source: Path, limits: Limits) -> Iterator[Found]:
    """The files below the source, members of ZIPs included, in the order of their paths."""
    with typed_errors(UnreadableFileError, "the source cannot be read"):
        alone = not source.is_dir()
        for found in [Found(str(source), source, is_alone=True)] if alone else files_in(source, limits):
            yield from members_of(found, limits) if _is_zip(found.path, limits) else [found]


def _is_zip(path: Path, limits: Limits) -> bool:
    try:
        with ByteSource(path).view(limits) as data:
            return bytes(data[128:132]) != b"DICM" and bytes(data[:4]) in _ZIPS
    except InputError:
        return False  # whoever reads it next says why


def _no_dicom(content: Path | bytes, limits: Limits) -> str | None:
    """Why a file in a folder or ZIP is passed over; None if it may be a DICOM object."""
    with ByteSource(content).view(limits) as data:
        head = bytes(data[:132])
    if head[128:132] == b"DICM" or head[:2] in (b"\x02\x00", b"\x08\x00", b"\x00\x08"):
        return None
    return "a ZIP inside a ZIP" if head.startswith(_ZIPS) else "no DICOM object"


def _check_folders(source: Path, out: Path) -> None:
    if not source.exists():
        raise InputNotFoundError("nothing is at the source: check the path")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError("--out is there already and not an empty folder; name a new one")
    if source.is_dir() and out.resolve().is_relative_to(source.resolve()):
        raise UsageError("--out lies inside the source, and a later run would read it as input; name another folder")


@contextmanager
def _staging(out: Path) -> Iterator[Path]:
    """A hidden folder beside the output, removed again unless it was published; all that a killed run leaves."""
    try:
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{out.name}.unfinished-", dir=out.absolute().parent))
    except OSError as cause:
        raise UsageError(f"--out cannot be written to ({cause.strerror}); name a folder") from cause
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as cause:
        raise UsageError(f"--out cannot be written to ({cause.strerror}); make room, or name a folder") from cause


def _publish(staging: Path, out: Path) -> None:
    """One rename: the folder is there whole, or not at all."""
    try:
        staging.chmod(0o755)
        if out.exists():
            out.rmdir()
        staging.rename(out)
    except OSError as cause:
        raise UsageError(f"--out cannot be made ({cause.strerror}); name a new folder") from cause
