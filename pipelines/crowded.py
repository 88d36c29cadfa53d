"""`python -m pipelines crowded`: merge first and describe what stands, or describe all and then merge?

Phantom films crowded with lesions are read once. Then the same boxes go four ways: merged by box and meaning, and the
best described (ours); all described, then merged so; all described, boxes of one name thinned by overlap; all
described, boxes thinned by overlap whatever their name. Of each: the time of describing and merging, boxes of one
lesion left beside each other, and lesions that had a box of their own and were swallowed by a neighbour, counted
against what is really on the film.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from medground.data.phantom.chest_radiograph import PhantomImage, chest_radiograph
from medground.data.phantom.dicom_study import write_radiograph_study
from medground.evaluation.overlap import iou_matrix
from medground.imaging.boxes import nms
from medground.inference.duplicates import merge
from medground.inference.examine import Limits, examine
from medground.inference.gather import gather
from medground.inference.reader import Reader
from medground.inference.sighting import Sighting, see
from medground.inference.targets import targets
from medground.inference.understand import understand
from medground.model.grounder import load_grounder
from medground.schema.errors import MedgroundError
from medground.schema.result import BoxPx
from pipelines.sources import say

SEEDS = 8_000_000
LEAST_IOU = 0.5  # with a lesion, for a box to be its box
BOXES = 300
CROWD = {"nodule": (4, 9), "calcification": (2, 4), "mass": (1, 3), "fracture": (1, 2), "consolidation": (0, 1)}


@dataclass
class Way:
    """What one way came to over all films.

    Attributes:
        seconds: of describing and merging, film by film.
        shown: boxes left.
        described: regions whose words were decoded.
        doubles: boxes left beside a better one of the same lesion.
        swallowed: lesions that had a box and have none left.
    """

    seconds: list[float] = field(default_factory=list)
    shown: int = 0
    described: int = 0
    doubles: int = 0
    swallowed: int = 0


def films(count: int, folder: Path) -> Iterator[tuple[Path, PhantomImage]]:
    """Crowded films, each on disk while its turn lasts."""
    for seed in range(SEEDS, SEEDS + count):
        rng = np.random.default_rng([seed, 74])
        findings = [name for name, (low, high) in CROWD.items() for _ in range(int(rng.integers(low, high + 1)))]
        image = chest_radiograph(seed, size_px=1024, findings=findings)
        (path,) = write_radiograph_study(image, folder)
        yield path, image
        path.unlink()


def sightings_on(path: Path, reader: Reader, least_score: float) -> list[Sighting]:
    """Everything the reader sees on a film, best first; boxes of one name are thinned by the reader itself."""
    question = understand("any finding", reader.vocabulary)
    (study,) = gather([path]).studies
    examination = examine(study.groups[0], [question], reader, Limits(BOXES, least_score), lambda: None)
    if examination.domain is None:
        return []
    seen = see(examination, targets(question, examination.domain, reader))
    return sorted(seen.sightings, key=lambda one: -one.score)


def ours(kept: Sequence[Sighting], reader: Reader, top_k: int) -> tuple[list[Sighting], int]:
    """Merges, then describes the best of what stands."""
    standing = [survivor.sighting for survivor in merge(kept, reader.vocabulary)]
    return standing, _describe(standing[:top_k], reader)


def described_first(kept: Sequence[Sighting], reader: Reader, top_k: int) -> tuple[list[Sighting], int]:
    """Describes all, then merges as we do."""
    del top_k
    described = _describe(kept, reader)
    return [survivor.sighting for survivor in merge(kept, reader.vocabulary)], described


def by_name(kept: Sequence[Sighting], reader: Reader, top_k: int) -> tuple[list[Sighting], int]:
    """Describes all, then thins boxes of one name."""
    del top_k
    described = _describe(kept, reader)
    standing = [
        one for name in dict.fromkeys(s.concept for s in kept) for one in _thin([s for s in kept if s.concept == name])
    ]
    return standing, described


def by_box(kept: Sequence[Sighting], reader: Reader, top_k: int) -> tuple[list[Sighting], int]:
    """Describes all, then thins boxes whatever their name."""
    del top_k
    return _thin(kept), _describe(kept, reader)


WAYS: dict[str, Callable[[Sequence[Sighting], Reader, int], tuple[list[Sighting], int]]] = {
    "merged by box and meaning, then described": ours,
    "all described, then merged by box and meaning": described_first,
    "all described, then thinned by name": by_name,
    "all described, then thinned whatever the name": by_box,
}


def _describe(sightings: Sequence[Sighting], reader: Reader) -> int:
    regions = [(s.candidate.region, s.concept, s.place.domain) for s in sightings if s.candidate.region is not None]
    reader.describe(regions)
    return len(regions)


def _thin(kept: Sequence[Sighting]) -> list[Sighting]:
    if not kept:
        return []
    boxes_N4 = torch.tensor([s.candidate.box_xyxy_px for s in kept], dtype=torch.float64)
    scores_N = torch.tensor([s.score for s in kept], dtype=torch.float64)
    return [kept[row] for row in nms(boxes_N4, scores_N, LEAST_IOU, len(kept)).tolist()]


def count(standing: Sequence[Sighting], kept: Sequence[Sighting], lesions: Sequence[BoxPx]) -> tuple[int, int]:
    """Boxes beside a better one of the same lesion, and lesions that had a box and have none left.

    A box is of the lesion it overlaps most, if by half.
    """

    def of(sightings: Sequence[Sighting]) -> list[int]:
        if not (sightings and lesions):
            return []
        iou_DG = iou_matrix([one.candidate.box_xyxy_px for one in sightings], lesions)
        return [int(row.argmax()) for row in iou_DG if row.max() >= LEAST_IOU]

    left, had = of(standing), set(of(kept))
    return len(left) - len(set(left)), len(had - set(left))


def measure(number: int, reader: Reader, *, least_score: float, top_k: int) -> tuple[dict[str, Way], int, int]:
    """Reads crowded films and sends their boxes every way, in an order that turns.

    Returns:
        What each way came to, lesions on the films, and boxes before merging.
    """
    ways = {name: Way() for name in WAYS}
    names, lesions_seen, boxes = list(WAYS), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for turn, (path, image) in enumerate(films(number, Path(folder))):
            kept = sightings_on(path, reader, least_score)
            lesions = [region.box.xyxy_px for region in image.regions]
            lesions_seen, boxes = lesions_seen + len(lesions), boxes + len(kept)
            for name in (*names[turn % len(names) :], *names[: turn % len(names)]):
                start = time.perf_counter()
                standing, described = WAYS[name](kept, reader, top_k)
                ways[name].seconds.append(time.perf_counter() - start)
                doubles, swallowed = count(standing, kept, lesions)
                ways[name].shown += len(standing)
                ways[name].described += described
                ways[name].doubles += doubles
                ways[name].swallowed += swallowed
            if (turn + 1) % 20 == 0:
                say(f"{turn + 1} of {number} films")
    return ways, lesions_seen, boxes


def table(ways: dict[str, Way], number: int, lesions: int, boxes: int, system: str) -> str:
    """The ways beside each other as Markdown."""
    slowest = max(sum(way.seconds) for way in ways.values())
    lines = [
        f"## {number} crowded phantom films, {lesions} lesions, {boxes} boxes read by {system}",
        "",
        "| way | times faster than the slowest | ms a film | described | boxes shown | one lesion twice | swallowed |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name, way in ways.items():
        total = sum(way.seconds)
        cells = [
            f"{slowest / total:.1f}",
            f"{1000 * total / number:.1f}",
            *map(str, (way.described, way.shown, way.doubles, way.swallowed)),
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parse = argparse.ArgumentParser(
        prog="python -m pipelines crowded", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parse.add_argument("--count", type=int, default=100, help="films (default: 100)")
    parse.add_argument("--min-score", type=float, default=0.03, help="boxes below it are left out (default: 0.03)")
    parse.add_argument("--top-k", type=int, default=10, help="described of what stands (default: 10)")
    parse.add_argument("--bundle", type=Path, help="bundle folder (default: the shipped one)")
    parse.add_argument("--out", type=Path, default=Path("out/crowded"), help="folder of the table")
    parse.add_argument("--threads", type=int, default=2, help="CPU threads (default: 2)")
    return parse


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; see `parser`."""
    args = parser().parse_args(argv)
    torch.set_num_threads(args.threads)
    try:
        reader = load_grounder(args.bundle, "cpu")
        ways, lesions, boxes = measure(args.count, reader, least_score=args.min_score, top_k=args.top_k)
    except MedgroundError as error:
        say(f"error: {error}")
        return error.exit_code
    system = f"{reader.info.name} {reader.info.version} ({reader.info.sha256[:12]})"
    text = table(ways, args.count, lesions, boxes, system)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "crowded.md").write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
