"""`python -m benchmarks.dicom_receive`: receiving by C-STORE, against pynetdicom and Orthanc, with the same sender.

Each round sends the same images (with new UIDs) to every receiver once, in another order than the round before; a ratio
is the time, or the processor time, of another receiver over ours in the same round. Above 1 ours is faster. Every
receiver is a process of its own on loopback, and what it kept is compared with what was sent before any time counts.

medground answers once the file is synchronised to the disk and has its name. pynetdicom's handler writes the data set
to a file and does not wait for the disk, as its storescp does; "medground, unsynchronised" is what is comparable to it,
and "PDUs of 16 KiB" shows what longer PDUs bring. Orthanc takes part where Debian's is installed. `idle` is the
processor time that associations take on which nothing happens.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import count
from pathlib import Path

import pydicom
from pydicom.uid import UID

from benchmarks.dicom_receivers import CALLED, CALLING, LOOPBACK, OURS, Receiver, digest, receiver, receivers_here
from benchmarks.synthetic import write_ct, write_film
from medground.serving.dicom_receiver.config import Remote
from medground.serving.dicom_receiver.delivery import Delivery
from medground.serving.dicom_receiver.negotiation import association_request
from medground.serving.dicom_receiver.sender import send
from medground.serving.dicom_receiver.sop_classes import PLAIN_SYNTAXES, VERIFICATION

_UID = b"1.2.826.0.1.3680043.8.498.1.%d"  # all of one length


@dataclass(frozen=True)
class Measured:
    """One case; seconds by receiver, one number to a round.

    Attributes:
        case: e.g. `100 slices, 1 association`.
        seconds: until the last answer.
        processor_seconds: of the receiver.
        ratios: of `seconds`, by other receiver: median, lowest and highest of the rounds.
        processor_ratios: of `processor_seconds`; empty where ours is too short to be measured.
    """

    case: str
    seconds: dict[str, list[float]]
    processor_seconds: dict[str, list[float]]
    ratios: dict[str, tuple[float, float, float]]
    processor_ratios: dict[str, tuple[float, float, float]]


def measure(case: str, receivers: Sequence[Receiver], images: Images, associations: int, repeat: int) -> Measured:
    """Send to each in turn, after a look at what it keeps.

    Raises:
        ValueError: a receiver did not take everything, or kept something else.
    """
    for each in receivers:
        _sent(each, images.renewed(), associations)
        if not images.digests() <= each.digests():
            raise ValueError(f"{case}: {each.name} keeps something else than what was sent")
    seconds: dict[str, list[float]] = {each.name: [] for each in receivers}
    processor: dict[str, list[float]] = {each.name: [] for each in receivers}
    for round_ in range(repeat):
        for each in list(receivers)[:: -1 if round_ % 2 else 1]:
            paths, before = images.renewed(), each.processor_seconds()
            seconds[each.name].append(_sent(each, paths, associations))
            processor[each.name].append(each.processor_seconds() - before)
    return Measured(case, seconds, processor, _ratios(seconds), _ratios(processor))


def measure_idle(receivers: Sequence[Receiver], associations: int, for_seconds: float) -> Measured:
    """Processor time of associations on which nothing happens."""
    request = association_request(CALLING, CALLED, [(VERIFICATION, PLAIN_SYNTAXES)], 2**14, ())
    seconds: dict[str, list[float]] = {}
    processor: dict[str, list[float]] = {}
    for each in receivers:
        with ExitStack() as stack:
            for _ in range(associations):
                connection = stack.enter_context(socket.create_connection((LOOPBACK, each.port), 60))
                connection.sendall(request)
                if connection.recv(1) != b"\2":
                    raise ValueError(f"{each.name} lets only so many in")
            before, started = each.processor_seconds(), time.perf_counter()
            time.sleep(for_seconds)
            processor[each.name] = [each.processor_seconds() - before]
            seconds[each.name] = [time.perf_counter() - started]
    return Measured(f"idle, {associations} associations", seconds, processor, {}, {})


class Images:
    """Files to send, each time with other SOP Instance UIDs, so that none is known already."""

    def __init__(self, folder: Path, write: Callable[[Path], None]) -> None:
        write(folder)
        self._paths = sorted(folder.iterdir())
        self._numbers = count(10**6)
        self._uids: dict[Path, bytes] = {}
        for path in self._paths:
            dataset = pydicom.dcmread(path)
            self._uids[path] = _UID % next(self._numbers)
            uid = UID(self._uids[path].decode())
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid
            dataset.save_as(path)

    def renewed(self) -> list[Path]:
        """The files, with new UIDs."""
        for path in self._paths:
            uid = _UID % next(self._numbers)
            path.write_bytes(path.read_bytes().replace(self._uids[path], uid))
            self._uids[path] = uid
        return self._paths

    def digests(self) -> set[str]:
        """Of their data sets."""
        return {digest(path) for path in self._paths}


def _sent(to: Receiver, paths: Sequence[Path], associations: int) -> float:
    remote = Remote(host=LOOPBACK, port=to.port, ae_title=CALLED)
    shares = [paths[start::associations] for start in range(associations)]
    started = time.perf_counter()
    with ThreadPoolExecutor(associations) as pool:
        outcomes = [one for some in pool.map(lambda share: send(share, remote, CALLING), shares) for one in some]
    seconds = time.perf_counter() - started
    failed = [one for one in outcomes if one.delivery is not Delivery.ARRIVED]
    if failed:
        raise ValueError(f"{to.name} did not take {len(failed)} images: {failed[0].problem}")
    return seconds


def _ratios(seconds: dict[str, list[float]]) -> dict[str, tuple[float, float, float]]:
    ours = seconds[OURS]
    if min(ours) <= 0:  # processor time is counted in hundredths of a second
        return {}
    each = {
        name: [t / o for t, o in zip(theirs, ours, strict=True)] for name, theirs in seconds.items() if name != OURS
    }
    return {name: (statistics.median(some), min(some), max(some)) for name, some in each.items()}


def run(given: argparse.Namespace, report: Callable[[Measured], None]) -> None:
    """Start the receivers one beside the other, and measure every case."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        root = Path(folder)
        receivers = [stack.enter_context(receiver(name, root / f"{n}")) for n, name in enumerate(receivers_here())]
        slices = Images(root / "ct", lambda where: write_ct(where, "uncompressed", given.slices, given.size))
        for associations in (1, given.associations):
            case = f"{given.slices} slices, {associations} at once"
            report(measure(case, receivers, slices, associations, given.repeat))

        def write_films(where: Path) -> None:
            where.mkdir()
            for number in range(given.films):
                write_film(where / f"{number}.dcm", "uncompressed", given.film_size, windowed=True)

        films = Images(root / "films", write_films)
        report(measure(f"{given.films} films, 1 at once", receivers, films, 1, given.repeat))
        report(measure_idle(receivers, given.idle, given.idle_seconds))


