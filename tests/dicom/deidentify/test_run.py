from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.fileset import FileSet
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from medground.data.phantom.chest_ct import chest_ct
from medground.data.phantom.chest_radiograph import chest_radiograph
from medground.data.phantom.dicom_study import write_ct_study, write_radiograph_study
from medground.dicom.deidentify.options import Options
from medground.dicom.deidentify.report import REPORT, Outcome, Report
from medground.dicom.deidentify.run import deidentify
from medground.dicom.image import open_image
from medground.schema.errors import InputError, InputNotFoundError, UsageError
from tests.full_disk import no_file_longer_than

KEY = bytes(range(32))
Run = Callable[..., tuple[Report, list[Path]]]
File = Callable[..., bytes]


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_a_file_and_a_zip_give_the_same(patient_file: File, tmp_path: Path) -> None:
    source = tmp_path / "Annegret"
    source.mkdir()
    (source / "a.dcm").write_bytes(patient_file())
    (source / "notes.txt").write_text("Annegret")
    with zipfile.ZipFile(tmp_path / "annegret.zip", "w") as archive:
        archive.write(source / "a.dcm", "Annegret/a.dcm")
    found = {}
    for number, given in enumerate((source, source / "a.dcm", tmp_path / "annegret.zip")):
        report = deidentify(given, tmp_path / f"out{number}", Options(), KEY)
        assert report.count(Outcome.WRITTEN) == 1
        assert report.count(Outcome.SKIPPED) == (number == 0)
        found[number] = {n: c for n, c in tree(tmp_path / f"out{number}").items() if n.endswith(".dcm")}
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == 1


def test_the_report_tells_numbers_and_no_values_or_names(patient_file: File, tmp_path: Path) -> None:
    source = tmp_path / "Müller-Ostrowski"
    source.mkdir()
    (source / "Annegret.dcm").write_bytes(patient_file())
    (source / "Ottokar.dcm").write_bytes(
        patient_file(SOPInstanceUID="1.2.826.0.1.3680043.77.9", BurnedInAnnotation="YES")
    )
    (source / "Quacksalber.dcm").write_bytes(patient_file()[:600])
    deidentify(source, tmp_path / "out", Options(), KEY)
    text = (tmp_path / "out" / REPORT).read_text()
    report = Report.model_validate_json(text)
    assert [file.outcome for file in report.files] == [Outcome.WRITTEN, Outcome.REFUSED, Outcome.REFUSED]
    assert report.files[0].changed["replaced by a pseudonym"] == {"(0010,0010)": 1, "(0010,0020)": 1}
    assert report.changed()["UID remapped"]["(0008,0018)"] == 1
    assert "--allow-burned-in" in str(report.files[1].reason)
    assert report.scan.values > 40
    for word in ("Annegret", "ller-Ostrowski", "Ottokar", "Quacksalber", "4711", "1953", "3680043", str(tmp_path)):
        assert word.lower() not in text.lower()
    assert KEY.hex() not in text
    json.loads(text)


def test_studies_of_a_patient_stay_together_and_those_of_others_apart(patient_file: File, deidentified: Run) -> None:
    _, paths = deidentified(
        patient_file(SOPInstanceUID="1.2.3.4.1"),
        patient_file(SOPInstanceUID="1.2.3.4.2", StudyInstanceUID="1.2.3.4.9", StudyDate="20250202"),
        patient_file(SOPInstanceUID="1.2.3.4.3", PatientID="other-patient"),
        shift_dates=True,
    )
    first, second, third = map(dcmread, paths)
    assert first.PatientID == second.PatientID != third.PatientID
    assert first.StudyInstanceUID == third.StudyInstanceUID != second.StudyInstanceUID
    assert paths[0].parents[1] == paths[2].parents[1] != paths[1].parents[1]
    days = [datetime.strptime(str(one.StudyDate), "%Y%m%d") for one in (first, second)]
    assert (days[1] - days[0]).days == 31
    assert days[0].year < 2025


def test_file_meta_and_preamble_are_made_anew(patient_file: File, write_bytes: Any, deidentified: Run) -> None:
    dataset = dcmread(io.BytesIO(patient_file()))
    dataset.file_meta.SourceApplicationEntityTitle = "XANTEN_PACS"
    dataset.file_meta.ImplementationVersionName = "XANTEN"
    dataset.preamble = b"Annegret".ljust(128)
    _, (path,) = deidentified(write_bytes(dataset))
    content = path.read_bytes()
    assert content[:128] == bytes(128)
    assert b"XANTEN" not in content
    meta = dcmread(path).file_meta
    assert meta.MediaStorageSOPInstanceUID == dcmread(path).SOPInstanceUID
    assert "SourceApplicationEntityTitle" not in meta


def test_what_is_left_stops_the_whole_run_and_is_not_quoted(patient_file: File, tmp_path: Path) -> None:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "1", "99X", "for Annegret"
    source = tmp_path / "source"
    source.mkdir()
    (source / "1.dcm").write_bytes(patient_file(SOPInstanceUID="1.2.3.4.1"))
    (source / "2.dcm").write_bytes(patient_file(SOPInstanceUID="1.2.3.4.2", AnatomicRegionSequence=[code]))
    with pytest.raises(InputError, match=r"file 2: word of a name in \(0008,0104\)") as caught:
        deidentify(source, tmp_path / "out", Options(), KEY)
    assert "annegret" not in str(caught.value).lower()
    assert caught.value.exit_code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_an_identity_known_from_one_file_is_found_in_another_of_the_patient(patient_file: File, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "1.dcm").write_bytes(patient_file(SOPInstanceUID="1.2.3.4.1"))
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "1", "99X", "Annegret"
    nameless = patient_file(SOPInstanceUID="1.2.3.4.2", PatientName="", AnatomicRegionSequence=[code])
    (source / "2.dcm").write_bytes(nameless)
    with pytest.raises(InputError, match="file 2"):
        deidentify(source, tmp_path / "out", Options(), KEY)


