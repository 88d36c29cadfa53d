"""`python -m pipelines measure`: reads every image of a part with a bundle; scores its boxes and its answers.

`evaluate` goes the way of a user's question, with its refusals; this is the way of the literature and of our peers:
every image, whatever it shows, every concept, every box. What is answered of each finding that is known to be there, or
known not to be, comes from the same reading, by the curves and thresholds of the bundle. Where the bundle is read in
another way than its curves were fitted for (`--share`, `--query-weight`, `--mirror`), boxes alone are scored.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch

from medground.data.pixels import displayed
from medground.data.questions import sample_phrase
from medground.data.splits import DEV, DEV_FRACTION, VALID
from medground.evaluation.files import make_folder, scratch_folder, writing
from medground.evaluation.scene import ENDING, Scene, SceneImage
from medground.imaging.preprocess import prepare
from medground.inference.scene import phantom_cases
from medground.inference.verdict import decide, overall_presence
from medground.model.bundle import Bundle
from medground.model.grounder import Grounder, load_grounder
from medground.model.raw_reading import RawReading
from medground.model.reading import Phrase
from medground.schema.anatomy import Domain
from medground.schema.errors import MedgroundError, UsageError
from medground.schema.record import ImageRecord
from medground.schema.result import Verdict
from medground.tracking.runs import open_run
from medground.training.origin import Start
from pipelines.compare import EXPERIMENT
from pipelines.evaluate import write_scene
from pipelines.held_out import TITLES, told_by, why_seen
from pipelines.scenes import log_scene, waits_for_its_run
from pipelines.sources import (
    BLOOD,
    CHEST,
    HELD_OUT_SEEDS,
    LIMB,
    PHANTOM,
    SETS,
    TUNING_SEEDS,
    Sources,
    default_data,
    load_sources,
    say,
)
from pipelines.train import HOME, RUN_NOTES

BOXES = 100  # per image and concept, as COCO counts
PHANTOMS = 60
WITH_A_BOX = ", images with a box"
LOOK: Final = "once"


def measure(
    grounder: Grounder,
    records: Sequence[ImageRecord],
    *,
    system: str,
    data: str,
    seed: int = 0,
    answered: bool = True,
) -> Scene:
    """Boxes of every trained concept on every image, each asked in one of its many forms, English or Chinese.

    Args:
        grounder: of the bundle.
        records: images with truth.
        system: name and version of what is measured.
        data: name of the data set and its part.
        seed: draws the words of the questions.
        answered: keep answers beside the boxes.
    """
    trained = {t.concept: t for t in grounder.scope.trained if t.domain == records[0].domain}
    images = tuple(
        _read(grounder, record, list(trained), (seed, row), answered) for row, record in _counted(records, data)
    )
    return Scene(
        system=system,
        data=data,
        training_boxes={concept: t.boxes for concept, t in trained.items()},
        real_boxes={concept: t.real_boxes for concept, t in trained.items()},
        images=images,
        look=LOOK,
    )


def _counted(records: Sequence[ImageRecord], data: str) -> Iterator[tuple[int, ImageRecord]]:
    for row, record in enumerate(records):
        if row and row % 50 == 0:
            say(f"{data}: {row} of {len(records)} images")
        yield row, record


def _read(
    grounder: Grounder, record: ImageRecord, concepts: list[str], seed: tuple[int, int], answered: bool
) -> SceneImage:
    if record.path is None:
        raise UsageError(f"record {record.record_id!r} names no image file")
    rng = np.random.default_rng(seed)
    phrases = [Phrase(concept, sample_phrase(grounder.vocabulary[concept], rng)) for concept in concepts]
    image = prepare(record.path, grounder.image_size_px)
    raws, _ = grounder.raw(image, phrases, max_boxes=BOXES)
    marked = {region.concept for region in record.regions}
    known = marked | record.exhaustive_for if answered else frozenset[str]()
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
        answers=tuple(
            (phrase.concept, phrase.concept in marked, *answer_of(grounder, phrase.concept, raw, record.domain))
            for phrase, raw in zip(phrases, raws, strict=True)
            if phrase.concept in known
        ),
    )


def answer_of(grounder: Grounder, concept: str, raw: RawReading, domain: Domain) -> tuple[Verdict, float]:
    """The verdict and the presence that a raw reading comes to, as a user's plain question about the finding does."""
    scope, calibration = grounder.scope, grounder.bundle.calibration
    scores = [calibration.box_probability(logit, concept, domain) for logit in raw.logits_N.tolist()]
    presence = overall_presence([grounder.presence(concept, raw, domain)], scores)
    verdict = decide(
        presence,
        sum(score >= scope.default_min_score for score in scores),
        undecided=False,
        found_threshold=scope.found_threshold,
        not_found_threshold=scope.not_found_threshold,
    )
    return verdict, presence


