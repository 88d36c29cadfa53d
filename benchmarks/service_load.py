"""`python -m benchmarks.service_load`: a service under load, against the same model in a plain loop.

One process of the service is sent chest films of about 1 MB, each a study of its own, so that nothing is answered from
what was answered before. The plain rate is `medground.inference.ground` in a loop in this process: from a file to
boxes, nothing around it. Every round measures the plain loop and each number of clients once, in another order than
the round before; a throughput is told as a multiple of the plain rate of the same round, and above 1 the service
answers more than the loop does.

  latency     POST /v1/ground from the first byte to the answer, at so many clients: 50th, 95th, 99th percentile
  throughput  answers a second, and over the plain rate
  receiving   images a second by C-STORE, each on the disk before the sender is told, over the plain rate; the goal is
              ten, so that a receiver never waits for the model
  memory      resident memory of the service over so many requests: mean of the last tenth less that of the first

Both sides run the model on the same number of threads, one unless `--threads` says more: on a machine that others
use, threads that wait for each other make a film take ten times as long, and a ratio would tell of that alone. For the
same reason the page has the time that the model itself took for a film, by its own clock, in the loop and in the
service: at one client the two must be alike, or the ratios mean nothing.

Clients run on the same machine and take a share of it; the figures are of the whole.

  python -m benchmarks.service_load                                        # an hour or more on two cores
  python -m benchmarks.service_load --requests 16 --rounds 1 --memory 100  # a look
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Final

import httpx
import pydicom
import torch
from pydicom.uid import UID

from benchmarks.service_figures import Clients, Figures, markdown
from medground.data.phantom.chest_radiograph import chest_radiograph
from medground.data.phantom.dicom_study import write_radiograph_study
from medground.inference.gather import gather
from medground.inference.ground import ground
from medground.inference.reader import Reader
from medground.inference.request import Request
from medground.model.grounder import load_grounder
from medground.schema.result import GroundingResult
from medground.serving.dicom_receiver.delivery import Delivery
from medground.serving.dicom_receiver.sender import send
from pipelines.service_process import CALLING, ServiceProcess, running_service

QUESTION: Final = "is there a nodule?"
_SEED: Final = 9_500_000
_UID: Final = "1.2.826.0.1.3680043.8.498.{}.{:012d}"  # all of one length, and no zero before a number
_FIRST: Final = 10**11


class Films:
    """One film under ever other UIDs.

    Args:
        folder: to write to.
        size_px: side of the film; 720 make about 1 MB.
    """

    def __init__(self, folder: Path, size_px: int) -> None:
        (path,) = write_radiograph_study(chest_radiograph(_SEED, size_px=size_px, findings=["nodule"]), folder)
        dataset = pydicom.dcmread(path)
        self._numbers, self._folder = count(_FIRST), folder
        first = next(self._numbers)
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = _UID.format(1, first), _UID.format(2, first)
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID(_UID.format(3, first))
        dataset.save_as(path)
        self._content, self._first = path.read_bytes(), f".{first:012d}".encode()

    @property
    def size_bytes(self) -> int:
        """Of one."""
        return len(self._content)

    def content(self) -> bytes:
        """A film that nobody has seen."""
        return self._content.replace(self._first, f".{next(self._numbers):012d}".encode())

    def path(self) -> Path:
        """One in a file."""
        path = self._folder / f"{next(self._numbers)}.dcm"
        path.write_bytes(self.content())
        return path


def plain_rate(reader: Reader, films: Films, requests: int) -> tuple[list[float], float]:
    """Seconds of the model for each film, and answers a second, in a loop."""
    paths = [films.path() for _ in range(requests)]
    model_s = []
    started = time.perf_counter()
    for path in paths:
        model_s.append(_model_seconds(ground(gather([path]), Request((QUESTION,)), reader).result))
    rate = requests / (time.perf_counter() - started)
    for path in paths:
        path.unlink()
    return model_s, rate


def _model_seconds(result: GroundingResult) -> float:
    return sum(result.timing_ms.values()) / 1e3


def ask(client: httpx.Client, content: bytes) -> tuple[float, float]:
    """Seconds until a film is answered, and those of the model among them.

    Raises:
        ValueError: it was not.
    """
    started = time.perf_counter()
    answer = client.post("/v1/ground", files={"file": ("film.dcm", content)}, data={"query": QUESTION})
    if answer.status_code != httpx.codes.OK:
        raise ValueError(f"the service answered {answer.status_code}: {answer.text[:200]}")
    seconds = time.perf_counter() - started
    return seconds, _model_seconds(GroundingResult.model_validate_json(answer.content))


def by_clients(
    service: ServiceProcess, films: Films, clients: int, requests: int
) -> tuple[list[tuple[float, float]], float]:
    """What `ask` tells of each film, and answers a second, when so many clients ask at once, each one by one."""
    contents = [films.content() for _ in range(max(requests, clients))]
    shares = [contents[start::clients] for start in range(clients)]

    def work(share: list[bytes]) -> list[tuple[float, float]]:
        with service.client() as client:
            return [ask(client, content) for content in share]

    started = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        told = [one for some in pool.map(work, shares) for one in some]
    return told, len(told) / (time.perf_counter() - started)


def stored_rate(service: ServiceProcess, films: Films, images: int, associations: int) -> float:
    """Images a second by C-STORE.

    Raises:
        ValueError: one did not arrive.
    """
    paths = [films.path() for _ in range(images)]
    shares = [paths[start::associations] for start in range(associations)]
    started = time.perf_counter()
    with ThreadPoolExecutor(associations) as pool:
        each = list(pool.map(lambda share: send(share, service.remote, CALLING), shares))
    seconds = time.perf_counter() - started
    outcomes = [one for some in each for one in some]
    failed = [one for one in outcomes if one.delivery is not Delivery.ARRIVED]
    if failed:
        raise ValueError(f"{len(failed)} of {images} images did not arrive: {failed[0].problem}")
    for path in paths:
        path.unlink()
    return images / seconds


def memory(service: ServiceProcess, films: Films, requests: int) -> Iterator[int]:
    """Resident memory after each of so many requests, in bytes."""
    with service.client() as client:
        for _ in range(requests):
            ask(client, films.content())
            yield service.resident_bytes()


def run(given: argparse.Namespace) -> Figures:
    """Measure everything."""
    with tempfile.TemporaryDirectory(prefix="medground-load-") as folder:
        films = Films(Path(folder) / "films", given.size)
        figures = Figures(films.size_bytes, clients=[Clients(number) for number in given.clients])
        torch.set_num_threads(given.threads)
        reader = load_grounder(None, given.device)
        model = f'[model]\ndevice = "{given.device}"\nthreads = {given.threads}\n'
        with running_service(Path(folder), model) as service:
            plain_rate(reader, films, 2)  # the first reading sets things up
            by_clients(service, films, 1, 2)
            for round_ in range(given.rounds):
                model_s, plain = plain_rate(reader, films, given.requests)
                figures.plain.append(plain)
                figures.plain_model_s += model_s
                for one in figures.clients[:: -1 if round_ % 2 else 1]:
                    told, rate = by_clients(service, films, one.clients, given.requests)
                    one.seconds += [seconds for seconds, _ in told]
                    one.model_s += [seconds for _, seconds in told]
                    one.per_second.append(rate)
                    one.over_plain.append(rate / plain)
                stored = stored_rate(service, films, given.images, given.associations)
                figures.stored.append(stored)
                figures.stored_over_plain.append(stored / plain)
            figures.resident += memory(service, films, given.memory)
    return figures


def main(argv: Sequence[str] | None = None) -> int:
    """Measures, and writes a page of figures."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.service_load",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16], help="at once (default: 1 4 16)")
    parser.add_argument("--requests", type=int, default=100, help="in a round, of each (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--size", type=int, default=720, help="rows and columns of a film (default: %(default)s)")
    parser.add_argument("--images", type=int, default=100, help="sent by C-STORE in a round (default: %(default)s)")
    parser.add_argument("--associations", type=int, default=4, help="that send at once (default: %(default)s)")
    parser.add_argument("--memory", type=int, default=2000, help="requests to watch memory (default: %(default)s)")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="of the model (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="of the model, on either side (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="Markdown file to write; printed in any case")
    given = parser.parse_args(argv)
    page = markdown(given, run(given))
    sys.stdout.write(page)
    if given.out:
        given.out.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
