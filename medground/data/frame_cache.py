"""Frames kept on disk, so that a second epoch reads no image file.

MONAI's PersistentDataset writes its cache with `torch.save`, which pickles, and can be told no other format: here the
same data set keeps its frames as safetensors. It also trusts a file that was cut short to raise "Invalid magic number",
which a file of today's torch does not; here a file that does not hold what it says is made again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from monai.data import PersistentDataset
from monai.transforms import Compose
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from medground.data.transforms.frames import FRAME_VERSION, Frame, Framed
from medground.data.transforms.view import unwrapped
from medground.dicom.lut import Window
from medground.schema.errors import InputNotFoundError
from medground.schema.record import ImageRecord

_log = logging.getLogger(__name__)


class FrameCache(PersistentDataset):
    """The frames of records, each read from its image file once.

    Several processes may share a folder. A folder may be deleted at any time; what is missing is made again.

    Args:
        records: with image files.
        size_px: long side of the frames.
        folder: of the cache, made if absent.
    """

    def __init__(self, records: Sequence[ImageRecord], size_px: int, folder: Path) -> None:
        super().__init__(records, Compose([Framed(size_px)]), folder)
        self.size_px = size_px
        self.folder = folder

    def frame(self, index: int) -> Frame:
        """The frame of a record.

        Raises:
            InputError: there is no cached frame, and the image cannot be read.
        """
        return self.frame_of(self.data[index])

    def frame_of(self, record: ImageRecord) -> Frame:
        """The frame of a record that need not be one of `records`; raises as `frame` does."""
        found: Frame = self._cachecheck(record)
        return found

    def _cachecheck(self, item_transformed: ImageRecord) -> Frame:
        """MONAI's hook: look in the cache, else make and keep."""
        path = self.path_of(item_transformed)
        kept = read_frame(path)
        if kept is not None:
            return kept
        made: Frame = unwrapped(self.transform, item_transformed)
        try:
            write_frame(path, made)
        except OSError as error:  # a full disk makes the run slower, not wrong
            _log.warning("a frame cannot be kept in the cache (%s); it will be read again", error.strerror)
        return made

    def path_of(self, record: ImageRecord) -> Path:
        """Where a frame is kept: named by the content of its image and by all that shapes the frame.

        Raises:
            InputNotFoundError: the record names no file, or neither its digest nor its file is there.
        """
        if record.path is None:
            raise InputNotFoundError(f"record {record.record_id!r} names no image file; import it with its images")
        content = record.sha256
        if content is None:  # a volume: too large to be read for a digest
            if not record.path.is_file():
                raise InputNotFoundError(f"the image of {record.record_id!r} is gone; import the data set again")
            state = record.path.stat()
            content = f"{record.path.resolve()}:{state.st_size}:{state.st_mtime_ns}"
        shaping = [record.attributes.get(name) for name in ("hu_offset", "DICOM_windows")]
        size = (record.columns, record.rows)
        what = [FRAME_VERSION, self.size_px, content, record.frame, record.domain.value, *size, *shaping]
        name = hashlib.sha256(json.dumps(what).encode()).hexdigest()
        return self.folder / name[:2] / f"{name}.safetensors"


def write_frame(path: Path, frame: Frame) -> None:
    """Write a frame, whole or not at all, whoever else writes it at the same time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.ascontiguousarray(frame.pixels_HW)
    about = {"crc32": str(zlib.crc32(pixels.tobytes()))}
    if frame.window is not None:
        about["window"] = json.dumps([frame.window.centre, frame.window.width, frame.window.function])
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".partial", delete=False) as file:
        partial = Path(file.name)
        try:
            file.write(save({"pixels": pixels}, metadata=about))
            file.close()
            partial.replace(path)
        except OSError:
            partial.unlink(missing_ok=True)
            raise


def read_frame(path: Path) -> Frame | None:
    """A frame that is there and whole, else None."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            about: dict[str, Any] = file.metadata()
            pixels = file.get_tensor("pixels")
        if str(zlib.crc32(pixels.tobytes())) == about["crc32"]:
            window = Window(*json.loads(about["window"])) if "window" in about else None
            return Frame(pixels, window)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError):
        pass
    _log.warning("a cached frame is damaged and is made again: %s", path.name)
    return None
