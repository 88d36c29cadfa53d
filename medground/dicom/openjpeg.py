"""Grey JPEG 2000 and HTJ2K frames through the OpenJPEG that Pillow brings, on several threads.

pylibjpeg decodes on one thread and keeps Python's lock while it does, so a series gains nothing from threads. Here the
same C library is called by ctypes, which gives the lock away: slices decode side by side, and the code blocks of a
large film are shared among its threads. Where the library or its symbols are not to be had, or a stream is not plain
grey, pylibjpeg decodes as before.

Source: openjpeg.h, OpenJPEG 2.1 to 2.5, whose structures begin as declared here.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medground.dicom.header import ImageHeader
from medground.schema.errors import DecodeError

_J2K, _JP2 = 0, 2
_J2K_START = b"\xff\x4f\xff\x51"
_PARAMETERS_BYTES = 2**15  # opj_dparameters_t needs 8.3 kB
_FILM_PIXELS = 2**20  # from here on the code blocks of one frame are shared among threads
_END = ctypes.c_size_t(-1).value

_Read = ctypes.CFUNCTYPE(ctypes.c_size_t, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)
_Skip = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)
_Seek = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int64, ctypes.c_void_p)


class _Component(ctypes.Structure):
    """opj_image_comp_t."""

    _fields_ = (
        *((name, ctypes.c_uint32) for name in ("dx", "dy", "w", "h", "x0", "y0", "prec", "bpp", "sgnd")),
        ("resno_decoded", ctypes.c_uint32),
        ("factor", ctypes.c_uint32),
        ("data", ctypes.POINTER(ctypes.c_int32)),
        ("alpha", ctypes.c_uint16),
    )


class _Image(ctypes.Structure):
    """opj_image_t, up to its components."""

    _fields_ = (
        *((name, ctypes.c_uint32) for name in ("x0", "y0", "x1", "y1", "numcomps")),
        ("color_space", ctypes.c_int),
        ("comps", ctypes.POINTER(_Component)),
    )


_SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "opj_version": (ctypes.c_char_p, ()),
    "opj_create_decompress": (ctypes.c_void_p, (ctypes.c_int,)),
    "opj_set_default_decoder_parameters": (None, (ctypes.c_void_p,)),
    "opj_setup_decoder": (ctypes.c_int, (ctypes.c_void_p, ctypes.c_void_p)),
    "opj_codec_set_threads": (ctypes.c_int, (ctypes.c_void_p, ctypes.c_int)),
    "opj_read_header": (ctypes.c_int, (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)),
    "opj_decode": (ctypes.c_int, (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)),
    "opj_end_decompress": (ctypes.c_int, (ctypes.c_void_p, ctypes.c_void_p)),
    "opj_image_destroy": (None, (ctypes.c_void_p,)),
    "opj_destroy_codec": (None, (ctypes.c_void_p,)),
    "opj_stream_create": (ctypes.c_void_p, (ctypes.c_size_t, ctypes.c_int)),
    "opj_stream_destroy": (None, (ctypes.c_void_p,)),
    "opj_stream_set_user_data_length": (None, (ctypes.c_void_p, ctypes.c_uint64)),
    "opj_stream_set_read_function": (None, (ctypes.c_void_p, _Read)),
    "opj_stream_set_skip_function": (None, (ctypes.c_void_p, _Skip)),
    "opj_stream_set_seek_function": (None, (ctypes.c_void_p, _Seek)),
}


@cache
def library() -> ctypes.CDLL | None:
    """OpenJPEG 2 with its functions declared; None where Pillow brings none, or hides it."""
    from PIL import _imaging

    try:
        found = ctypes.CDLL(_imaging.__file__)  # looks up names in what the module is linked to as well
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(found, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError):
        return None
    version: bytes = found.opj_version()
    return found if version.startswith((b"2.4.", b"2.5.")) else None


class _Stream:
    """A read-only stream over the bytes of one frame; the callbacks live as long as this does."""

    def __init__(self, opj: ctypes.CDLL, encoded: bytes) -> None:
        self._encoded, self._position = encoded, 0
        self._opj = opj
        self._callbacks = _Read(self._read), _Skip(self._skip), _Seek(self._seek)
        self.handle = opj.opj_stream_create(min(len(encoded), 2**20), 1)
        opj.opj_stream_set_user_data_length(self.handle, len(encoded))
        opj.opj_stream_set_read_function(self.handle, self._callbacks[0])
        opj.opj_stream_set_skip_function(self.handle, self._callbacks[1])
        opj.opj_stream_set_seek_function(self.handle, self._callbacks[2])

    def close(self) -> None:
        self._opj.opj_stream_destroy(self.handle)

    def _read(self, target: int, count: int, _: int | None) -> int:
        chunk = self._encoded[self._position : self._position + count]
        if not chunk:
            return _END
        ctypes.memmove(target, chunk, len(chunk))
        self._position += len(chunk)
        return len(chunk)

    def _skip(self, count: int, _: int | None) -> int:
        before = self._position
        self._position = min(max(before + count, 0), len(self._encoded))
        return self._position - before

    def _seek(self, position: int, _: int | None) -> int:
        inside = 0 <= position <= len(self._encoded)
        self._position = position if inside else self._position
        return int(inside)


def decode_grey(encoded: bytes, header: ImageHeader) -> NDArray[Any] | None:
    """Decode one frame of one component and at most 16 bits.

    Args:
        encoded: the codestream, or a JP2 file around it.
        header: of the image; size, depth and sign of the stream must be those that it says.

    Returns:
        (rows, columns), integers of the bits allocated; None where there is no library or the stream is another kind.

    Raises:
        DecodeError: the stream is damaged.
    """
    opj = library()
    if opj is None:
        return None
    stream = _Stream(opj, encoded)
    codec = opj.opj_create_decompress(_J2K if encoded.startswith(_J2K_START) else _JP2)
    image = ctypes.POINTER(_Image)()
    try:
        parameters = ctypes.create_string_buffer(_PARAMETERS_BYTES)
        opj.opj_set_default_decoder_parameters(parameters)
        if not opj.opj_setup_decoder(codec, parameters):
            return None
        if header.rows * header.columns >= _FILM_PIXELS:
            opj.opj_codec_set_threads(codec, os.cpu_count() or 1)
        if not opj.opj_read_header(stream.handle, codec, ctypes.byref(image)):
            raise DecodeError("the header of the JPEG 2000 stream is damaged")
        if not _is_plain(image.contents, header):
            return None
        if not opj.opj_decode(codec, stream.handle, image) or not opj.opj_end_decompress(codec, stream.handle):
            raise DecodeError("the JPEG 2000 stream is damaged or cut short")
        component = image.contents.comps[0]
        if not component.data or (component.h, component.w) != (header.rows, header.columns):
            raise DecodeError("the JPEG 2000 stream holds no pixels")
        kind = ("i" if header.signed else "u") + str(header.bits_allocated // 8)
        return np.ctypeslib.as_array(component.data, (header.rows, header.columns)).astype(kind)
    finally:
        if image:
            opj.opj_image_destroy(image)
        opj.opj_destroy_codec(codec)
        stream.close()


def _is_plain(image: _Image, header: ImageHeader) -> bool:
    if image.numcomps != 1:
        return False
    component = image.comps[0]
    found = image.y1 - image.y0, image.x1 - image.x0, component.prec, bool(component.sgnd)
    return (component.dx, component.dy) == (1, 1) and found == (
        header.rows,
        header.columns,
        header.bits_stored,
        header.signed,
    )
