"""The processes that read untrusted files: `python -m medground.dicom.untrusted_worker SETTINGS`, a socket as stdin.

The process that is started imports everything once and reads nothing: it is the nursery. For each file it forks a
worker, in milliseconds, which sees that file and no other, under limits of the kernel, and answers questions about it
until it is ended. Whatever a file does to its worker dies with it.
"""

from __future__ import annotations

import ctypes
import gc
import math
import os
import resource
import signal
import socket
import struct
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import correct_ambiguous_vr_element, write_data_element

from medground.dicom.boundary import typed_errors
from medground.dicom.gdcm_process import decode_in_this_process
from medground.dicom.image import DicomImage, open_image
from medground.dicom.limits import Limits
from medground.dicom.untrusted_messages import Broken, receive, send
from medground.schema.config import StrictConfig
from medground.schema.errors import DecodeError, MedgroundError

SPAWN, END = b"s", b"e"
PID, STATUS = struct.Struct("<L"), struct.Struct("<l")
MAX_QUESTION_BYTES = 2**16
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)
_OPEN_FILES = 64
_DECODERS = (
    *(f"PIL.{kind}ImagePlugin" for kind in ("Bmp", "Gif", "Jpeg", "Ppm", "Png")),  # what Pillow itself looks for first
    *("gdcm", "jpeg_ls", "openjpeg", "numpy.ctypeslib", "pydicom.charset"),
)

Answer = tuple[dict[str, Any], memoryview | bytes]


class WorkerSettings(StrictConfig):
    """What a worker may use.

    Attributes:
        limits: on the file.
        seconds: of processor time for one question, times the processors there are.
        address_space_bytes: of the whole process, mapped files and libraries included.
    """

    limits: Limits = Limits()
    seconds: float = Field(default=10.0, gt=0)
    address_space_bytes: int = Field(default=4 * 2**30, ge=2**28)


class Worker:
    """One file and the questions about it."""

    def __init__(self, file: Path, limits: Limits) -> None:
        self._file = file
        self._limits = limits
        self._image: DicomImage | None = None

    def answer(self, question: dict[str, Any]) -> Answer:
        """The answer to one question of `UntrustedImage`.

        Raises:
            MedgroundError: as the same question to a `DicomImage` does.
        """
        if self._image is None:
            self._image = open_image(self._file, limits=self._limits)
        image, frame = self._image, int(question.get("frame", 1))
        match question["about"]:
            case "header":
                return {"header": asdict(image.header)}, b""
            case "warnings":
                return {"warnings": image.warnings}, b""
            case "stored":
                return _array(image.stored(frame))
            case "modality_values":
                return _array(image.modality_values(frame))
            case "display":
                return _array(image.display(frame, window=question["window"]))
            case "frame_geometry":
                plane = image.frame_geometry(frame)
                return {"plane": plane and asdict(plane)}, b""
            case "dataset":
                return {}, _encoded(image.dataset)
        raise DecodeError("the question to the worker is unknown")


def _array(pixels: NDArray[Any]) -> Answer:
    pixels = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("<"))
    return {"dtype": pixels.dtype.str, "shape": pixels.shape}, memoryview(cast(Any, pixels.reshape(-1).view(np.uint8)))


def _encoded(dataset: Dataset) -> bytes:
    """The data set before its pixels, in explicit VR, little endian; elements that cannot be written are left out."""
    written = []
    with typed_errors(DecodeError, "the header cannot be written"):
        character_set = dataset.get("SpecificCharacterSet", "iso8859")
        for tag in sorted(filter(lambda tag: tag.element, dataset.keys())):  # no group lengths: they would not hold
            out = DicomBytesIO()
            out.is_little_endian, out.is_implicit_VR = True, False
            with suppress(Exception):  # pydicom converts here, and raises whatever the bytes provoke
                write_data_element(out, correct_ambiguous_vr_element(dataset[tag], dataset, True), character_set)
                written.append(out.getvalue())
    return b"".join(written)


def _refusal(error: Exception) -> dict[str, Any]:
    """What the parent learns of an exception: an error of ours by its name, any other without a word of the file."""
    if isinstance(error, MedgroundError):
        return {"error": type(error).__name__, "text": str(error)[:1000]}
    if isinstance(error, MemoryError):
        return {"error": "LimitError", "text": "the file needs more memory than a worker has (address_space_bytes)"}
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    line = f"{Path(place.tb_frame.f_code.co_filename).name}:{place.tb_lineno}" if place is not None else "?"
    return {"error": "foreign", "text": f"{type(error).__name__} at {line}"}


def _confine(settings: WorkerSettings) -> None:
    """Limits of the kernel on this process; the worker cannot raise them again."""
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_AS, (settings.address_space_bytes, settings.address_space_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    decode_in_this_process()


def _work(parent: socket.socket, file: int, settings: WorkerSettings) -> None:
    """Answer until the parent ends this process or is gone."""
    _confine(settings)
    worker = Worker(Path(f"/proc/self/fd/{file}"), settings.limits)
    allowance = math.ceil(settings.seconds * (os.cpu_count() or 1)) + 1
    while True:
        try:
            question, _ = receive(parent, MAX_QUESTION_BYTES)
        except Broken:
            return
        used = resource.getrusage(resource.RUSAGE_SELF)
        soft = math.ceil(used.ru_utime + used.ru_stime) + allowance
        resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))
        try:
            head, body = worker.answer(question)
        except Exception as error:
            head, body = _refusal(error), b""
        parent.settimeout(None)
        send(parent, head, body)


def _fork(control: socket.socket, fds: list[int], settings: WorkerSettings) -> int:
    """A worker for the file fds[1] that talks through fds[0]; its process id."""
    pid = os.fork()
    if pid == 0:
        _be_worker(control, fds, settings)
    for fd in fds:
        os.close(fd)
    return pid


def _be_worker(control: socket.socket, fds: list[int], settings: WorkerSettings) -> NoReturn:
    status = 1
    try:
        control.close()
        _work(socket.socket(fileno=fds[0]), fds[1], settings)
        status = 0
    except BaseException:
        status = 1
    finally:
        os._exit(status)  # nothing of the nursery may run in its child


def main() -> int:
    """Fork and end workers as the parent asks, until it is gone."""
    settings = WorkerSettings.model_validate_json(sys.argv[1])
    for module in _DECODERS:
        with suppress(ImportError):
            __import__(module)
    gc.collect()
    gc.freeze()  # what is here already is not looked at, and so not copied, in each worker
    control = socket.socket(fileno=os.dup(sys.stdin.fileno()))
    with open(os.devnull) as nothing:  # noqa: PTH123  # by a descriptor
        os.dup2(nothing.fileno(), sys.stdin.fileno())
    children: set[int] = set()
    while True:
        command, fds, _, _ = socket.recv_fds(control, 1 + PID.size, 2)
        if command == SPAWN and len(fds) == 2:
            pid = _fork(control, fds, settings)
            children.add(pid)
            control.sendall(PID.pack(pid))
        elif command[:1] == END:
            control.sendall(STATUS.pack(_end(PID.unpack(command[1:])[0], children)))
        else:
            return 0


def _end(pid: int, children: set[int]) -> int:
    """End a child; its exit status. It was not waited for until now, so its id is still its own."""
    if pid not in children:  # of a nursery before this one
        return -signal.SIGKILL
    os.kill(pid, signal.SIGKILL)
    children.remove(pid)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    sys.exit(main())
