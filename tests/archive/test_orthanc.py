"""Images through a real archive: stored by two programs, fetched by DICOMweb, pixel for pixel what was sent."""

from __future__ import annotations

import io
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import requests
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)
from pynetdicom import AE
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind, Verification

from medground.data.phantom.chest_radiograph import chest_radiograph
from medground.data.phantom.dicom_study import write_radiograph_study
from medground.dicom.image import open_image
from tests.archive.clients import by_pynetdicom, by_storescu, fetched, fetched_frames, web
from tests.archive.orthanc import ARCHIVE_AET, CALLER_AET, Orthanc
from tests.dicom.conftest import dicom_dataset, dicom_file, written

pytestmark = pytest.mark.judge("orthanc", "orthanc-dicomweb", "dcmtk")

Sender = Callable[[Orthanc, Path], None]
SENDERS = pytest.mark.parametrize("send", [by_storescu, by_pynetdicom])
STUDY, SERIES = "1.2.826.0.1.3680043.8.498.77", "1.2.826.0.1.3680043.8.498.77.1"
NATIVE = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]


def identifiers(*parts: int) -> dict[str, str]:
    """UIDs of an instance that no other test sends."""
    instance = ".".join(map(str, (SERIES, *parts)))
    return {"StudyInstanceUID": STUDY, "SeriesInstanceUID": SERIES, "SOPInstanceUID": instance}


def stored_pixels(content: bytes) -> NDArray[Any]:
    """Every frame, by our reader."""
    image = open_image(content)
    return np.stack([image.stored(number) for number in range(1, image.header.frames + 1)])


def sent_and_fetched(archive: Orthanc, send: Sender, path: Path, content: bytes) -> bytes:
    """Send; what comes back has the syntax, the elements and the pixel data of what was sent."""
    path.write_bytes(content)
    send(archive, path)
    sent = pydicom.dcmread(path)
    back = fetched(archive, sent)
    again = pydicom.dcmread(io.BytesIO(back))
    assert again.file_meta.TransferSyntaxUID == sent.file_meta.TransferSyntaxUID
    assert again == sent
    return back