def phantom_records(part: str, count: int, folder: Path) -> tuple[ImageRecord, ...]:
    """Chest phantoms of seeds that neither training nor fit uses, written into a folder as DICOM studies.

    Raises:
        UsageError: if they cannot be written.
    """
    first = {DEV: TUNING_SEEDS, VALID: HELD_OUT_SEEDS}[part]
    with writing(folder):
        cases = tuple(phantom_cases(range(first, first + count), folder))
    return tuple(case.record.model_copy(update={"path": case.path}) for case in cases)


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


def file_stem(
    data: str,
    share: float | None = None,
    *,
    query_weight: float | None = None,
    mirror: bool | None = None,
    count: int = PHANTOMS,
) -> str:
    """What the files of a measurement are called: its data, and what of the reading was asked for otherwise.

    Args:
        data: the name of what is measured.
        share: of the prototypes, 0 to 1; None is the bundle's, as in the next two.
        query_weight: share of the query decoder, 0 to 1.
        mirror: read images mirrored too.
        count: of phantoms.
    """
    asked = [data]
    asked += [] if share is None else [f"share {_percent(share)}"]
    asked += [] if query_weight is None else [f"query {_percent(query_weight)}"]
    asked += [] if mirror is None else ["mirrored" if mirror else "not mirrored"]
    asked += [] if count == PHANTOMS else [f"{count} phantoms"]
    return ", ".join(asked).replace(", ", "-").replace(" ", "-")


def _percent(share: float) -> str:
    """A share in percent, without a point: what follows one in a file's name is taken for its ending."""
    return f"{100 * share:g}".replace(".", "_")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parse = argparse.ArgumentParser(prog="python -m pipelines measure", description=__doc__)
    parse.add_argument("--bundle", type=Path, help="bundle folder (default: the shipped one)")
    parse.add_argument("--set", dest="name", choices=[*SETS, PHANTOM], default=CHEST, help="data set (default: cxr)")
    parse.add_argument("--part", choices=[DEV, VALID], default=DEV, help="dev to choose by, valid once at the end")
    parse.add_argument("--fold", type=int, choices=range(5), help="chest films: the fifth that training held out")
    parse.add_argument("--count", type=int, default=PHANTOMS, help="phantoms (default: %(default)s)")
    parse.add_argument("--fractured-only", action="store_true", help="leave out images without a box")
    parse.add_argument("--query-weight", type=float, help="share of the query decoder (default: the bundle's)")
    parse.add_argument(
        "--share", type=float, help="share of the prototypes of rare classes, 0 to 1 (default: the bundle's)"
    )
    parse.add_argument(
        "--mirror", action=argparse.BooleanOptionalAction, help="read images mirrored too (default: the bundle's)"
    )
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
        grounder, system = _reader(args)
        make_folder(args.out)
        with scratch_folder() as folder:
            _measured(args, grounder, system, _records(args, grounder.bundle, folder))
    except MedgroundError as error:
        say(f"error: {error}")
        return error.exit_code
    return 0