def test_documents_and_directories(patient_file: File, write_bytes: Any, tmp_path: Path) -> None:
    source = tmp_path / "source"
    files = FileSet()
    files.add(dcmread(io.BytesIO(patient_file(InstanceNumber=1, StudyID="1", SeriesNumber=1))))
    files.write(source)
    document = dcmread(io.BytesIO(patient_file()))
    del document.PixelData
    document.SOPClassUID, document.EncapsulatedDocument = "1.2.840.10008.5.1.4.1.1.104.1", b"%PDF-1.4"
    (source / "z.dcm").write_bytes(write_bytes(document))
    report = deidentify(source, tmp_path / "out", Options(), KEY)
    assert sorted((file.outcome.value, file.reason is None) for file in report.files) == [
        ("refused", False), ("skipped", False), ("written", True),
    ]  # fmt: skip
    assert {file.reason for file in report.files if file.outcome is Outcome.SKIPPED} == {"a DICOMDIR"}


def test_the_same_instance_twice_is_written_once(patient_file: File, deidentified: Run) -> None:
    report, paths = deidentified(patient_file(), patient_file())
    assert len(paths) == 1
    assert report.files[1].outcome is Outcome.SKIPPED


def test_nothing_to_write_is_an_error_and_leaves_nothing(patient_file: File, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.txt").write_text("no DICOM")
    with pytest.raises(InputError, match="no DICOM object among the 1 files"):
        deidentify(source, tmp_path / "out", Options(), KEY)
    (source / "b.dcm").write_bytes(patient_file(BurnedInAnnotation="YES"))
    with pytest.raises(InputError, match="nothing could be de-identified"):
        deidentify(source, tmp_path / "out", Options(), KEY)
    with pytest.raises(InputNotFoundError):
        deidentify(tmp_path / "absent", tmp_path / "out", Options(), KEY)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_an_output_that_is_there_or_inside_the_source_is_refused(patient_file: File, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.dcm").write_bytes(patient_file())
    with pytest.raises(UsageError, match="inside the source"):
        deidentify(source, source / "out", Options(), KEY)
    with pytest.raises(UsageError, match="not an empty folder"):
        deidentify(source, source, Options(), KEY)
    (tmp_path / "empty").mkdir()
    assert deidentify(source, tmp_path / "empty", Options(), KEY).count(Outcome.WRITTEN) == 1


def test_a_full_disk_publishes_nothing(patient_file: File, tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(patient_file())
    with no_file_longer_than(1000), pytest.raises(UsageError, match="cannot be written"):
        deidentify(tmp_path / "a.dcm", tmp_path / "out", Options(), KEY)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.dcm"]


def test_a_killed_run_leaves_only_a_hidden_folder(patient_file: File, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for number in range(3):
        (source / f"{number}.dcm").write_bytes(patient_file(SOPInstanceUID=f"1.2.3.4.{number}"))
    script = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from medground.dicom.deidentify.options import Options\n"
        "from medground.dicom.deidentify.run import deidentify\n"
        "def kill(step, done, total):\n    if (step, done) == ('searched', 2): os.kill(os.getpid(), signal.SIGKILL)\n"
        "deidentify(Path(sys.argv[1]), Path(sys.argv[2]), Options(), bytes(32), progress=kill)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, source, tmp_path / "out"], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    left = [path.name for path in tmp_path.iterdir() if path.name != "source"]
    assert len(left) == 1
    assert left[0].startswith(".out.unfinished-")
    assert deidentify(source, tmp_path / "out", Options(), KEY).count(Outcome.WRITTEN) == 3


@pytest.mark.judge("dicom3tools")
@pytest.mark.parametrize("shift", [False, True])
def test_valid_files_stay_valid(dciodvfy: str, tmp_path: Path, shift: bool) -> None:
    write_radiograph_study(chest_radiograph(5, size_px=64, findings=[]), tmp_path / "source")
    for path in write_ct_study(chest_ct(5, size_px=64, slices=8), tmp_path / "source")[2:]:
        path.unlink()
    deidentify(tmp_path / "source", tmp_path / "out", Options(shift_dates=shift, allow_burned_in=True), KEY)
    paths = sorted((tmp_path / "out").rglob("*.dcm"))
    assert len(paths) == 3
    for path in paths:
        done = subprocess.run([dciodvfy, str(path)], capture_output=True, text=True, check=False)
        assert "Error" not in done.stdout + done.stderr, done.stdout + done.stderr


@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian,
               RLELossless],
)  # fmt: skip
def test_pixels_are_the_same(patient_file: File, deidentified: Run, syntax: str) -> None:
    _, (path,) = deidentified(patient_file(syntax=syntax))
    assert dcmread(path).file_meta.TransferSyntaxUID == syntax
    assert np.array_equal(open_image(path).stored(), np.arange(64).reshape(8, 8))


@pytest.mark.real_data
def test_deflated_frames_are_written_although_pydicom_does_not_know_them(deidentified: Run, shared_data: Path) -> None:
    source = next((shared_data / "dicom").rglob("liver_deflate.dcm"))
    _, (path,) = deidentified(source.read_bytes())
    assert path.read_bytes()[:132] == bytes(128) + b"DICM"
    assert np.array_equal(open_image(path).stored(2), open_image(source).stored(2))
