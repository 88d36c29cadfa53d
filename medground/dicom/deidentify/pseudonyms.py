"""Pseudonyms: what a keyed hash puts in the place of UIDs, patients, dates and file names."""

from __future__ import annotations

import base64
import hmac
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import Dataset

from medground.dicom.elements import text
from medground.schema.errors import UsageError

KEY_BYTES = 32
MAX_SHIFT_DAYS = 3650


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """Replacements that are the same for the same value and key, and tell nothing of the value without the key.

    Attributes:
        key: secret; whoever has it can test a guess of a patient's identifier.
    """

    key: bytes = field(repr=False)

    def uid(self, uid: str) -> str:
        """The UID that replaces `uid`: 128 bits of the hash under 2.25 (PS3.5 B.2)."""
        return f"2.25.{int.from_bytes(self._hash('uid', uid)[:16], 'big')}"

    def patient(self, identity: str) -> str:
        """The identifier and name that replace a patient's, e.g. `MG-7Q3K...`: 80 bits of the hash."""
        return f"MG-{base64.b32encode(self._hash('patient', identity)[:10]).decode('ascii')}"

    def shift_days(self, identity: str) -> int:
        """How far the dates of a patient move: -1 to -3650 days."""
        return -1 - int.from_bytes(self._hash("days", identity)[:8], "big") % MAX_SHIFT_DAYS

    def name(self, value: str) -> str:
        """A file or folder name of 20 hexadecimal digits."""
        return self._hash("name", value).hex()[:20]

    def _hash(self, kind: str, value: str) -> bytes:
        return hmac.digest(self.key, f"{kind}\x1f{value}".encode("utf-8", "surrogateescape"), "sha256")


def identity_of(dataset: Dataset) -> str:
    """What tells the patient of an object from others: the Patient ID, else name and birth date, else the study."""
    patient_id = text(dataset, "PatientID")
    if patient_id:
        return patient_id
    name, birth = text(dataset, "PatientName"), text(dataset, "PatientBirthDate")
    if name and birth:
        return f"{name}\x1f{birth}"
    return text(dataset, "StudyInstanceUID") or text(dataset, "SOPInstanceUID") or ""


def load_key(path: Path | None) -> bytes:
    """The key in a file, which is made with a random key if absent; without a path a key that is not kept anywhere.

    Args:
        path: holds 64 hexadecimal digits, readable by its owner alone.

    Raises:
        UsageError: the file holds something else, or cannot be read or made.
    """
    key = secrets.token_bytes(KEY_BYTES)
    if path is None:
        return key
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read_key(path)
    except OSError as cause:
        raise UsageError(
            f"--key-file cannot be made ({cause.strerror}); name a file in a folder that exists"
        ) from cause
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.write(key.hex() + "\n")
    return key


def _read_key(path: Path) -> bytes:
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except (OSError, ValueError) as cause:
        raise UsageError(f"--key-file cannot be read as hexadecimal digits ({type(cause).__name__})") from cause
    if len(key) != KEY_BYTES:
        raise UsageError(f"--key-file holds {len(key)} bytes where a key has {KEY_BYTES}; name a new file to make one")
    return key
