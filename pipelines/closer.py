"""`python -m pipelines closer`: is looking closer where the first look points as good as looking closely everywhere?

Every film is read three ways in turn: once (made small), closer (and at full resolution where that may show more), all
(and at full resolution everywhere). Times are from the file to the boxes, by the same process on the same machine, so
their ratios can be read; each way's boxes are scored beside them, with the difference to looking everywhere, paired.

  python -m pipelines closer --sizes 2048,3072 --count 40                 # phantoms with small lesions
  python -m pipelines closer --set fracatlas --bundle FOLD0 FOLD1 FOLD2   # large limb films, each by a model that never
                                                                          # saw it; `campaign large-limbs` trains three
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median

import numpy as np
import torch

from medground.data.phantom.chest_radiograph import chest_radiograph, to_record
from medground.data.phantom.dicom_study import write_radiograph_study
from medground.data.questions import sample_phrase
from medground.data.splits import VALID
from medground.evaluation.files import make_folder, replace_file, scratch_folder, writing
from medground.evaluation.scene import ENDING, Scene, SceneImage, save_scene
from medground.imaging.preprocess import prepare
from medground.inference.closer import FIRST_LOOK_BOXES, FIRST_LOOK_SCORE, Closer, look_closer
from medground.inference.request import Looking
from medground.model.grounder import Grounder, load_grounder
from medground.model.reading import Phrase
from medground.schema.errors import MedgroundError, UsageError
from medground.schema.record import ImageRecord
from pipelines.compare import compare
from pipelines.fit import LIMB_NAME
from pipelines.sources import LARGE_FOLDS, LIMB, default_data, load_sources, say

SEEDS = 6_000_000  # of phantoms that neither training nor tuning saw
SMALL = ("nodule", "calcification")
WAYS = (Looking.ALL, Looking.CLOSER, Looking.ONCE)


@dataclass
class Tally:
    """What one way of looking came to, film by film."""

    seconds: list[float] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    images: list[SceneImage] = field(default_factory=list)


def phantoms(count: int, size_px: int, folder: Path) -> Iterator[tuple[Path, ImageRecord]]:
    """Films with up to three small lesions of each kind, some with none; each lies on disk while its turn lasts.

    Raises:
        UsageError: if one cannot be written.
    """
    for seed in range(SEEDS, SEEDS + count):
        rng = np.random.default_rng([seed, 73])
        findings = [concept for concept in SMALL for _ in range(int(rng.integers(0, 4)))]
        film = chest_radiograph(seed, size_px=size_px, findings=findings)
        with writing(folder):
            (path,) = write_radiograph_study(film, folder)
        yield path, to_record(film, record_id=f"phantom-{seed}", exhaustive_for=frozenset(SMALL))
        path.unlink()


def large_limbs(data: Path, fold: int) -> Iterator[tuple[Path, ImageRecord]]:
    """The large limb films of a fold.

    Raises:
        UsageError: if there are none.
    """
    if not (data / LIMB).is_dir():
        raise UsageError(f"{data} holds no large limb film; give the folder of the data sets with --data")
    records = load_sources(data, only=(LIMB,), large_fold=fold).limb[VALID]
    for record in records:
        if record.path is not None:
            yield record.path, record


@dataclass(frozen=True, slots=True)
class Case:
    """A film, the truth about it, and who reads it."""

    path: Path
    record: ImageRecord
    grounder: Grounder


def look(path: Path, phrases: Sequence[Phrase], grounder: Grounder, looking: Looking) -> Closer:
    """From a file to boxes."""
    image = prepare(path, grounder.image_size_px, keep_full=looking != Looking.ONCE)
    first = grounder.read([image], phrases, max_boxes=FIRST_LOOK_BOXES, min_score=FIRST_LOOK_SCORE)
    (closer,) = look_closer(
        [image],
        first,
        phrases,
        grounder,
        looking=looking,
        max_boxes=FIRST_LOOK_BOXES,
        floor=FIRST_LOOK_SCORE,
    )
    return closer


def measure(cases: Iterator[Case], concepts: Sequence[str]) -> dict[Looking, Tally]:
    """Reads every film in every way, in an order that turns from film to film."""
    tallies = {way: Tally() for way in WAYS}
    for number, case in enumerate(cases):
        record, vocabulary = case.record, case.grounder.vocabulary
        rng = np.random.default_rng((0, number))
        phrases = [Phrase(concept, sample_phrase(vocabulary[concept], rng)) for concept in concepts]
        for way in (*WAYS[number % 3 :], *WAYS[: number % 3]):
            start = time.perf_counter()
            closer = look(case.path, phrases, case.grounder, way)
            tallies[way].seconds.append(time.perf_counter() - start)
            tallies[way].shares.append(closer.share)
            tallies[way].images.append(_scene_image(record, concepts, closer))
        if (number + 1) % 10 == 0:
            say(f"{number + 1} films")
    return tallies


def _scene_image(record: ImageRecord, concepts: Sequence[str], closer: Closer) -> SceneImage:
    return SceneImage(
        image_id=record.record_id,
        patient_id=record.patient_id,
        columns=record.columns,
        rows=record.rows,
        exhaustive_for=tuple(sorted(record.exhaustive_for)),
        truths=tuple((r.concept, r.box.xyxy_px) for r in record.regions if r.concept in concepts),
        detections=tuple(
            (heard.phrase.concept, candidate.box_xyxy_px, candidate.score)
            for heard in closer.reading.phrases
            for candidate in heard.candidates
        ),
    )


def table(title: str, tallies: dict[Looking, Tally], scenes: dict[Looking, Scene]) -> str:
    """The ways beside each other as Markdown: times as ratios, AP with intervals, differences to looking everywhere."""
    rows = {row.name: row for row in compare([scenes[way] for way in WAYS])}
    slowest = median(tallies[Looking.ALL].seconds)
    films, boxes = len(tallies[Looking.ALL].images), sum(len(i.truths) for i in tallies[Looking.ALL].images)
    names = [name for name in rows if name.startswith("ap50/") and "/rare/" not in name]
    lines = [
        f"## {title}: {films} films, {boxes} lesions",
        "",
        "| looking | times faster than all | ms a film | looked at closely | " + " | ".join(names) + " |",
        "|---|--:|--:|--:|" + "---|" * len(names),
    ]
    for column, way in enumerate(WAYS):
        own = tallies[way]
        cells = []
        for name in names:
            value, gap = rows[name].values[column], rows[name].differences[column - 1] if column else None
            cell = "-" if value is None else f"{value.value:.3f} [{value.low:.3f}, {value.high:.3f}]"
            cells.append(cell + (f" ({gap.value:+.3f} [{gap.low:+.3f}, {gap.high:+.3f}])" if gap else ""))
        took = median(own.seconds)
        share = f"{fmean(own.shares):.1%}"
        lines.append(f"| {way} | {slowest / took:.1f} | {took * 1000:.0f} | {share} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parse = argparse.ArgumentParser(
        prog="python -m pipelines closer", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parse.add_argument("--set", dest="name", choices=["phantom", LIMB], default="phantom", help="default: phantom")
    parse.add_argument("--sizes", default="2048,3072", help="sides of the phantoms, pixels, by commas")
    parse.add_argument("--count", type=int, default=40, help="phantoms of each size (default: 40)")
    parse.add_argument(
        "--bundle",
        type=Path,
        nargs="+",
        help="bundle folder (default: the shipped one); fracatlas: several, each reads the fold that it never saw",
    )
    parse.add_argument("--data", type=Path, default=default_data(), help="folder of the real data sets")
    parse.add_argument("--out", type=Path, default=Path("out/closer"), help="folder of the scenes and the table")
    parse.add_argument("--threads", type=int, default=2, help="CPU threads (default: 2)")
    return parse


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; see `parser`."""
    args = parser().parse_args(argv)
    torch.set_num_threads(args.threads)
    try:
        grounders = [load_grounder(folder, "cpu") for folder in args.bundle or [None]]
        make_folder(args.out)
        parts = []
        with scratch_folder() as folder:
            for title, concepts, cases in _cases(args, grounders, folder):
                tallies = measure(cases, concepts)
                parts.append(_written(title, tallies, concepts, grounders, args.out))
        replace_file(args.out / f"{args.name}.md", "\n".join(parts).encode())
        print("\n".join(parts))
    except MedgroundError as error:
        say(f"error: {error}")
        return error.exit_code
    return 0


