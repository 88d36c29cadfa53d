"""`python -m benchmarks.loader`: images a second against a plain PyTorch loop over the same files, and memory by size.

The plain loop is what one would write first: a `Dataset` that decodes with Pillow or pydicom, resizes, and makes a
tensor. Each round runs every loader once, in another order than the round before; a ratio is our rate over the plain
one in the same round. All files lie in the page cache.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import torch
from PIL import Image
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from medground.data.columnar import DataSet, write_data_set
from medground.data.frame_cache import FrameCache
from medground.data.loading import LoadConfig, TrainingPairs, collate
from medground.data.phantom.chest_radiograph import chest_radiograph, to_record
from medground.data.phantom.dicom_study import write_radiograph_study
from medground.data.phantom.known import known_of
from medground.data.sample import restore
from medground.data.transforms.frames import Frame
from medground.data.vocabulary import load_vocabulary
from medground.schema.record import ImageRecord

PLAIN = "plain PyTorch loop"
_SIZE_PX = 512
_BATCH = 8


class PlainImages(Dataset[Tensor]):
    """The plain loop."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        path = self.paths[index]
        if path.suffix == ".dcm":
            dataset = pydicom.dcmread(path)
            grey = apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset).astype(np.float32)
            grey = -grey if dataset.PhotometricInterpretation == "MONOCHROME1" else grey
            picture = Image.fromarray((grey - grey.min()) / max(float(np.ptp(grey)), 1.0))
        else:
            with Image.open(path) as opened:
                picture = Image.fromarray(np.asarray(opened.convert("L"), np.float32) / 255)
        return torch.from_numpy(np.array(picture.resize((_SIZE_PX, _SIZE_PX), Image.Resampling.BILINEAR)))[None]


@dataclass(frozen=True)
class Rate:
    """How fast one loader is.

    Attributes:
        loader: its name.
        workers: processes besides this one.
        images_per_second: one number to a round.
        ratio: to the plain loop with as many workers: median, lowest and highest of the rounds.
    """

    loader: str
    workers: int
    images_per_second: list[float]
    ratio: tuple[float, float, float]


@dataclass(frozen=True)
class Memory:
    """What a data set of some size takes in a process of its own.

    Attributes:
        records: number of them.
        list_seconds: to open it, and to read every id and patient.
        listed_mb: more resident memory after that, MB.
        loader_mb: more after the training loader is made of it too, MB.
    """

    records: int
    list_seconds: float
    listed_mb: float
    loader_mb: float


def film_records(folder: Path, count: int, size_px: int) -> list[ImageRecord]:
    """Phantom films, half of them as PNG and half as DICOM.

    Args:
        folder: to write to.
        count: number of films.
        size_px: rows and columns.
    """
    records = []
    for seed in range(count):
        image = chest_radiograph(seed, size_px=size_px)
        if seed % 2:
            (path,) = write_radiograph_study(image, folder / f"study{seed}")
        else:
            path = folder / f"film{seed}.png"
            Image.fromarray(np.round(image.pixels * 255).astype(np.uint8)).save(path)
        record = to_record(image, record_id=f"film{seed}", part="train", exhaustive_for=known_of(image.regions))
        records.append(record.model_copy(update={"path": path, "sha256": f"{seed:064x}"}))
    return records


def measure(records: Sequence[ImageRecord], workers: Sequence[int], repeat: int) -> list[Rate]:
    """Time every loader over the same files.

    Args:
        records: with files.
        workers: numbers of worker processes to try.
        repeat: number of rounds.
    """
    vocabulary = load_vocabulary()
    config = LoadConfig(frame_px=_SIZE_PX)
    with tempfile.TemporaryDirectory() as name:
        warm = Path(name) / "warm"
        filled = FrameCache(records, _SIZE_PX, warm)
        for number in range(len(records)):
            filled.frame(number)
        colds = (Path(name) / f"cold{number}" for number in range(10**6))
        loaders: dict[str, Callable[[], tuple[Dataset[Any], Callable[[list[Any]], Any]]]] = {
            PLAIN: lambda: (PlainImages([_path(record) for record in records]), torch.stack),
            "frames, cold": lambda: (FrameCache(records, _SIZE_PX, next(colds)), _floats),
            "frames, cached": lambda: (FrameCache(records, _SIZE_PX, warm), _floats),
            "augmented views with questions, cached": lambda: (
                TrainingPairs(records, vocabulary, config, cache=warm, seed=0, length=len(records)),
                collate,
            ),
        }
        rates = []
        for number in workers:
            seconds: dict[str, list[float]] = {loader: [] for loader in loaders}
            for round_ in range(repeat):
                for loader in list(loaders)[:: -1 if round_ % 2 else 1]:
                    seconds[loader].append(_seconds(*loaders[loader](), number))
            rates += [_rate(loader, number, own, seconds[PLAIN], len(records)) for loader, own in seconds.items()]
    return rates


