"""Archives: the destinations of the config, ready to be sent to and, where that is allowed, fetched from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pydantic import SecretStr

from medground.schema.errors import MedgroundError, UsageError
from medground.serving.config import Destination, ServiceConfig
from medground.serving.dicom_receiver.archive_config import BearerToken, Credentials, Login
from medground.serving.dicom_receiver.config import Remote
from medground.serving.dicom_receiver.delivery import Delivery, Outcome
from medground.serving.dicom_receiver.dicom_web import DicomWebArchive
from medground.serving.dicom_receiver.sender import send


class DeliveryError(MedgroundError):
    """Not everything arrived; `may_pass` says whether trying again may help."""

    def __init__(self, message: str, *, may_pass: bool) -> None:
        super().__init__(message)
        self.may_pass = may_pass


class Archive(Protocol):
    """Where results go."""

    def send(self, files: Sequence[Path]) -> None:
        """Send DICOM files; what is there already is fine.

        Raises:
            DeliveryError: some did not arrive.
        """


@dataclass(frozen=True, slots=True)
class WebDestination:
    """An archive that takes results by STOW-RS."""

    archive: DicomWebArchive

    def send(self, files: Sequence[Path]) -> None:
        """See `Archive.send`."""
        _require_all(self.archive.stow(files))


@dataclass(frozen=True, slots=True)
class StoreDestination:
    """An archive that takes results by C-STORE."""

    remote: Remote
    calling_ae_title: str

    def send(self, files: Sequence[Path]) -> None:
        """See `Archive.send`."""
        _require_all(send(files, self.remote, self.calling_ae_title))


def _require_all(outcomes: Sequence[Outcome]) -> None:
    """Raise if anything did not arrive; what may pass is said to be worth another try only if all of it may."""
    failed = [one for one in outcomes if one.delivery is not Delivery.ARRIVED]
    if failed:
        lasting = [one for one in failed if one.delivery is Delivery.PERMANENT]
        first = (lasting or failed)[0]
        raise DeliveryError(
            f"{len(failed)} of {len(outcomes)} objects did not arrive: {first.problem}", may_pass=not lasting
        )


@contextmanager
def open_archives(config: ServiceConfig) -> Iterator[Mapping[str, Archive]]:
    """The destinations of a service by name.

    Raises:
        UsageError: a file of secrets or of TLS cannot be read.
    """
    with ExitStack() as opened:
        yield {name: _open(one, opened) for name, one in config.destinations.items()}


def _open(destination: Destination, opened: ExitStack) -> Archive:
    if destination.dicom is not None:
        return StoreDestination(destination.dicom, destination.calling_ae_title)
    return WebDestination(open_web(destination, opened))


def open_web(destination: Destination, opened: ExitStack) -> DicomWebArchive:
    """A destination's DICOMweb service, closed with the stack.

    Raises:
        UsageError: it has none, or a file of secrets or of TLS cannot be read.
    """
    if destination.dicomweb is None:
        raise UsageError("this destination has no DICOMweb service")
    config = destination.dicomweb.model_copy(update={"credentials": _credentials(destination)})
    archive = DicomWebArchive(config)
    opened.callback(archive.close)
    return archive


def _credentials(destination: Destination) -> Credentials | None:
    if destination.token_file is not None:
        return BearerToken(token=_secret(destination.token_file))
    if destination.user is not None and destination.password_file is not None:
        return Login(user=destination.user, password=_secret(destination.password_file))
    return None


def _secret(path: Path) -> SecretStr:
    try:
        return SecretStr(path.read_text(encoding="utf-8").strip())
    except (OSError, UnicodeDecodeError) as cause:
        raise UsageError(f"the file of secrets {path} cannot be read") from cause
