"""`python -m pipelines cases`: gives a bundle cases of its rare findings, from the phantoms it was trained on.

Phantoms of training seeds are drawn again and read as they would be served. Regions of rare findings that the model
sees are what it learnt; of each finding on each kind of image those that differ most become cases, with a small
picture each, which may be kept since they show nobody. Real images give no cases: their pictures may not be kept, and
what is known of them is little more than a box. The bundle is copied, with its patch version raised.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from medground.data.phantom.chest_ct import chest_ct_slice, ct_slice_spacing_mm
from medground.data.phantom.chest_radiograph import chest_radiograph, to_record
from medground.dicom.grey import preset_window
from medground.evaluation.overlap import iou_matrix
from medground.imaging.preprocess import ModelImage, prepare
from medground.inference.learnt_cases import cases_of
from medground.model.bundle import Bundle, read_bundle
from medground.model.bundle_write import save_bundle
from medground.model.cases import PHANTOM, Cases, Picture, diverse
from medground.model.class_example import Example, see
from medground.model.grounder import Grounder
from medground.model.reading import Phrase
from medground.schema.anatomy import Domain
from medground.schema.errors import MedgroundError, UsageError
from medground.schema.record import ImageRecord
from pipelines.sources import TRAIN_SEEDS, say

EACH = 8
FOUND_IOU, BEST_BOXES = 0.5, 8
KINDS = (Domain.CHEST_RADIOGRAPH, Domain.CHEST_CT)
_TILE_PX, _ACROSS = 140, 8


@dataclass(frozen=True, slots=True)
class Drawn:
    """A phantom: displayed pixels (rows, columns), 0..1, and its record."""

    pixels: NDArray[np.float32]
    record: ImageRecord


def radiographs(count: int) -> Iterator[Drawn]:
    """Films of training seeds, as `medground.data.pools.phantom_radiograph` draws them."""
    for seed in range(TRAIN_SEEDS, TRAIN_SEEDS + count):
        film = chest_radiograph(seed)
        yield Drawn(film.pixels, to_record(film, record_id=f"phantom-{seed}"))


def slices(count: int) -> Iterator[Drawn]:
    """CT slices of training seeds, as `medground.data.pools.phantom_slice` draws them."""
    for seed in range(TRAIN_SEEDS, TRAIN_SEEDS + count):
        hu, regions = chest_ct_slice(seed)
        record = ImageRecord(
            record_id=f"phantom-ct-{seed}",
            patient_id=f"phantom-ct-{seed}",
            columns=hu.shape[1],
            rows=hu.shape[0],
            domain=Domain.CHEST_CT,
            dataset="phantom",
            regions=regions,
            synthetic=True,
            columns_toward_left=1,
            spacing_mm=ct_slice_spacing_mm(seed),
        )
        yield Drawn(preset_window("lung").apply(hu.astype(np.float64)).astype(np.float32), record)


def shown_with_cases(bundle: Bundle, domain: Domain) -> tuple[str, ...]:
    """The findings that are rare on a kind of image and were learnt from phantoms, among others or alone."""
    return tuple(
        entry.concept
        for entry in bundle.scope.trained
        if entry.domain == domain and entry.is_rare and entry.boxes > entry.real_boxes
    )


def found(grounder: Grounder, image: ModelImage, record: ImageRecord, wanted: Sequence[str]) -> list[int]:
    """The regions of wanted findings that the model sees: one of its best boxes of that finding lies over them.

    Scores do not count: those of rare findings are calibrated where they are rarer still, and low.
    """
    asked = sorted({region.concept for region in record.regions if region.concept in wanted})
    if not asked:
        return []
    phrases = [Phrase(concept, grounder.vocabulary[concept].name) for concept in asked]
    (reading,) = grounder.read([image], phrases, max_boxes=BEST_BOXES, min_score=0.0)
    boxes = {heard.phrase.concept: [c.box_xyxy_px for c in heard.candidates] for heard in reading.phrases}
    return [
        index
        for index, region in enumerate(record.regions)
        if boxes.get(region.concept)
        and float(iou_matrix([region.box.xyxy_px], boxes[region.concept]).max()) >= FOUND_IOU
    ]


def gathered(grounder: Grounder, drawn: Iterator[Drawn], wanted: Sequence[str]) -> Cases:
    """Every region of wanted findings that the model sees, as a case; of each finding those that differ most."""
    bundle, parts = grounder.bundle, []
    for one in drawn:
        image = prepare(one.pixels, grounder.image_size_px)
        indices = found(grounder, image, one.record, wanted)
        if not indices:
            continue
        boxes = tuple(one.record.regions[index].box.xyxy_px for index in indices)
        seen = see(bundle, Example(image, boxes, one.record.domain, synthetic=True))
        parts.append(
            cases_of(
                one.record,
                indices,
                seen.regions_GF.numpy(),
                bundle.vocabulary,
                source=PHANTOM,
                picture=Picture.KEPT,
                pixels=one.pixels,
            )
        )
        if sum(len(part.known) for part in parts) > 400:  # what is chosen among is kept small
            parts = [chosen(reduce(Cases.joined, parts, Cases()), 4 * EACH)]
    return chosen(reduce(Cases.joined, parts, Cases()), EACH)


def chosen(cases: Cases, each: int) -> Cases:
    """Of each finding at most so many, those that differ most."""
    rows: list[int] = []
    for concept in sorted({one.concept for one in cases.known}):
        own = [row for row, one in enumerate(cases.known) if one.concept == concept]
        rows += [own[n] for n in diverse(cases.features_ND[own].astype(np.float32), each)]
    return cases.only(rows)


def raised(version: str) -> str:
    """The next patch version.

    Raises:
        UsageError: it is not MAJOR.MINOR.PATCH, or classes were added to it.
    """
    parts = version.split(".")
    if len(parts) != 3 or not all(part.isdecimal() for part in parts):
        raise UsageError(f"version {version!r} is not MAJOR.MINOR.PATCH: give a bundle as it was trained")
    return f"{parts[0]}.{parts[1]}.{int(parts[2]) + 1}"


def sheet(cases: Cases) -> Image.Image:
    """All pictures with their boxes, for people to look at."""
    known = [one for one in cases.known if one.box_xyxy_px is not None]
    page = Image.new("RGB", (_ACROSS * _TILE_PX, -(-max(len(known), 1) // _ACROSS) * (_TILE_PX + 14)), (24, 24, 27))
    draw = ImageDraw.Draw(page)
    for number, one in enumerate(known):
        x, y = number % _ACROSS * _TILE_PX, number // _ACROSS * (_TILE_PX + 14)
        page.paste(Image.fromarray(cases.pictures[one.id]), (x, y))
        if one.box_xyxy_px is not None:
            x1, y1, x2, y2 = one.box_xyxy_px
            draw.rectangle((x + x1, y + y1, x + x2, y + y2), outline=(255, 200, 0))
        draw.text((x, y + 129), f"{one.concept} {one.domain.value[6:8]}"[:22], fill=(238, 238, 238))
    return page


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parse = argparse.ArgumentParser(
        prog="python -m pipelines cases", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parse.add_argument("--bundle", type=Path, help="bundle folder (default: the shipped one)")
    parse.add_argument("--out", type=Path, required=True, help="folder of the new bundle; must not be there yet")
    parse.add_argument("--films", type=int, default=400, help="chest radiographs to choose from (default: 400)")
    parse.add_argument("--slices", type=int, default=200, help="CT slices to choose from (default: 200)")
    parse.add_argument("--sheet", type=Path, help="file for a contact sheet of the pictures (PNG)")
    parse.add_argument("--threads", type=int, default=2, help="CPU threads (default: 2)")
    return parse


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; see `parser`."""
    args = parser().parse_args(argv)
    torch.set_num_threads(args.threads)
    try:
        if args.out.exists():
            raise UsageError(f"--out {args.out} is there already; give a folder that is not, so that no bundle is lost")
        bundle = read_bundle(args.bundle)
        info = bundle.info.model_copy(update={"version": raised(bundle.info.version), "sha256": ""})
        grounder, cases = Grounder(bundle), Cases()
        for domain, drawn in zip(KINDS, (radiographs(args.films), slices(args.slices)), strict=True):
            wanted = shown_with_cases(bundle, domain)
            of_kind = gathered(grounder, drawn, wanted) if wanted else Cases()
            for concept in wanted:
                say(f"{domain.value}: {concept}: {sum(one.concept == concept for one in of_kind.known)} cases")
            cases = cases.joined(of_kind)
        save_bundle(replace(bundle, info=info, cases=cases), args.out)
    except MedgroundError as error:
        say(f"error: {error}")
        return error.exit_code
    if args.sheet is not None:
        args.sheet.parent.mkdir(parents=True, exist_ok=True)
        sheet(cases).save(args.sheet)
    print(f"{len(cases.known)} cases, {len(cases.pictures)} with a picture; {info.version} written to {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
