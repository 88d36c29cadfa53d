"""`python -m benchmarks.dicom_reading`: a CT series into a float volume, and one film to its windowed picture.

Each round runs every reader once, in another order than the round before; a ratio is the time of another reader over
ours in the same round. All files lie in the page cache. Results are compared before any time counts.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

from benchmarks.synthetic import SYNTAXES, write_ct, write_film
from medground.dicom.discover import discover
from medground.dicom.image import open_image
from medground.dicom.volume import read_volume

OURS = "medground"
SERIES_SYNTAXES = ("uncompressed", "jpeg-2000", "rle", "jpeg-ls")
_Reader = Callable[[], NDArray[Any]]
_Scale = Callable[[NDArray[Any]], NDArray[Any]]


@dataclass(frozen=True)
class Measured:
    """Times of one case.

    Attributes:
        case: e.g. `ct jpeg-2000`.
        seconds: by reader, one number to a round.
        ratios: by other reader, its time over ours: median, lowest and highest of the rounds.
    """

    case: str
    seconds: dict[str, list[float]]
    ratios: dict[str, tuple[float, float, float]]


def measure(case: str, readers: dict[str, _Reader], repeat: int, scale: _Scale | None = None) -> Measured:
    """Time the readers in turn, after a look at what they read.

    Args:
        case: its name.
        readers: ours among them.
        repeat: number of rounds.
        scale: what another reader's values must go through to be ours; nothing if None.

    Raises:
        ValueError: the results differ.
    """
    expected = readers[OURS]()
    for name, read in readers.items():
        if name != OURS and not np.allclose(scale(read()) if scale else read(), expected, atol=1e-6):
            raise ValueError(f"{case}: {name} reads other values than {OURS}")
    del expected
    seconds: dict[str, list[float]] = {name: [] for name in readers}
    for round_ in range(repeat):
        order = list(readers)[:: -1 if round_ % 2 else 1]
        for name in order:
            start = time.perf_counter()
            readers[name]()
            seconds[name].append(time.perf_counter() - start)
    ratios = {}
    for name in readers:
        if name != OURS:
            each = [theirs / ours for theirs, ours in zip(seconds[name], seconds[OURS], strict=True)]
            ratios[name] = (statistics.median(each), min(each), max(each))
    return Measured(case, seconds, ratios)


def series_readers(folder: Path) -> dict[str, _Reader]:
    """Readers of a folder with one CT series, each from the names of the files to (slices, rows, columns) float32."""
    import SimpleITK as sitk  # noqa: N813  # its own name for itself
    from monai.data import PydicomReader
    from monai.transforms import LoadImage

    load = LoadImage(reader=PydicomReader(), image_only=True)
    held: list[sitk.Image] = []  # its pixels go with it, and a copy would count against it

    def ours() -> NDArray[Any]:
        return read_volume(discover([folder]).studies[0].series[0]).voxels_SRC

    def monai() -> NDArray[Any]:
        return np.asarray(load(str(folder))).transpose(2, 1, 0)

    def simple_itk() -> NDArray[Any]:
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
        reader.SetOutputPixelType(sitk.sitkFloat32)
        held[:] = [reader.Execute()]
        voxels: NDArray[Any] = sitk.GetArrayViewFromImage(held[0])
        return voxels

    return {OURS: ours, "MONAI PydicomReader": monai, "SimpleITK ImageSeriesReader": simple_itk}


def film_readers(path: Path) -> dict[str, _Reader]:
    """Readers of one film, from the first byte of the file to its picture."""

    def ours() -> NDArray[Any]:
        return open_image(path).display()

    def plain_pydicom() -> NDArray[Any]:
        dataset = pydicom.dcmread(path)
        return apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset)

    return {OURS: ours, "pydicom": plain_pydicom}


def film_scale(path: Path) -> _Scale:
    """From pydicom's values to brightness 0..1: a window fills the range of the stored bits, else the values do."""
    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    highest = 2.0**dataset.BitsStored - 1

    def scale(seen: NDArray[Any]) -> NDArray[Any]:
        low, high = (0.0, highest) if "WindowWidth" in dataset else (float(seen.min()), float(seen.max()))
        return (seen.astype(np.float64) - low) / (high - low)

    return scale


def run(slices: int, size: int, film_size: int, repeat: int, report: Callable[[Measured], None]) -> None:
    """Write the files to a temporary folder, and measure every case."""
    with tempfile.TemporaryDirectory() as name:
        for syntax in SERIES_SYNTAXES:
            folder = Path(name) / syntax
            write_ct(folder, syntax, slices, size)
            report(measure(f"ct {syntax}", series_readers(folder), repeat))
            for path in folder.iterdir():
                path.unlink()
        for syntax, windowed in itertools.product(SYNTAXES, (True, False)):
            path = Path(name) / f"film-{syntax}-{windowed}.dcm"
            write_film(path, syntax, film_size, windowed=windowed)
            case = f"film {syntax}, {'with' if windowed else 'without'} window"
            report(measure(case, film_readers(path), repeat, film_scale(path)))


def main(argv: Sequence[str] | None = None) -> int:
    """Measures, prints a line to a case, and writes the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dicom_reading", description=__doc__)
    parser.add_argument("--slices", type=int, default=300, help="of the CT series")
    parser.add_argument("--size", type=int, default=512, help="rows and columns of a slice")
    parser.add_argument("--film-size", type=int, default=2048, help="rows and columns of the film")
    parser.add_argument("--repeat", type=int, default=5, help="rounds")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    given = parser.parse_args(argv)
    cases: list[Measured] = []

    def report(measured: Measured) -> None:
        cases.append(measured)
        ours = statistics.median(measured.seconds[OURS])
        parts = [
            f"{name} / {OURS} {m:.2f} ({low:.2f} to {high:.2f})" for name, (m, low, high) in measured.ratios.items()
        ]
        sys.stdout.write(f"{measured.case:32} {ours:8.3f} s   {'   '.join(parts)}\n")
        sys.stdout.flush()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run(given.slices, given.size, given.film_size, given.repeat, report)
    if given.out:
        packages = ("numpy", "pydicom", "pylibjpeg-openjpeg", "pyjpegls", "python-gdcm", "pillow", "monai", "SimpleITK")
        figures = {
            "slices": given.slices,
            "size": given.size,
            "film_size": given.film_size,
            "repeat": given.repeat,
            "machine": {"processors": os.cpu_count(), "python": platform.python_version()},
            "load": os.getloadavg(),
            "packages": {name: version(name) for name in packages},
            "cases": [asdict(case) for case in cases],
        }
        given.out.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