@SENDERS
@pytest.mark.parametrize("syntax", [*NATIVE, RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_three_frames_in_each_syntax(archive: Orthanc, tmp_path: Path, send: Sender, syntax: str) -> None:
    frames = np.random.default_rng(3).integers(0, 4096, (3, 40, 50)).astype(np.uint16)
    number = 1 + (send is by_storescu)
    content = dicom_file(frames, frames=3, syntax=syntax, **identifiers(1, number, *map(int, syntax.split(".")[5:])))
    back = sent_and_fetched(archive, send, tmp_path / "image.dcm", content)
    assert np.array_equal(stored_pixels(back), frames)
    sent = pydicom.dcmread(io.BytesIO(content))
    if syntax == JPEG2000Lossless:  # Orthanc without its GDCM plugin cannot decode it, but hands it out
        kept = fetched_frames(archive, sent, [3, 1], (("image/jp2", syntax),))
        encoded = list(generate_frames(sent.PixelData, number_of_frames=3))
        assert [one.rstrip(b"\0") for one in kept] == [encoded[n].rstrip(b"\0") for n in (2, 0)]
        return
    raw = fetched_frames(archive, sent, [3, 1])
    assert np.array_equal([np.frombuffer(one, "<u2").reshape(40, 50) for one in raw], frames[[2, 0]])
    transcoded = fetched(archive, sent, ExplicitVRLittleEndian)
    assert np.array_equal(stored_pixels(transcoded), frames)


@SENDERS
def test_jpeg_baseline(archive: Orthanc, tmp_path: Path, send: Sender) -> None:
    pixels = np.add.outer(np.arange(0, 128, 2), np.arange(0, 96)).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=90)
    dataset = dicom_dataset(pixels, **identifiers(2, 1 + (send is by_storescu)))
    dataset.PixelData = encapsulate([stream.getvalue()])
    dataset["PixelData"].VR = "OB"
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    content = written(dataset)
    back = sent_and_fetched(archive, send, tmp_path / "image.dcm", content)
    ours = open_image(content).stored()
    assert np.abs(ours.astype(int) - pixels).max() <= 4
    assert np.array_equal(open_image(back).stored(), ours)
    (raw,) = fetched_frames(archive, dataset, [1])  # decoded by DCMTK
    assert np.abs(np.frombuffer(raw, np.uint8).reshape(pixels.shape).astype(int) - ours).max() <= 1


@SENDERS
def test_a_long_multi_frame_object(archive: Orthanc, tmp_path: Path, send: Sender) -> None:
    frames = np.random.default_rng(5).integers(-1024, 3072, (32, 512, 512), dtype=np.int16)
    content = dicom_file(frames, frames=32, **identifiers(3, 1 + (send is by_storescu)))
    back = sent_and_fetched(archive, send, tmp_path / "image.dcm", content)
    assert np.array_equal(stored_pixels(back), frames)
    raw = fetched_frames(archive, pydicom.dcmread(io.BytesIO(content)), [32, 1, 17])
    assert np.array_equal([np.frombuffer(one, "<i2").reshape(512, 512) for one in raw], frames[[31, 0, 16]])


@SENDERS
def test_colour(archive: Orthanc, tmp_path: Path, send: Sender) -> None:
    pixels = np.random.default_rng(6).integers(0, 256, (31, 45, 3), dtype=np.uint8)
    content = dicom_file(pixels, **identifiers(4, 1 + (send is by_storescu)))
    back = sent_and_fetched(archive, send, tmp_path / "image.dcm", content)
    assert np.array_equal(open_image(back).stored(), pixels)


@SENDERS
def test_a_phantom_film_twice_is_one_instance(archive: Orthanc, tmp_path: Path, send: Sender) -> None:
    seed = 41 + (send is by_storescu)
    (path,) = write_radiograph_study(chest_radiograph(seed, size_px=256), tmp_path / "film")
    before = archive.instances()
    back = sent_and_fetched(archive, send, path, path.read_bytes())
    send(archive, path)
    assert archive.instances() == before + 1
    image, sent = open_image(back), open_image(path)
    assert np.array_equal(image.stored(), sent.stored())
    assert np.array_equal(image.display(), sent.display())
    with web(archive) as client:
        (found,) = client.search_for_studies(search_filters={"PatientID": f"PHANTOM-{seed}"})
    assert Dataset.from_json(found).StudyInstanceUID == sent.header.study_instance_uid


def test_only_the_known_caller_on_this_machine_is_served(archive: Orthanc) -> None:
    assert _associates(CALLER_AET, "127.0.0.1", archive.dicom_port)
    assert not _associates("STRANGER", "127.0.0.1", archive.dicom_port)
    assert not _associates(CALLER_AET, "127.0.0.1", archive.dicom_port, called="ANOTHER")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: asks the routing table for this machine's own address
        except OSError:
            pytest.skip("this machine has no address but loopback")
        address = probe.getsockname()[0]
    assert not _associates(CALLER_AET, address, archive.dicom_port)
    with requests.Session() as session:
        session.trust_env = False
        try:
            status = session.get(f"http://{address}:{archive.http_port}/system", timeout=120).status_code
        except requests.ConnectionError:
            return  # a later Orthanc, which does not listen there
    assert status in (401, 403)


def _associates(caller: str, address: str, port: int, *, called: str = ARCHIVE_AET) -> bool:
    entity = AE(ae_title=caller)
    entity.add_requested_context(Verification)
    association = entity.associate(address, port, ae_title=called)
    established = association.is_established
    if established:
        assert association.send_c_echo().Status == 0x0000
        association.release()
    return established


def test_found_by_c_find(archive: Orthanc, tmp_path: Path) -> None:
    path = tmp_path / "image.dcm"
    path.write_bytes(dicom_file(np.zeros((8, 8), np.uint16), **identifiers(5), PatientID="C-FIND"))
    by_storescu(archive, path)
    entity = AE(ae_title=CALLER_AET)
    entity.add_requested_context(StudyRootQueryRetrieveInformationModelFind)
    association = entity.associate("127.0.0.1", archive.dicom_port, ae_title=ARCHIVE_AET)
    query = Dataset()
    query.QueryRetrieveLevel, query.StudyInstanceUID, query.SeriesInstanceUID = "IMAGE", STUDY, SERIES
    query.SOPInstanceUID = identifiers(5)["SOPInstanceUID"]
    answers = list(association.send_c_find(query, StudyRootQueryRetrieveInformationModelFind))
    association.release()
    assert [status.Status for status, _ in answers] == [0xFF00, 0x0000]
    assert answers[0][1].SOPInstanceUID == query.SOPInstanceUID


def test_an_instance_outlives_a_kill(tmp_path: Path) -> None:
    pixels = np.random.default_rng(8).integers(0, 4096, (64, 64)).astype(np.uint16)
    path = tmp_path / "image.dcm"
    path.write_bytes(dicom_file(pixels, **identifiers(6)))
    with Orthanc(tmp_path / "orthanc") as archive:
        by_storescu(archive, path)
        for _ in range(3):
            archive.kill()
            archive.start()
            assert archive.instances() == 1
            assert np.array_equal(open_image(fetched(archive, pydicom.dcmread(path))).stored(), pixels)
        by_pynetdicom(archive, path)
        assert archive.instances() == 1


def test_nothing_listens_after_its_starter_was_killed(tmp_path: Path, repository: Path) -> None:
    program = (
        "import sys, pathlib; from tests.archive.orthanc import Orthanc; archive = Orthanc(pathlib.Path(sys.argv[1]));"
        "archive.start(); print(archive.http_port, archive.dicom_port, flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "orthanc")]
    with subprocess.Popen(command, cwd=repository, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        ports = [int(port) for port in starter.stdout.readline().split()]
        assert [_listens(port) for port in ports] == [True, True]
        starter.kill()
    deadline = time.monotonic() + 120
    while any(map(_listens, ports)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert [_listens(port) for port in ports] == [False, False]


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
