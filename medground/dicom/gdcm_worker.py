"""Child process that decodes frames with GDCM: `python -m medground.dicom.gdcm_worker`, requests in, arrays out.

GDCM ends the whole process on some damaged frames (abort or segmentation fault in C++); a child of its own takes that.
"""

from __future__ import annotations

import contextlib
import json
import struct
import sys
from io import BufferedReader
from typing import IO, Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder

_LENGTHS = struct.Struct("<QQ")
_PIPE_BYTES = 2**20  # as much as Linux lets anyone have; a film goes through in fewer turns


def send(stream: BinaryIO, head: dict[str, Any], body: bytes | memoryview) -> None:
    """Write one message: two lengths, a JSON head, bytes."""
    text = json.dumps(head).encode()
    stream.write(_LENGTHS.pack(len(text), memoryview(body).nbytes) + text)
    stream.write(body)
    stream.flush()


def receive(stream: BufferedReader) -> tuple[dict[str, Any], bytearray] | None:
    """Read one message; None at the end of the stream."""
    lengths = stream.read(_LENGTHS.size)
    if len(lengths) < _LENGTHS.size:
        return None
    head_bytes, body_bytes = _LENGTHS.unpack(lengths)
    head, body = stream.read(head_bytes), bytearray(body_bytes)
    return (json.loads(head), body) if stream.readinto(body) == body_bytes else None


def widen(stream: IO[bytes]) -> None:
    """Let a pipe hold more than the usual 64 kB, where the system can."""
    if sys.platform == "linux":
        import fcntl  # other systems may not have it

        with contextlib.suppress(OSError):
            fcntl.fcntl(stream.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def decode(syntax: str, options: dict[str, Any], encoded: bytes) -> tuple[NDArray[Any], str]:
    """Pixels and photometric interpretation of one frame."""
    pixels, result = get_decoder(syntax).as_array(encapsulate([encoded]), index=0, decoding_plugin="gdcm", **options)
    return np.ascontiguousarray(pixels), str(result["photometric_interpretation"])


def main() -> int:
    """Answer requests until the parent closes the pipe."""
    while (request := receive(cast(BufferedReader, sys.stdin.buffer))) is not None:
        head, encoded = request
        try:
            pixels, photometric = decode(head["syntax"], head["options"], bytes(encoded))
        except Exception as error:  # the parent decides what it means
            send(sys.stdout.buffer, {"error": str(error)[:500]}, b"")
        else:
            answer = {"dtype": pixels.dtype.str, "shape": pixels.shape, "photometric": photometric}
            send(sys.stdout.buffer, answer, pixels.data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