def _rate(loader: str, workers: int, own: Sequence[float], plain: Sequence[float], images: int) -> Rate:
    ratios = [theirs / ours for ours, theirs in zip(own, plain, strict=True)]
    return Rate(
        loader,
        workers,
        [images / seconds for seconds in own],
        (statistics.median(ratios), min(ratios), max(ratios)),
    )


def _seconds(dataset: Dataset[Any], join: Callable[[list[Any]], Any], workers: int) -> float:
    start = time.perf_counter()
    for _ in DataLoader(dataset, batch_size=_BATCH, num_workers=workers, collate_fn=join):
        pass
    return time.perf_counter() - start


def _floats(frames: list[Frame]) -> list[Tensor]:
    """As the plain loop's; side by side, they are as high as their image is, so they are not stacked."""
    return [torch.from_numpy(restore(frame.pixels_HW.astype(np.uint8, copy=False)))[None] for frame in frames]


def _path(record: ImageRecord) -> Path:
    if record.path is None:
        raise ValueError(f"{record.record_id} names no file")
    return record.path


def memory(sizes: Sequence[int], sample: Sequence[ImageRecord]) -> list[Memory]:
    """Measure data sets that repeat some records, each in a new process.

    Args:
        sizes: numbers of records.
        sample: records to repeat, under new ids.
    """
    found = []
    for size in sizes:
        records = [
            sample[number % len(sample)].model_copy(update={"record_id": f"r{number}", "patient_id": f"p{number // 3}"})
            for number in range(size)
        ]
        with tempfile.TemporaryDirectory() as name:
            write_data_set(Path(name), records, name="size", vocabulary=load_vocabulary(), copy=False)
            del records
            command = [sys.executable, "-m", "benchmarks.loader", "--open", name]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
        found.append(Memory(**json.loads(done.stdout.splitlines()[-1])))
    return found


def opened(folder: Path) -> Memory:
    """Open a data set in this process, and say what it took."""
    before = _resident_mb()
    start = time.perf_counter()
    data = DataSet(folder)
    ids = data.column("record_id")
    patients = set(data.column("patient_id"))
    seconds = time.perf_counter() - start
    listed = _resident_mb()
    with tempfile.TemporaryDirectory() as name:
        pairs = TrainingPairs(
            data, data.vocabulary, LoadConfig(), cache=Path(name), seed=0, length=max(len(ids), len(patients))
        )
        after = _resident_mb()
    return Memory(len(pairs), seconds, listed - before, after - before)


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main(argv: Sequence[str] | None = None) -> int:
    """Print a table, and write the figures as JSON if asked.

    Args:
        argv: command line without the program; None takes the process's own.

    Returns:
        Exit code 0.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=160, help="phantom films to load")
    parser.add_argument("--size", type=int, default=1024, help="rows and columns of a film")
    parser.add_argument("--data", type=Path, help="data set of films to load, in place of phantoms")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2], help="numbers of worker processes")
    parser.add_argument("--repeat", type=int, default=3, help="rounds")
    parser.add_argument("--records", type=int, nargs="+", default=[1_000, 10_000, 100_000], help="sizes for memory")
    parser.add_argument("--out", type=Path, help="JSON to write")
    parser.add_argument("--open", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.open:
        print(json.dumps(asdict(opened(options.open))))
        return 0
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        records = (
            list(DataSet(options.data)[: options.images])
            if options.data
            else film_records(Path(name), options.images, options.size)
        )
        rates = measure(records, options.workers, options.repeat)
        sizes = memory(options.records, records)
    print(f"{len(records)} films of {records[0].columns} x {records[0].rows}, {_SIZE_PX} px, {options.repeat} rounds")
    for rate in rates:
        median, low, high = rate.ratio
        print(
            f"{rate.workers} workers  {rate.loader:40} {statistics.median(rate.images_per_second):7.1f} images/s  "
            f"x {median:.2f} ({low:.2f} to {high:.2f})"
        )
    for size in sizes:
        print(
            f"{size.records:7} records  listed in {size.list_seconds:.2f} s  +{size.listed_mb:.0f} MB, "
            f"with the loader +{size.loader_mb:.0f} MB"
        )
    if options.out:
        figures = {"images": len(records), "size": records[0].columns, "python": platform.python_version()}
        figures |= {"torch": torch.__version__, "cores": os.cpu_count(), "repeat": options.repeat}
        text = json.dumps({**figures, "rates": list(map(asdict, rates)), "memory": list(map(asdict, sizes))}, indent=1)
        options.out.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
