"""Write the phantom's contact sheets and how far its statistics lie from those of real chest films.

Usage: python -m pipelines.phantom_sheet --out docs/phantom --real ../shared/data/cxr/unlabelled
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw, ImageFont
from scipy import ndimage

from medground.data.phantom.chest_ct import nodule_ct
from medground.data.phantom.chest_radiograph import PhantomImage, chest_radiograph
from medground.data.phantom.ct_truth import slice_records
from medground.data.phantom.findings import DRAWABLE, DRAWN_BY_DEFAULT
from medground.dicom.grey import preset_window

_SIZE: Final = 512
_FILMS: Final = 48
_FIRST_SEED: Final = 900_000
_COLUMNS, _ROWS, _TILE = 4, 3, 360
_GREYS: Final = 240
_COLOURS: Final = ("#ffd23f", "#3bceac", "#ee4266", "#54c6eb", "#f79824", "#b8f35a")

Film = NDArray[np.float32]


def _slope(film: Film) -> float:
    """Exponent of the radial power spectrum between 8 and 128 cycles per picture."""
    window = np.hanning(_SIZE)[:, None] * np.hanning(_SIZE)[None, :]
    power = np.abs(np.fft.rfft2((film - film.mean()) * window)) ** 2
    fy, fx = np.fft.fftfreq(_SIZE, 1 / _SIZE)[:, None], np.fft.rfftfreq(_SIZE, 1 / _SIZE)[None, :]
    ring = np.round(np.hypot(fy, fx)).astype(int)
    mean = np.bincount(ring.ravel(), power.ravel()) / np.maximum(np.bincount(ring.ravel()), 1)
    at = np.arange(8, 129)
    return float(np.polyfit(np.log(at), np.log(mean[at]), 1)[0])


def film_statistics(film: Film) -> dict[str, float]:
    """Measure one film.

    Args:
        film: (512, 512), display intensity 0..1.

    Returns:
        Name and value of each statistic, in the order of the table.
    """
    laplacian = ndimage.laplace(film)
    figures = {"mean": float(film.mean()), "standard deviation": float(film.std())}
    for percent in (5, 25, 50, 75, 95):
        figures[f"percentile {percent}"] = float(np.percentile(film, percent))
    figures["noise: MAD of Laplacian"] = float(np.median(np.abs(laplacian - np.median(laplacian))))
    for sigma in (1, 4):
        gradient = ndimage.gaussian_gradient_magnitude(film, sigma)
        figures[f"edges: mean gradient, sigma {sigma} px"] = float(gradient.mean())
    figures["edges: spectrum slope"] = _slope(film)
    return figures


def _real_films(folder: Path) -> list[Film]:
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    chosen = [paths[i] for i in np.linspace(0, len(paths) - 1, min(_FILMS, len(paths))).astype(int)]
    films = []
    for path in chosen:
        with Image.open(path) as picture:
            small = picture.convert("L").resize((_SIZE, _SIZE), Image.Resampling.BOX)
        films.append(np.asarray(small, np.float32) / np.float32(255))
    return films


def realism_table(phantoms: Sequence[Film], real: Sequence[Film]) -> str:
    """The Markdown page that sets phantoms beside real films.

    Args:
        phantoms: (512, 512) films.
        real: the same of real films; empty where there are none at hand.

    Returns:
        Markdown text.
    """
    ours = [film_statistics(film) for film in phantoms]
    theirs = [film_statistics(film) for film in real]
    lines = [
        "# How far the phantom is from real chest films",
        "",
        f"{len(ours)} phantoms (seeds from {_FIRST_SEED}) at {_SIZE} x {_SIZE} pixels, display intensity 0 to 1;",
        "mean ± standard deviation over films. Written by `python -m pipelines.phantom_sheet`.",
        "",
    ]
    if not theirs:
        lines += ["| statistic | phantom |", "|---|---|"]
        lines += [f"| {name} | {_spread([f[name] for f in ours])} |" for name in ours[0]]
        return "\n".join([*lines, "", "No real films were at hand, so nothing is compared.", ""])
    lines += [
        f"Real: {len(theirs)} films of NIH ChestX-ray14 (NIH Clinical Center; Wang et al., ChestX-ray8, CVPR 2017).",
        "",
        "| statistic | phantom | real | distance |",
        "|---|---|---|---|",
    ]
    distances = {}
    for name in ours[0]:
        a, b = [f[name] for f in ours], [f[name] for f in theirs]
        distances[name] = (float(np.mean(a)) - float(np.mean(b))) / max(float(np.std(b)), 1e-9)
        lines.append(f"| {name} | {_spread(a)} | {_spread(b)} | {distances[name]:+.1f} |")
    worst = max(distances, key=lambda name: abs(distances[name]))
    near = sum(abs(value) <= 1 for value in distances.values())
    lines += [
        "",
        "Distance: difference of the means in standard deviations of the real films.",
        "",
        f"{near} of {len(distances)} statistics lie within one standard deviation of the real films; "
        f"farthest off is the {worst} ({distances[worst]:+.1f}).",
        "",
    ]
    return "\n".join(lines)


def _spread(values: Sequence[float]) -> str:
    return f"{np.mean(values):.4g} ± {np.std(values):.2g}"


def contact_sheet(images: Sequence[PhantomImage]) -> Image.Image:
    """Phantoms in rows of four with their boxes and labels.

    Args:
        images: at most twelve are shown.

    Returns:
        Palette picture: greys, and the colours of the boxes (a fifth of the bytes of full colour).
    """
    sheet = Image.new("P", (_COLUMNS * _TILE, _ROWS * _TILE))
    greys = np.linspace(0, 255, _GREYS).astype(int)
    sheet.putpalette([*np.repeat(greys, 3).tolist(), *(v for colour in _COLOURS for v in ImageColor.getrgb(colour))])
    font = ImageFont.load_default(size=12)
    for place, image in enumerate(images[: _COLUMNS * _ROWS]):
        small = Image.fromarray(image.pixels).resize((_TILE, _TILE), Image.Resampling.BOX)
        tile = Image.fromarray(np.round(np.asarray(small) * (_GREYS - 1)).astype(np.uint8), "L")
        pen = ImageDraw.Draw(tile)
        pen.fontmode = "1"
        for number, region in enumerate(image.regions):
            colour = _GREYS + number % len(_COLOURS)
            box = [value * _TILE / image.pixels.shape[0] for value in region.box.xyxy_px]
            pen.rectangle(box, outline=colour, width=2)
            top = box[1] - 15 if box[1] >= 15 else box[1] + 1  # the label hides nothing where it fits above
            pen.text((box[0] + 3, top), region.concept.replace("_", " "), fill=colour, font=font)
        sheet.paste(Image.fromarray(np.asarray(tile), "P"), (place % _COLUMNS * _TILE, place // _COLUMNS * _TILE))
    return sheet


def later_findings() -> list[PhantomImage]:
    """Two films of each finding that is drawn only where it is asked for."""
    names = [name for name in DRAWABLE if name not in DRAWN_BY_DEFAULT]
    return [
        chest_radiograph(_FIRST_SEED + 100 * place + film, size_px=_SIZE, findings=[name])
        for place, name in enumerate(names)
        for film in range(2)
    ]


def nodule_slices() -> list[PhantomImage]:
    """Twelve slices in the lung window, each through the middle of a nodule of another patient."""
    shown = []
    for seed in range(_FIRST_SEED, _FIRST_SEED + _COLUMNS * _ROWS):
        volume = nodule_ct(seed, slices=48)
        voxels = volume.regions3d[0].voxels
        number = max(voxels, key=lambda n: voxels[n])
        grey = preset_window("lung").apply(volume.hu[number].astype(np.float64)).astype(np.float32)
        regions = slice_records(volume)[number].regions
        shown.append(PhantomImage(grey, volume.spacing_mm[1:], regions, seed))
    return shown


def main(argv: Sequence[str] | None = None) -> int:
    """Write `contact_sheet.png`, `later_findings.png`, `ct_nodules.png` and `realism.md`.

    Args:
        argv: command line without the program; None takes the process's own.

    Returns:
        Exit code 0.
    """
    parser = argparse.ArgumentParser(description="Contact sheets and realism table of the phantom.")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--real", type=Path, help="folder of real chest films (JPEG or PNG); left out if absent")
    parser.add_argument("--films", type=int, default=_FILMS, help="phantoms to measure")
    options = parser.parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    images = [chest_radiograph(_FIRST_SEED + i, size_px=_SIZE) for i in range(options.films)]
    sheets = {"contact_sheet": images, "later_findings": later_findings(), "ct_nodules": nodule_slices()}
    for name, films in sheets.items():
        contact_sheet(films).save(options.out / f"{name}.png", optimize=True)
    real = _real_films(options.real) if options.real and options.real.is_dir() else []
    page = realism_table([image.pixels for image in images], real)
    (options.out / "realism.md").write_text(page, encoding="utf-8")
    print(f"wrote {', '.join(f'{name}.png' for name in sheets)} and realism.md to {options.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