def main(argv: Sequence[str] | None = None) -> int:
    """Measures, prints a line to each receiver of a case, and writes the figures."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.dicom_receive",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--slices", type=int, default=100, help="CT slices in a sending (default: %(default)s)")
    parser.add_argument("--size", type=int, default=512, help="rows and columns of a slice (default: %(default)s)")
    parser.add_argument("--films", type=int, default=10, help="films in a sending (default: %(default)s)")
    parser.add_argument("--film-size", type=int, default=2048, help="rows and columns of a film (default: %(default)s)")
    parser.add_argument("--associations", type=int, default=4, help="that send at once (default: %(default)s)")
    parser.add_argument("--idle", type=int, default=20, help="associations that do nothing (default: %(default)s)")
    parser.add_argument("--idle-seconds", type=float, default=5.0, help="for so long (default: %(default)s)")
    parser.add_argument("--repeat", type=int, default=5, help="rounds (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    given = parser.parse_args(argv)
    cases: list[Measured] = []

    def report(measured: Measured) -> None:
        cases.append(measured)
        sys.stdout.write(f"{measured.case}\n")
        for name, seconds in measured.seconds.items():
            processor = statistics.median(measured.processor_seconds[name])
            line = f"  {name:28} {statistics.median(seconds):8.3f} s   processor {processor:8.3f} s"
            for what, ratios in (("time", measured.ratios), ("processor", measured.processor_ratios)):
                if name in ratios:
                    line += "   {} / {} {:.2f} ({:.2f} to {:.2f})".format(what, OURS, *ratios[name])
            sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    run(given, report)
    if given.out:
        figures = {
            **{name: value for name, value in vars(given).items() if name != "out"},
            "machine": {"processors": os.cpu_count(), "python": platform.python_version()},
            "load": os.getloadavg(),
            "packages": {name: version(name) for name in ("pydicom", "pynetdicom")},
            "cases": [asdict(case) for case in cases],
        }
        given.out.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
