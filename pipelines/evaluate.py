"""`python -m pipelines evaluate`: scores a bundle, through the same path as `medground ground`, on parts it never saw.

phantom: synthetic studies of seeds never used in training, written as DICOM. chest, limb: the valid parts of the real
films. Each writes NAME.json, NAME.md and NAME.scene.json.gz (what `python -m pipelines compare` reads) into --out, and
with --train its figures into the MLflow run of that training.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from medground.data.phantom.chest_radiograph import chest_radiograph, to_record
from medground.data.phantom.dicom_study import write_radiograph_study
from medground.data.questions import ask
from medground.data.splits import VALID
from medground.evaluation.report import to_markdown
from medground.inference.examine import Limits, examine
from medground.inference.gather import gather
from medground.inference.ground import ground
from medground.inference.request import Looking, Request
from medground.inference.understand import understand
from medground.model.grounder import Grounder, load_grounder
from medground.schema.anatomy import Domain
from medground.schema.errors import MedgroundError
from medground.schema.record import ImageRecord
from medground.schema.result import BoxPx
from medground.tracking.runs import open_run
from pipelines.by_source import by_source_table
from pipelines.compare import EXPERIMENT, HOME
from pipelines.scenes import ENDING, Scene, SceneImage, log_scene, report_of, save_scene
from pipelines.sources import HELD_OUT_SEEDS, default_data, load_sources, say
from pipelines.train import RUN_NOTES

BOXES = 100  # per image and question, as COCO counts
SIZE_PX = 1024


def every_box(
    path: Path, queries: Sequence[str], grounder: Grounder, looking: Looking
) -> tuple[tuple[str, BoxPx, float], ...]:
    """Every box the model proposes for the questions about a film, also those that answers leave out.

    Args:
        path: of one image.
        queries: what is asked.
        grounder: the model.
        looking: how closely.

    Returns:
        Concept, box and score of each; none of a film that is refused.
    """
    questions = [understand(query, grounder.vocabulary) for query in queries]
    (study,) = gather([path]).studies
    seen = [examine(group, questions, grounder, Limits(BOXES, 0.0, looking), lambda: None) for group in study.groups]
    return tuple(
        (heard.phrase.concept, candidate.box_xyxy_px, candidate.score)
        for examination in seen
        for look in examination.looks
        for heard in look.reading.phrases
        for candidate in heard.candidates[:BOXES]
    )


@dataclass(frozen=True, slots=True)
class Case:
    """A file and the truth about it."""

    path: Path
    record: ImageRecord


def phantom_cases(count: int, folder: Path) -> Iterator[Case]:
    """Held-out phantoms, each written as a DICOM study when its turn comes."""
    for seed in range(HELD_OUT_SEEDS, HELD_OUT_SEEDS + count):
        image = chest_radiograph(seed, size_px=SIZE_PX)
        (path,) = write_radiograph_study(image, folder)
        yield Case(path, to_record(image, record_id=f"phantom-{seed}"))


def real_cases(records: Sequence[ImageRecord], limit: int | None) -> Iterator[Case]:
    """Real films as the files they are."""
    for record in records[:limit]:
        if record.path is not None:
            yield Case(record.path, record)


def measure(
    cases: Iterator[Case],
    grounder: Grounder,
    domain: Domain,
    *,
    system: str,
    data: str,
    looking: Looking | None = None,
    seed: int = 0,
) -> Scene:
    """Asks about every trained finding of the domain on every case, looking as closely as the bundle does by itself.

    Boxes are scored for every question; verdicts only where the answer is known: the finding is marked, or the image
    was labelled exhaustively for it.
    """
    trained = {t.concept: t.boxes for t in grounder.scope.trained if t.domain == domain}
    images: list[SceneImage] = []
    for number, case in enumerate(cases):
        rng = np.random.default_rng((seed, number))
        record = case.record
        concepts = list(trained)
        queries = tuple(
            ask(grounder.vocabulary[c], "zh" if (number + row) % 2 else "en", rng) for row, c in enumerate(concepts)
        )
        result = ground(gather([case.path]), Request(queries, looking=looking), grounder).result
        marked = {region.concept for region in record.regions}
        images.append(
            SceneImage(
                image_id=record.record_id,
                patient_id=record.patient_id,
                columns=record.columns,
                rows=record.rows,
                exhaustive_for=tuple(sorted(record.exhaustive_for)),
                truths=tuple((region.concept, region.box.xyxy_px) for region in record.regions),
                drawn_by=tuple(region.source for region in record.regions),
                detections=every_box(case.path, queries, grounder, Looking(result.settings.mode)),
                answers=tuple(
                    (concept, concept in marked, answer.verdict, answer.presence)
                    for concept, answer in zip(concepts, result.studies[0].answers, strict=True)
                    if concept in marked or concept in record.exhaustive_for
                ),
            )
        )
        if (number + 1) % 20 == 0:
            say(f"{data}: {number + 1} images")
    real = {t.concept: t.real_boxes for t in grounder.scope.trained if t.domain == domain}
    return Scene(system=system, data=data, training_boxes=trained, real_boxes=real, images=tuple(images))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parse = argparse.ArgumentParser(prog="python -m pipelines evaluate", description=__doc__)
    parse.add_argument("--bundle", type=Path, help="bundle folder (default: the shipped one)")
    parse.add_argument(
        "--look", type=Looking, choices=list(Looking), help="how closely (default: as the bundle does by itself)"
    )
    parse.add_argument(
        "--part", action="append", choices=["phantom", "chest", "limb"], help="what to score (default: all three)"
    )
    parse.add_argument("--phantoms", type=int, default=200, help="number of held-out phantoms (default: 200)")
    parse.add_argument("--limit", type=int, help="at most so many real films of each part")
    parse.add_argument("--data", type=Path, default=default_data(), help="folder of the real data sets")
    parse.add_argument("--out", type=Path, default=Path("out/evaluation"), help="folder of the reports")
    parse.add_argument("--train", type=Path, help="work folder of the training whose MLflow run gets the figures")
    parse.add_argument("--mlruns", type=Path, default=HOME, help="MLflow's home (default: mlruns/)")
    parse.add_argument("--threads", type=int, default=2, help="CPU threads (default: 2)")
    return parse


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; see `parser`."""
    args = parser().parse_args(argv)
    torch.set_num_threads(args.threads)
    parts = args.part or ["phantom", "chest", "limb"]
    try:
        grounder = load_grounder(args.bundle)
        system = f"{grounder.info.name} {grounder.info.version} ({grounder.info.sha256[:12]})"
        args.out.mkdir(parents=True, exist_ok=True)
        if "phantom" in parts:
            with tempfile.TemporaryDirectory() as folder:
                cases = phantom_cases(args.phantoms, Path(folder))
                data = f"{args.phantoms} held-out chest phantoms"
                write_scene(
                    measure(cases, grounder, Domain.CHEST_RADIOGRAPH, system=system, data=data, looking=args.look),
                    args.out / "phantom",
                )
        real = [part for part in parts if part != "phantom"]
        if real:
            sources = load_sources(args.data)
            for part in real:
                records, domain = (
                    (sources.chest[VALID], Domain.CHEST_RADIOGRAPH)
                    if part == "chest"
                    else (sources.limb[VALID], Domain.LIMB_RADIOGRAPH)
                )
                data = f"real {domain.value}s, valid part"
                cases = real_cases(records, args.limit)
                scene = measure(cases, grounder, domain, system=system, data=data, looking=args.look)
                write_scene(scene, args.out / part)
        if args.train:
            with open_run(args.mlruns, EXPERIMENT, args.train.name, notes=args.train / RUN_NOTES, say=say) as run:
                for part in parts:
                    log_scene(run, part, args.out / f"{part}{ENDING}")
    except MedgroundError as error:
        say(f"error: {error}")
        return error.exit_code
    return 0


def write_scene(scene: Scene, stem: Path) -> None:
    """Writes a scene and its report as JSON and Markdown beside each other, and prints the report."""
    report = report_of(scene)
    save_scene(scene, stem.with_suffix(ENDING))
    stem.with_suffix(".json").write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")
    text = "\n".join(filter(None, (to_markdown(report), by_source_table(scene))))
    stem.with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    sys.exit(main())
