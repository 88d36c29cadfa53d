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

Each message is one sentence with the value received and the way out.
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
