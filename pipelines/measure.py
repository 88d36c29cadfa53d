"""`python -m pipelines measure`: reads every image of a part with a bundle, whatever it shows, and scores the boxes.

`evaluate` goes the way of a user's question, with its refusals; this is the way of the literature and of our peers:
every image, every concept, every box.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from medground.data.pixels import displayed
from medground.data.questions import sample_phrase
from medground.data.splits import DEV, VALID
from medground.evaluation.scene import ENDING, Scene, SceneImage
from medground.imaging.preprocess import prepare
from medground.model.grounder import Grounder, load_grounder
from medground.model.reading import Phrase
from medground.schema.errors import MedgroundError, UsageError
from medground.schema.record import ImageRecord
from medground.tracking.runs import open_run
from pipelines.compare import EXPERIMENT
from pipelines.evaluate import write_scene
from pipelines.scenes import log_scene
from pipelines.sources import BLOOD, CHEST, LIMB, SETS, Sources, default_data, load_sources, say
from pipelines.train import HOME, RUN_NOTES

BOXES = 100  # per image and concept, as COCO counts


def measure(grounder: Grounder, records: Sequence[ImageRecord], *, system: str, data: str, seed: int = 0) -> Scene:
    """Boxes of every trained concept on every image, each asked in one of its many forms, English or Chinese.

    Args:
        grounder: of the bundle.
        records: images with truth.
        system: name and version of what is measured.
        data: name of the data set and its part.
        seed: draws the words of the questions.
    """
    trained = {t.concept: t for t in grounder.scope.trained if t.domain == records[0].domain}
    images = tuple(_read(grounder, record, list(trained), (seed, row)) for row, record in _counted(records, data))
    return Scene(
        system=system,
        data=data,
        training_boxes={concept: t.boxes for concept, t in trained.items()},
        real_boxes={concept: t.real_boxes for concept, t in trained.items()},
        images=images,
    )


def _counted(records: Sequence[ImageRecord], data: str) -> Iterator[tuple[int, ImageRecord]]:
    for row, record in enumerate(records):
        if row and row % 50 == 0:
            say(f"{data}: {row} of {len(records)} images")
        yield row, record


def _read(grounder: Grounder, record: ImageRecord, concepts: list[str], seed: tuple[int, int]) -> SceneImage:
    if record.path is None:
        raise UsageError(f"record {record.record_id!r} names no image file")
    rng = np.random.default_rng(seed)
    phrases = [Phrase(concept, sample_phrase(grounder.vocabulary[concept], rng)) for concept in concepts]
    image = prepare(record.path, grounder.image_size_px)
    raws, _ = grounder.raw(image, phrases, max_boxes=BOXES)
    return SceneImage(
        image_id=record.record_id,
        patient_id=record.patient_id,
        columns=record.columns,
        rows=record.rows,
        exhaustive_for=tuple(sorted(record.exhaustive_for)),
        truths=tuple((region.concept, region.box.xyxy_px) for region in record.regions),
        drawn_by=tuple(region.source for region in record.regions),
        detections=tuple(
            (phrase.concept, (box[0], box[1], box[2], box[3]), float(score))
            for phrase, raw in zip(phrases, raws, strict=True)
            for box, score in zip(raw.boxes_N4.tolist(), raw.logits_N.sigmoid().tolist(), strict=True)
        ),
    )


def part_of(sources: Sources, name: str, part: str) -> tuple[ImageRecord, ...]:
    """The records of a part of a data set.

    Raises:
        UsageError: if there are none.
    """
    records = {CHEST: sources.chest, LIMB: sources.limb, BLOOD: sources.blood}[name][part]
    if not records:
        raise UsageError(f"{name} has no images in its part {part}; give the folder of the data sets with --data")
    return records


def label(name: str, fold: int | None, part: str) -> str:
    """The name of a measured part, the same for every system."""
    return f"{name}, {part} part" if fold is None else f"{name} fold {fold}, {part} part"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parse = argparse.ArgumentParser(prog="python -m pipelines measure", description=__doc__)
    parse.add_argument("--bundle", type=Path, help="bundle folder (default: the shipped one)")
    parse.add_argument("--set", dest="name", choices=SETS, default=CHEST, help="data set (default: cxr)")
    parse.add_argument("--part", choices=[DEV, VALID], default=DEV, help="dev to choose by, valid once at the end")
    parse.add_argument("--fold", type=int, choices=range(5), help="chest films: the fifth that training held out")
    parse.add_argument("--fractured-only", action="store_true", help="leave out images without a box")
    parse.add_argument("--query-weight", type=float, help="share of the query decoder (default: the bundle's)")
    parse.add_argument("--data", type=Path, default=default_data(), help="folder of the real data sets")
    parse.add_argument("--out", type=Path, default=Path("out/measured"), help="folder of the reports")
    parse.add_argument("--train", type=Path, help="work folder of the training whose MLflow run gets the figures")
    parse.add_argument("--mlruns", type=Path, default=HOME, help="MLflow's home (default: mlruns/)")
    parse.add_argument("--threads", type=int, default=2, help="CPU threads (default: 2)")
    return parse


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; see `parser`."""
    args = parser().parse_args(argv)
    torch.set_num_threads(args.threads)
    try:
        loaded = load_grounder(args.bundle)
        grounder = Grounder(loaded.bundle, query_weight=args.query_weight)
        records = part_of(load_sources(args.data, fold=args.fold, only=(args.name,)), args.name, args.part)
        data = label(args.name, args.fold, args.part)
        if args.fractured_only:
            records, data = tuple(r for r in records if r.regions), f"{data}, images with a box"
        system = f"{grounder.info.name} {grounder.info.version} ({grounder.info.sha256[:12]})"
        args.out.mkdir(parents=True, exist_ok=True)
        stem = args.out / data.replace(", ", "-").replace(" ", "-")
        write_scene(measure(grounder, records, system=system, data=data), stem)
        if args.train:
            with open_run(args.mlruns, EXPERIMENT, args.train.name, notes=args.train / RUN_NOTES, say=say) as run:
                shown = {record.record_id: record for record in records}
                log_scene(run, stem.name, stem.with_suffix(ENDING), pixels=lambda name: displayed(shown[name]))
    except MedgroundError as error:
        say(f"error: {error}")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
