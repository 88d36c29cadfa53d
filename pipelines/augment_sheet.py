"""Draw a contact sheet of augmented samples with their boxes and questions, to be looked at.

Usage: python -m pipelines augment-sheet --out docs/data/augmented.png
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont

from medground.data.columnar import DataSet
from medground.data.copy_paste import SOURCE
from medground.data.loading import LoadConfig, TrainingPair, TrainingPairs
from medground.data.phantom.chest_ct import nodule_ct
from medground.data.phantom.ct_truth import write_ct_truth
from medground.data.phantom.population import phantom_record
from medground.data.vocabulary import load_vocabulary
from medground.schema.record import ImageRecord

_COLUMNS, _ROWS, _TILE, _TEXT = 4, 4, 330, 64
_GREYS: Final = 240
_COLOURS: Final = ("#ffd23f", "#3bceac", "#ee4266", "#54c6eb", "#f79824", "#b8f35a", "#d08bff", "#ffffff")
_INK: Final = _GREYS + len(_COLOURS) - 1
_FILMS, _VOLUMES, _SLICES = 160, 4, 6
_CONFIG: Final = LoadConfig(mosaic=0.15, copy_paste=0.8, languages=("en",))


def phantom_records(folder: Path, films: int = _FILMS, volumes: int = _VOLUMES) -> list[ImageRecord]:
    """Write films and CT slices of the phantom, and give their records.

    Args:
        folder: made if absent.
        films: of the training population, which begins with its rare findings.
        volumes: CT volumes, of each of which a few slices with nodules are taken.
    """
    folder.mkdir(parents=True, exist_ok=True)
    records = []
    for number in range(films):
        image, record = phantom_record("train", number)
        path = folder / f"{record.record_id}.png"
        Image.fromarray(np.round(image.pixels * 255).astype(np.uint8)).save(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        records.append(record.model_copy(update={"path": path, "sha256": digest}))
    for seed in range(volumes):
        slices = write_ct_truth(nodule_ct(seed, slices=24), folder / f"ct{seed}")
        records += [record for record in slices if record.regions][:_SLICES]
    return records


def chosen(pairs: TrainingPairs, count: int) -> list[TrainingPair]:
    """Pairs to show: of the first ones, each in turn of a kind that was shown least."""
    drawn = [pairs[number] for number in range(min(len(pairs), 6 * count))]
    found: list[TrainingPair] = []
    while drawn and len(found) < count:
        shown = [_sort(pair) for pair in found]
        found.append(min(drawn, key=lambda pair: shown.count(_sort(pair))))
        drawn = [pair for pair in drawn if pair is not found[-1]]
    return found


def _sort(pair: TrainingPair) -> tuple[str, bool, bool, bool]:
    record = pair.view.record
    pasted = any(region.source == SOURCE for region in record.regions)
    return pair.pair.kind.value, pasted, "+" in record.record_id, pair.view.window is not None


def sheet(pairs: Sequence[TrainingPair]) -> Image.Image:
    """Pairs in rows of four: boxes in the colour of their concept, answers thick, the question below.

    L and R stand where the patient's left and right are, if that is known of the view.

    Args:
        pairs: at most sixteen are shown.

    Returns:
        Palette picture: greys, and the colours of the boxes.
    """
    picture = Image.new("P", (_COLUMNS * _TILE, _ROWS * (_TILE + _TEXT)))
    greys = np.linspace(0, 255, _GREYS).astype(int)
    picture.putpalette([*np.repeat(greys, 3).tolist(), *(v for colour in _COLOURS for v in ImageColor.getrgb(colour))])
    for place, pair in enumerate(pairs[: _COLUMNS * _ROWS]):
        tile = _tile(pair)
        picture.paste(tile, (place % _COLUMNS * _TILE, place // _COLUMNS * (_TILE + _TEXT)))
    return picture


def _tile(pair: TrainingPair) -> Image.Image:
    record, side = pair.view.record, _TILE - 4
    levels = np.clip((pair.view.pixels_HW.numpy() + 3) / 6, 0, 1) * (_GREYS - 1)
    small = Image.fromarray(np.round(levels).astype(np.uint8), "L").resize((side, side), Image.Resampling.BOX)
    tile = Image.new("L", (_TILE, _TILE + _TEXT))
    tile.paste(small, (2, 2))
    pen = ImageDraw.Draw(tile)
    pen.fontmode = "1"
    font = ImageFont.load_default(size=12)
    colours: dict[str, int] = {}
    for number, region in enumerate(record.regions):
        colour = _GREYS + colours.setdefault(region.concept, len(colours)) % (len(_COLOURS) - 1)
        x1, y1, x2, y2 = (value * side / record.columns + 2 for value in region.box.xyxy_px)
        pen.rectangle((x1, y1, x2, y2), outline=colour, width=3 if number in pair.pair.targets else 1)
        words = region.concept.replace("_", " ") + (" (pasted)" if region.source == SOURCE else "")
        pen.text((x1 + 2, y1 - 15 if y1 >= 17 else y2 + 1), words, fill=colour, font=font)
    if record.columns_toward_left is not None:
        first, last = ("R", "L") if record.columns_toward_left > 0 else ("L", "R")
        pen.text((6, side // 2), first, fill=_INK, font=font)
        pen.text((side - 12, side // 2), last, fill=_INK, font=font)
    answer = (
        "not found"
        if not pair.pair.targets
        else "1 box"
        if len(pair.pair.targets) == 1
        else f"{len(pair.pair.targets)} boxes"
    )
    lines = [f'"{pair.pair.question}" {answer} ({pair.pair.kind.value})']
    lines += [said.text for said in pair.pair.statements if said.region == pair.pair.targets[0]][:3]
    text = "\n".join(line for words in (lines[0], " ".join(lines[1:])) for line in textwrap.wrap(words, 52)[:2])
    pen.multiline_text((4, _TILE), text, fill=_INK, font=font, spacing=2)
    return Image.fromarray(np.asarray(tile), "P")


def main(argv: Sequence[str] | None = None) -> int:
    """Write the sheet.

    Args:
        argv: command line without the program; None takes the process's own.

    Returns:
        Exit code 0.
    """
    parser = argparse.ArgumentParser(description="Contact sheet of augmented samples with their questions.")
    parser.add_argument("--out", type=Path, required=True, help="PNG to write")
    parser.add_argument(
        "--data", type=Path, help="data set to draw from, in place of phantoms; keep such a sheet to you"
    )
    parser.add_argument("--films", type=int, default=_FILMS, help="phantom films to draw from")
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        records: Sequence[ImageRecord]
        records = DataSet(options.data) if options.data else phantom_records(folder / "images", options.films)
        vocabulary = records.vocabulary if isinstance(records, DataSet) else load_vocabulary()
        config = _CONFIG.model_copy(update={"rare": 0.05})
        pairs = TrainingPairs(records, vocabulary, config, cache=folder / "cache", seed=options.seed, length=1000)
        picture = sheet(chosen(pairs, _COLUMNS * _ROWS))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    picture.save(options.out, optimize=True)
    print(f"wrote {options.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
