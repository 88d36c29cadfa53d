"""UntrustedReader: images of files that nobody vouches for, parsed and decoded in processes of their own.

::

    with UntrustedReader(Limits(), workers=2, seconds=10) as reader:
        image = reader.open(received)          # path or bytes; any InputError, never a dead service
        brightness = image.display(1)

The parent maps no pixel and parses no element of such a file: it receives checked headers and arrays of the size that
the header asks for. One worker sees one file, so that nothing of it can reach the next.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID

from medground.dicom.geometry import Plane
from medground.dicom.header import ImageHeader
from medground.dicom.limits import Limits
from medground.dicom.parse import parse_header
from medground.dicom.source import sanitized
from medground.dicom.untrusted_messages import Broken, Late
from medground.dicom.untrusted_pool import Counters, Nursery, WorkerHandle, opened
from medground.dicom.untrusted_worker import WorkerSettings
from medground.schema import errors
from medground.schema.errors import LimitError, UsageError, WorkerError

_HEADER = TypeAdapter(ImageHeader)
_PLANE = TypeAdapter(Plane | None)
_WARNINGS = TypeAdapter(tuple[str, ...])
_SHAPE = TypeAdapter(tuple[int, ...])
_PIXEL_TYPES = frozenset(
    np.dtype(name).str for name in ("u1", "i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8", "<f4", "<f8", "?")
)
_PARENT_HEADER_BYTES, _PARENT_ELEMENTS = 2**24, 300_000


class UntrustedReader:
    """Reads images in worker processes; threads may share it.

    Args:
        limits: on one file.
        workers: files that are worked on at once; more callers than that wait.
        seconds: for one question, i.e. to open a file or to decode one frame.
        address_space_bytes: of one worker.
        answer_bytes: size of the pixels of one answer, which the parent holds.

    Attributes:
        counters: what became of the questions so far.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        workers: int = 1,
        seconds: float = 10.0,
        address_space_bytes: int = 4 * 2**30,
        answer_bytes: int = 2**30,
    ) -> None:
        self.limits = limits or Limits()
        self.counters = Counters()
        self._workers, self._seconds, self._answer_bytes = workers, seconds, answer_bytes
        self._nursery = Nursery(
            WorkerSettings(limits=self.limits, seconds=seconds, address_space_bytes=address_space_bytes)
        )
        self._slots = threading.BoundedSemaphore(workers)
        self._lock = threading.Lock()
        self._idle: dict[int, WorkerHandle] = {}  # by the key of the image that each has open; oldest first
        self._busy = self._keys = self._vacant = 0
        self._is_closed = False

    def __enter__(self) -> Self:
        self._nursery.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all workers."""
        with self._lock:
            self._is_closed = True
            for worker in self._idle.values():
                worker.channel.close()
            self._idle.clear()
        self._nursery.close()

    def open(self, source: Path | bytes) -> UntrustedImage:
        """Open a DICOM object that has pixels, without decoding them: `open_image` at arm's length.

        Args:
            source: path or content of the file.

        Raises:
            WorkerError: its worker died or took too long.
            InputError: as for `open_image`.
        """
        with self._lock:
            self._keys += 1
            key = self._keys
        head, _ = self.ask(key, source, {"about": "header"}, 0)
        with _valid_answers():
            header = _HEADER.validate_python(head["header"])
            if (
                header.rows * header.columns > self.limits.max_pixels_per_frame
                or header.frames > self.limits.max_frames
            ):
                raise WorkerError("the worker answers beyond the limits: the file is damaged or hostile")
        return UntrustedImage(self, key, source, header)

    def ask(
        self, key: int, source: Path | bytes, question: dict[str, Any], at_most: int
    ) -> tuple[dict[str, Any], bytearray]:
        """Put a question about an image to the worker that has it open, or to a new one.

        Args:
            key: of the image.
            source: its file.
            question: see `untrusted_worker.Worker`.
            at_most: bytes that the answer may have beside its head.

        Raises:
            WorkerError: the worker died, took too long, or failed in a way that only a fault of ours explains.
            MedgroundError: what the worker raised.
        """
        if at_most > self._answer_bytes:
            raise LimitError(f"the answer has {at_most} bytes, more than {self._answer_bytes} (limit answer_bytes)")
        with self._slots:
            worker = self._worker_for(key, source)
            try:
                head, body = worker.ask(question, at_most, self._seconds)
            except Late as cause:
                self._lose(worker, "timeouts")
                raise WorkerError(
                    f"the file was given up after {self._seconds:g} s: it is damaged, hostile or too large"
                ) from cause
            except Broken as cause:
                self._lose(worker, "deaths")
                raise WorkerError("the process that read the file died of it: it is damaged or hostile") from cause
            except BaseException:
                self._lose(worker, "deaths")
                raise
            with self._lock:
                self._busy -= 1
                self._idle[key] = worker
        if "error" in head:
            self._refuse(str(head["error"]), str(head.get("text")))
        return head, body

    def _worker_for(self, key: int, source: Path | bytes) -> WorkerHandle:
        """The worker that has the image open, else a new one; the longest idle makes room for it."""
        with self._lock:
            if self._is_closed:
                raise UsageError("the reader of untrusted files is closed: open another one")
            worker = self._idle.pop(key, None)
            oldest = None
            if worker is None and self._idle and len(self._idle) + self._busy >= self._workers:
                oldest = self._idle.pop(next(iter(self._idle)))
            self._busy += 1
            self.counters.questions += 1
        try:
            if oldest is not None:
                self._nursery.end(oldest)
            return worker or self._new_worker(source)
        except BaseException:
            with self._lock:
                self._busy -= 1
            raise

    def _new_worker(self, source: Path | bytes) -> WorkerHandle:
        with opened(source, self.limits) as file:
            worker = self._nursery.spawn(file)
        with self._lock:
            self.counters.workers += 1
            if self._vacant:
                self._vacant -= 1
                self.counters.replaced += 1
        return worker

    def _lose(self, worker: WorkerHandle, kind: str) -> None:
        self._nursery.end(worker)
        with self._lock:
            self._busy -= 1
            self._vacant += 1
            setattr(self.counters, kind, getattr(self.counters, kind) + 1)

    def _refuse(self, name: str, text: str) -> None:
        """Raise what the worker raised."""
        text = "".join(letter if letter.isprintable() else "?" for letter in text)
        kind = getattr(errors, name, None)
        if isinstance(kind, type) and issubclass(kind, errors.MedgroundError):
            raise kind(text)
        with self._lock:
            self.counters.foreign += 1
        raise WorkerError(f"the file cannot be read ({text}): it is damaged; export it again")


class UntrustedImage:
    """A `DicomImage` whose file only workers touch; the same questions have the same answers.

    Attributes:
        header: size, geometry and identity.
    """

    def __init__(self, reader: UntrustedReader, key: int, source: Path | bytes, header: ImageHeader) -> None:
        self.header = header
        self._reader, self._key, self._source = reader, key, source

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """What was repaired or ignored on the way."""
        with _valid_answers():
            return _WARNINGS.validate_python(self._ask("warnings")[0]["warnings"])

    @cached_property
    def dataset(self) -> Dataset:
        """Everything before the pixel data, written anew by the worker and parsed here, within limits.

        Raises:
            LimitError: more than 16 MiB or 300,000 elements.
        """
        limits = self._reader.limits.model_copy(
            update={"max_header_bytes": _PARENT_HEADER_BYTES, "max_elements": _PARENT_ELEMENTS}
        )
        _, content = self._ask("dataset", at_most=limits.max_header_bytes)
        dataset = parse_header(bytes(content), limits)
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = UID(self.header.transfer_syntax_uid)
        return dataset

    def stored(self, frame: int = 1) -> NDArray[Any]:
        """Pixels of a frame after decoding: see `DicomImage.stored`."""
        return self._pixels("stored", frame, 8, {})

    def modality_values(self, frame: int = 1) -> NDArray[np.float32]:
        """A grey frame in the units that the object measures: see `DicomImage.modality_values`."""
        return self._pixels("modality_values", frame, 4, {})

    def display(self, frame: int = 1, *, window: str | None = None) -> NDArray[np.float32]:
        """A frame as a viewer shows it: see `DicomImage.display`."""
        return self._pixels("display", frame, 4, {"window": window})

    def frame_geometry(self, frame: int = 1) -> Plane | None:
        """The plane of a frame in the patient: see `DicomImage.frame_geometry`."""
        with _valid_answers():
            return _PLANE.validate_python(self._ask("frame_geometry", frame=frame)[0]["plane"])

    def sanitized(self) -> bytes:
        """The file as it may be stored, with a clean preamble."""
        return sanitized(self._source, self._reader.limits)

    def _ask(self, about: str, *, at_most: int = 0, **details: Any) -> tuple[dict[str, Any], bytearray]:
        return self._reader.ask(self._key, self._source, {"about": about, **details}, at_most)

    def _pixels(self, about: str, frame: int, sample_bytes: int, details: dict[str, Any]) -> NDArray[Any]:
        """An array that has the size which the header asks for, and no other."""
        rows, columns = self.header.rows, self.header.columns
        samples = max(self.header.samples_per_pixel, 3 if self._is_colour(about) else 1)
        if about == "stored":
            sample_bytes = max(1, self.header.bits_allocated // 8)
        head, body = self._ask(about, at_most=rows * columns * samples * sample_bytes, frame=frame, **details)
        with _valid_answers():
            shape, dtype = _SHAPE.validate_python(head["shape"]), str(head["dtype"])
            known = dtype in _PIXEL_TYPES if about == "stored" else dtype == "<f4"
            if not known or shape[:2] != (rows, columns) or shape[2:] not in ((), (3,), (4,)):
                raise ValueError(about)
            if len(body) != math.prod(shape) * np.dtype(dtype).itemsize:
                raise ValueError(about)
            pixels: NDArray[Any] = np.frombuffer(body, dtype).reshape(shape)
        return pixels

    def _is_colour(self, about: str) -> bool:
        return about == "display" and self.header.photometric == "PALETTE COLOR"


@contextmanager
def _valid_answers() -> Iterator[None]:
    """An answer of another form than agreed is the work of a worker that is no longer ours."""
    try:
        yield
    except (ValidationError, ValueError, KeyError, TypeError) as cause:
        raise WorkerError("the process that read the file sent no valid answer: the file is hostile") from cause
