"""Every error a user can meet, as one tree.

::

    MedgroundError                 exit 1
    |- UsageError                  exit 2   a flag, query or setting that cannot be acted on
    |  |- QueryError                        the question is empty or too long
    |- InputError                  exit 2   a file or folder that cannot be read as an image
    |  |- InputNotFoundError                nothing is at that path
    |  |- UnreadableFileError               neither DICOM, ZIP, PNG nor JPEG, or cut short
    |  |- NotAnImageError                   DICOM without pixels: SR, RT plan, DICOMDIR, ...
    |  |- DecodeError                       pixel data that cannot be decoded
    |  |- LimitError                        larger than the limits allow
    |  |- WorkerError                       the process that read it died on it, or took too long
    |- BundleError                 exit 3   the model bundle
    |  |- BundleMissingError
    |  |- BundleDamagedError
    |- DataSetError                exit 2   a data set that must not be trained on
    |  |- LeakError                         one patient or image in two parts
    |- CheckpointError             exit 2   a checkpoint that does not belong to this run
    |- AuditError                  exit 2   the audit log is broken, or cannot be read or written
    |- CardError                   exit 2   the card of a model is not what was exported, or cannot be made
    |- AccessError                 exit 1   who asks is not known, may not, or cannot be checked
    |  |- NotAuthenticatedError             no credentials, or none that count (HTTP 401)
    |  |- ForbiddenError                    known, but without the scope it needs (HTTP 403)
    |  |- QuotaError                        too much at once (HTTP 429)
    |  |- AccessUnavailableError            whoever would know does not answer (HTTP 503)
    |- PeerError                   exit 1   another DICOM system is not reached, refuses, or answers wrongly

Each message is one sentence with the value received and the way out; those about credentials repeat nothing of them.
"""

from __future__ import annotations

from typing import ClassVar


class MedgroundError(Exception):
    """Base of all medground errors; `exit_code` is what the command line returns for it."""

    exit_code: ClassVar[int] = 1


class UsageError(MedgroundError):
    """A flag, query or setting that cannot be acted on."""

    exit_code = 2


class QueryError(UsageError):
    """The question is empty or too long."""


class InputError(MedgroundError):
    """A file or folder that cannot be read as an image."""

    exit_code = 2


class InputNotFoundError(InputError):
    """Nothing is at the given path."""


class UnreadableFileError(InputError):
    """The file is neither DICOM, ZIP, PNG nor JPEG, or it is cut short."""


class NotAnImageError(InputError):
    """The DICOM object carries no image: SR, presentation state, RT plan, DICOMDIR, waveform, ..."""


class DecodeError(InputError):
    """The pixel data cannot be decoded."""


class LimitError(InputError):
    """The input is larger than the limits allow; the message names the limit."""


class WorkerError(InputError):
    """The process that read the input for us died on it, or took too long."""


class BundleError(MedgroundError):
    """The model bundle cannot be used."""

    exit_code = 3


class BundleMissingError(BundleError):
    """There is no bundle at the given path, or a file of it is absent."""


class BundleDamagedError(BundleError):
    """A file of the bundle differs from its manifest, or cannot be parsed."""


class DataSetError(MedgroundError):
    """A data set that must not be trained on as it is."""

    exit_code = 2


class LeakError(DataSetError):
    """One patient or one image stands in two parts."""


class CheckpointError(MedgroundError):
    """A checkpoint that does not belong to this run, or cannot be read."""

    exit_code = 2


class AuditError(MedgroundError):
    """The audit log, or a file of anchors, is broken or cannot be used; what was to be recorded must not happen."""

    exit_code = 2


class CardError(MedgroundError):
    """The card of a model is not what was exported, is signed by nobody who is trusted, or cannot be made."""

    exit_code = 2


class AccessError(MedgroundError):
    """Who asks is not known, may not do it, or cannot be checked now.

    Attributes:
        http_status: what a service answers with.
        reason: for the audit log alone; the message says less on purpose.
        subject: opaque id of who asked, where that is known.
        wait_s: seconds after which it is worth asking again; None where waiting does not help.

    Args:
        message: what whoever asked is told.
        reason: as above.
        subject: as above.
        wait_s: as above.
    """

    http_status: ClassVar[int] = 403

    def __init__(
        self, message: str, *, reason: str = "", subject: str | None = None, wait_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.subject = subject
        self.wait_s = wait_s


class NotAuthenticatedError(AccessError):
    """No credentials came, or none that count; the message is the same whatever is wrong with them."""

    http_status = 401


class ForbiddenError(AccessError):
    """Who asks is known and lacks the scope for it."""

    http_status = 403


class QuotaError(AccessError):
    """Who asks has asked too much in the last minute; `wait_s` says how long to wait."""

    http_status = 429


class AccessUnavailableError(AccessError):
    """The issuer of identities or the table of tokens does not answer, so nobody can be let in by it."""

    http_status = 503


class PeerError(MedgroundError):
    """Another DICOM system cannot be reached, refuses, or answers wrongly.

    Args:
        message: one sentence.
        is_transient: whether the same may succeed later.
    """

    def __init__(self, message: str, *, is_transient: bool = False) -> None:
        super().__init__(message)
        self.is_transient = is_transient