def _cases(
    args: argparse.Namespace, grounders: Sequence[Grounder], folder: Path
) -> Iterator[tuple[str, tuple[str, ...], Iterator[Case]]]:
    if args.name == LIMB:
        folds = {fold: grounder for grounder in grounders for fold in _folds_of(grounder)}
        which = "all folds" if len(folds) == LARGE_FOLDS else f"fold {', '.join(map(str, sorted(folds)))}"
        cases = (Case(p, r, folds[fold]) for fold in sorted(folds) for p, r in large_limbs(args.data, fold))
        yield f"large limb films, {which}", ("fracture",), cases
        return
    for size in map(int, args.sizes.split(",")):
        films = phantoms(args.count, size, folder)
        yield f"phantoms of {size} x {size} pixels", SMALL, (Case(p, r, grounders[0]) for p, r in films)


def _folds_of(grounder: Grounder) -> list[int]:
    """The folds of the large limb films of which a model saw nothing.

    Raises:
        UsageError: if there is none.
    """
    if LIMB_NAME not in grounder.info.trained_on:
        return list(range(LARGE_FOLDS))
    held_out = grounder.bundle.summary.get("held_out", {}).get("large_fold")
    if held_out is None:
        raise UsageError(
            f"{grounder.info.name} learned from all of these films: train some with --large-fold (or all by "
            "`python -m pipelines campaign large-limbs`), and give them with --bundle"
        )
    return [int(held_out)]


def _written(
    title: str, tallies: dict[Looking, Tally], concepts: Sequence[str], grounders: Sequence[Grounder], out: Path
) -> str:
    trained = grounders[0].scope.trained
    boxes = {entry.concept: entry.boxes for entry in trained}
    real = {entry.concept: entry.real_boxes for entry in trained}
    info = grounders[0].info
    system = f"{info.name} {info.version} ({', '.join(one.info.sha256[:12] for one in grounders)})"
    scenes = {}
    for way, tally in tallies.items():
        scenes[way] = Scene(
            system=f"{system}, looking {way}",
            data=title,
            training_boxes={concept: boxes.get(concept, 0) for concept in concepts},
            real_boxes={concept: real.get(concept, 0) for concept in concepts},
            images=tuple(tally.images),
        )
        save_scene(scenes[way], out / f"{title.replace(' ', '-').replace(',', '')}-{way}{ENDING}")
    return table(title, tallies, scenes)


if __name__ == "__main__":
    sys.exit(main())
