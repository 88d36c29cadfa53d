"""Instances on their way from the network into the service, and the intake that decides about each."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from medground.serving.dicom_receiver.commands import Status


class IncomingFile(Protocol):
    """A file that is being written; whoever made it named it, by nothing that came from outside."""

    @property
    def path(self) -> Path:
        """Where it lies for now."""

    def write(self, data: bytes | memoryview, /) -> None:
        """Append.

        Raises:
            OSError: there is no room.
        """


@dataclass(frozen=True, slots=True)
class InstanceReceived:
    """An instance that came in whole.

    Attributes:
        file: in the format of PS3.10; what follows the file meta information are the very bytes that were sent. They
            may not be on the disk yet.
        size_bytes: of its data set.
        sop_class_uid, sop_instance_uid: as command and data set have them.
        transfer_syntax_uid: that was negotiated.
        tenant: of the peer.
        calling_ae_title, called_ae_title, address: of the association.
    """

    file: IncomingFile
    size_bytes: int
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    tenant: str
    calling_ae_title: str
    called_ae_title: str
    address: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """The instance is here to stay: its file is on the disk, and so is what is known of it."""


class RefusedBecause(StrEnum):
    """Why an instance is not kept."""

    NO_ROOM = "no room or no database now; send it again later"
    NOT_UNDERSTOOD = "the data set cannot be read"
    TOO_LARGE = "the data set is larger than what is taken here"
    NOT_AS_ANNOUNCED = "the data set has other SOP UIDs than the command"
    CLASS_NOT_SUPPORTED = "the SOP class is not that of the context"


STATUS_OF = {
    RefusedBecause.NO_ROOM: Status.OUT_OF_RESOURCES,
    RefusedBecause.NOT_UNDERSTOOD: Status.CANNOT_UNDERSTAND,
    RefusedBecause.TOO_LARGE: Status.CANNOT_UNDERSTAND,  # 0xA7xx would have it sent again and again
    RefusedBecause.NOT_AS_ANNOUNCED: Status.DATA_SET_DOES_NOT_MATCH,
    RefusedBecause.CLASS_NOT_SUPPORTED: Status.SOP_CLASS_NOT_SUPPORTED,
}


@dataclass(frozen=True, slots=True)
class Refused:
    """The instance is not kept."""

    because: RefusedBecause


class Intake(Protocol):
    """What the service does with instances; called from many threads at once."""

    def incoming(self) -> AbstractContextManager[IncomingFile]:
        """A new file; it vanishes at the end of the block unless `accept` kept it.

        Raises:
            OSError: there is no room.
        """

    def accept(self, received: InstanceReceived, /) -> Accepted | Refused:
        """Keep an instance.

        The sender is told of success as soon as this returns, and may delete its own copy: the file and all rows that
        speak of it must be on the disk by then. The same instance may come again.

        Raises:
            InputError: it cannot be understood; answered with 0xC000.
            Exception: anything else counts as a lack of means and is answered with 0xA700, to be sent again later.
        """
