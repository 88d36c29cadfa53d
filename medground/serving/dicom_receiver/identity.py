"""Whether a data set is what its command says: its SOP class and instance, from its first bytes alone."""

from __future__ import annotations

import io
import zlib
from typing import Final

from pydicom import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from medground.dicom.boundary import typed_errors
from medground.schema.errors import UnreadableFileError

HEAD_BYTES: Final = 2**16
_SOP_CLASS, _SOP_INSTANCE = 0x00080016, 0x00080018


def sop_uids(head: bytes, transfer_syntax_uid: str) -> tuple[str, str]:
    """SOP Class UID and SOP Instance UID of a data set.

    They are the first elements but a few short ones, since elements are sorted by their tags; what comes later is left
    to whoever reads the file with the limits of `medground.dicom`.

    Args:
        head: the first `HEAD_BYTES` bytes of the data set.
        transfer_syntax_uid: of the data set.

    Raises:
        InputError: they are not there.
    """
    with typed_errors(UnreadableFileError, "the data set cannot be read"):
        if transfer_syntax_uid == DeflatedExplicitVRLittleEndian:
            head = zlib.decompressobj(-zlib.MAX_WBITS).decompress(head, HEAD_BYTES)
        dataset = read_dataset(
            io.BytesIO(head),
            transfer_syntax_uid == ImplicitVRLittleEndian,
            transfer_syntax_uid != ExplicitVRBigEndian,
            stop_when=lambda tag, *_: tag > _SOP_INSTANCE,
        )
        sop_class, sop_instance = raw_uid(dataset, _SOP_CLASS), raw_uid(dataset, _SOP_INSTANCE)
    if not sop_class or not sop_instance:
        raise UnreadableFileError(
            "the data set does not begin with a SOP Class UID and a SOP Instance UID: export it again"
        )
    return sop_class, sop_instance


def is_announced(head: bytes, transfer_syntax_uid: str, announced: tuple[str, str]) -> bool:
    """Whether a data set has the SOP class and instance that its command announced.

    Raises:
        InputError: it has none.
    """
    return sop_uids(head, transfer_syntax_uid) == announced


def raw_uid(dataset: Dataset, tag: int) -> str:
    """A UID as it is encoded, without padding; empty if absent. Converting one that is odd would warn, and quote it."""
    value = dataset.get_item(tag).value if tag in dataset else b""
    return value.decode("ascii", "replace").rstrip("\0 ") if isinstance(value, bytes) else str(value or "")
