"""`python -m pipelines evaluate`: scores a bundle, through the same path as `medground ground`, on parts it never saw.

phantom: synthetic studies of seeds never used in training, written as DICOM. chest, limb: the valid parts of the real
films. Each writes NAME.json, NAME.md and NAME.scene.json.gz (what `python -m pipelines compare` reads) into --out, and
with --train its figures into the MLflow run of that training; killed between the two, the next goes on with the second.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from medground.cards.untouched import why_other_parts
from medground.data.splits import VALID
from medground.evaluation.files import make_folder, replace_file, scratch_folder, writing
from medground.evaluation.report import to_markdown
from medground.evaluation.scene import ENDING, PHANTOM, Scene, report_of, save_scene
from medground.inference.request import Looking
from medground.inference.scene import Case, measure, phantom_cases
from medground.model.grounder import Grounder, load_grounder
from medground.schema.anatomy import Domain
from medground.schema.errors import MedgroundError, UsageError
from medground.schema.record import ImageRecord
from medground.tracking.runs import open_run
from pipelines.by_source import by_source_table
from pipelines.compare import EXPERIMENT, HOME
from pipelines.scenes import log_scene, waits_for_its_run
from pipelines.sources import HELD_OUT_SEEDS, default_data, load_sources, say
from pipelines.train import RUN_NOTES


@dataclass(frozen=True, slots=True)
class Measured:
    """A part: the name of its files, what it is called in its scene, and the kind of its images."""

    part: str
    data: str
    domain: Domain


def real_cases(records: Sequence[ImageRecord], limit: int | None) -> Iterator[Case]:
    """Real films as the files they are."""
    for record in records[:limit]:
        if record.path is not None:
            yield Case(record.path, record)


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
        make_folder(args.out)
        if "phantom" in parts:
            with scratch_folder() as folder:
                seeds = range(HELD_OUT_SEEDS, HELD_OUT_SEEDS + args.phantoms)
                what = Measured("phantom", f"{args.phantoms} held-out chest phantoms", Domain.CHEST_RADIOGRAPH)
                _measured(args, grounder, what, [f"{PHANTOM}{seed}" for seed in seeds], _written(seeds, folder))
        real = [part for part in parts if part != "phantom"]
        if real:
            if why := why_other_parts(grounder.bundle.summary):
                raise UsageError(f"the real valid part says nothing here: it {why}; measure its own fold")
            sources = load_sources(args.data)
            for part in real:
                records, domain = (
                    (sources.chest[VALID], Domain.CHEST_RADIOGRAPH)
                    if part == "chest"
                    else (sources.limb[VALID], Domain.LIMB_RADIOGRAPH)
                )
                if not records:
                    raise UsageError(f"{args.data} holds no image of the part {part}; give its folder with --data")
                cases = list(real_cases(records, args.limit))
                what = Measured(part, f"real {domain.value}s, valid part", domain)
                _measured(args, grounder, what, [case.record.record_id for case in cases], cases)
        if args.train:
            with open_run(args.mlruns, EXPERIMENT, args.train.name, notes=args.train / RUN_NOTES, say=say) as run:
                for part in parts:
                    log_scene(run, part, args.out / f"{part}{ENDING}")
    except MedgroundError as error:
        say(f"error: {error}")
        return error.exit_code
    return 0


def _written(seeds: Sequence[int], folder: Path) -> Iterator[Case]:
    """Phantoms, each in the folder when its turn comes.

    Raises:
        UsageError: if one cannot be written.
    """
    with writing(folder):
        yield from phantom_cases(seeds, folder)


def _measured(
    args: argparse.Namespace, grounder: Grounder, what: Measured, images: Sequence[str], cases: Iterable[Case]
) -> None:
    """Writes the scene and the report of a part, unless it was killed before just that scene went into its run."""
    system = f"{grounder.info.name} {grounder.info.version} ({grounder.info.sha256[:12]})"
    look = args.look.value if args.look else None
    file = args.out / f"{what.part}{ENDING}"
    if args.train and waits_for_its_run(
        file, args.train / RUN_NOTES, system=system, data=what.data, images=images, look=look
    ):
        say(f"{file} is whole and of this bundle; it goes into its run as it is")
        return
    scene = measure(cases, grounder, what.domain, system=system, data=what.data, looking=args.look, note=say)
    write_scene(scene, args.out / what.part)


def write_scene(scene: Scene, stem: Path) -> None:
    """Writes a scene and its report as JSON and Markdown beside each other, and prints the report.

    The scene comes last: where it lies, the measurement is done, and its report is there.

    Raises:
        UsageError: if a file cannot be written; none is there in part.
    """
    report = report_of(scene)
    text = "\n".join(filter(None, (to_markdown(report), by_source_table(scene))))
    replace_file(stem.with_suffix(".json"), f"{report.model_dump_json(indent=1)}\n".encode())
    replace_file(stem.with_suffix(".md"), text.encode())
    save_scene(scene, stem.with_suffix(ENDING))
    print(text)


if __name__ == "__main__":
    sys.exit(main())