def _records(args: argparse.Namespace, bundle: Bundle, folder: Path) -> Sequence[ImageRecord]:
    """The images that a command line asks for; phantoms are written into a folder.

    Raises:
        UsageError: if there are none, or the bundle may have learned from them.
    """
    if args.fold is not None and args.name != CHEST:
        raise UsageError(f"--fold {args.fold}: of {args.name} there are no folds here; leave it away")
    if args.name == PHANTOM:
        if args.count < 1:
            raise UsageError(f"--count {args.count}: there must be 1 phantom or more")
        records: Sequence[ImageRecord] = phantom_records(args.part, args.count, folder)
    else:
        refuse_seen(told_by(bundle.info, bundle.summary), args.name, args.fold, args.part)
        share = bundle.summary.get("recipe", {}).get("development_fraction", DEV_FRACTION)
        only = (args.name,)
        sources = load_sources(args.data, fold=args.fold, development_fraction=share, only=only)
        records = part_of(sources, args.name, args.part)
    if args.fractured_only:
        records = [record for record in records if record.regions]
        if not records:
            raise UsageError(
                f"no image of {label(args.name, args.fold, args.part)} has a box; leave --fractured-only away, or "
                "measure another part"
            )
    return records


def refuse_seen(told: Start, name: str, fold: int | None, part: str) -> None:
    """Refuses to measure a model on images that it may have learned from.

    Args:
        told: by its bundle.
        name: of the data set.
        fold: of the chest films; None for the published parts.
        part: that is measured.

    Raises:
        UsageError: if it may have.
    """
    why = why_seen(told, name, fold)
    if not why:
        return
    if name == LIMB:
        way = f"measure it on the large films it never saw, by python -m pipelines closer --set {LIMB}"
    elif told.fold is not None and TITLES[name] in told.trained_on:
        way = f"measure it with --fold {told.fold}"
    else:
        way = "leave --fold away, or give a bundle that was trained with this fold held out"
    raise UsageError(f"{label(name, fold, part)} says nothing here: it {why}; {way}")


def _reader(args: argparse.Namespace) -> tuple[Grounder, str]:
    """The bundle, read as the command line says, and its name."""
    bundle = load_grounder(args.bundle).bundle
    system = f"{bundle.info.name} {bundle.info.version} ({bundle.info.sha256[:12]})"
    if args.share is not None:
        if not 0 <= args.share <= 1:
            raise UsageError(f"--share {args.share}: prototypes have a share between 0 and 1")
        bundle.network.weigh_prototypes(args.share)
        system += f", prototypes' share {args.share:g}"
    if args.query_weight is not None:
        system += f", query decoder's share {args.query_weight:g}"
    if args.mirror is not None:
        system += ", mirrored too" if args.mirror else ", not mirrored"
    return Grounder(bundle, query_weight=args.query_weight, mirror=args.mirror), system


def data_of(args: argparse.Namespace) -> str:
    """The name of what a command line measures."""
    return label(args.name, args.fold, args.part) + (WITH_A_BOX if args.fractured_only else "")


def stem_of(args: argparse.Namespace) -> str:
    """What the files are called that a command line writes."""
    count = args.count if args.name == PHANTOM else PHANTOMS
    return file_stem(data_of(args), args.share, query_weight=args.query_weight, mirror=args.mirror, count=count)


def _measured(args: argparse.Namespace, grounder: Grounder, system: str, records: Sequence[ImageRecord]) -> None:
    """Writes the scene and its reports; with `--train` also into the run of that training.

    Killed between the two, the next goes on with the second.
    """
    data = data_of(args)
    as_fitted = all(forced is None for forced in (args.share, args.query_weight, args.mirror))
    stem = args.out / stem_of(args)
    file, images = stem.with_suffix(ENDING), [record.record_id for record in records]
    if args.train and waits_for_its_run(
        file, args.train / RUN_NOTES, system=system, data=data, images=images, look=LOOK, answered=as_fitted
    ):
        say(f"{file} is whole and of this bundle; it goes into its run as it is")
    else:
        write_scene(measure(grounder, records, system=system, data=data, answered=as_fitted), stem)
    if args.train:
        shown = {record.record_id: record for record in records}
        with open_run(args.mlruns, EXPERIMENT, args.train.name, notes=args.train / RUN_NOTES, say=say) as run:
            log_scene(run, stem.name, file, pixels=lambda name: displayed(shown[name]))


if __name__ == "__main__":
    sys.exit(main())
