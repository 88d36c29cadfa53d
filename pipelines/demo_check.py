"""`python -m pipelines demo-check`: asks bundles the questions of `make demo` about many such patients.

One film shows little: which answer a bundle gives there is partly luck. Each film is read by every bundle; counted are
verdicts that are right (found where the finding is drawn, not found where it is not) and, where it is drawn, answers
whose best box overlaps it by half or more. Brackets are 95% intervals by Wilson.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
import torch

from apps.demo.__main__ import QUESTIONS, patients
from medground.data.phantom.chest_radiograph import PhantomImage
from medground.data.phantom.dicom_study import write_radiograph_study
from medground.evaluation.files import replace_file
from medground.evaluation.overlap import iou_matrix
from medground.inference.gather import gather
from medground.inference.ground import ground
from medground.inference.request import Request
from medground.model.grounder import Grounder, load_grounder
from medground.schema.errors import MedgroundError, UsageError
from medground.schema.result import Answer, Verdict
from pipelines.ambiguous_scores import wilson
from pipelines.sources import say

ABOUT: Final[Mapping[str, str]] = MappingProxyType(
    dict(zip(QUESTIONS, ("nodule", "pneumothorax", "pleural_effusion", "nodule"), strict=True))
)
"""What each question asks for."""
HIT = 0.5


@dataclass(frozen=True, slots=True)
class Told:
    """What a bundle answered: its verdict, whether that is right, and whether its best box is on the finding."""

    verdict: Verdict
    right: bool
    hit: bool


def told(image: PhantomImage, concept: str, answer: Answer) -> Told:
    """Judges an answer by what is drawn.

    Args:
        image: the film.
        concept: that was asked for.
        answer: to that.
    """
    drawn = [region.box.xyxy_px for region in image.regions if region.concept == concept]
    best = max(answer.findings, key=lambda finding: finding.score, default=None)
    hit = bool(drawn) and best is not None and bool(np.max(iou_matrix([best.box_xyxy_px], drawn)) >= HIT)
    wanted = Verdict.FOUND if drawn else Verdict.NOT_FOUND
    return Told(answer.verdict, answer.verdict is wanted, hit)


def ask(images: Sequence[PhantomImage], grounder: Grounder) -> dict[str, list[Told]]:
    """Every question about every film.

    Args:
        images: the films.
        grounder: the bundle.
    """
    found: dict[str, list[Told]] = {question: [] for question in QUESTIONS}
    for image in images:
        with tempfile.TemporaryDirectory() as folder:
            files = write_radiograph_study(image, Path(folder))
            result = ground(gather(files), Request(QUESTIONS), grounder).result
        for question, answer in zip(QUESTIONS, result.studies[0].answers, strict=True):
            found[question].append(told(image, ABOUT[question], answer))
    return found


def table(found: Mapping[str, Mapping[str, Sequence[Told]]], drawn: frozenset[str]) -> str:
    """Shares by question and bundle, as Markdown.

    Args:
        found: bundle to question to answers.
        drawn: findings that are on the films.
    """
    lines = ["| question | " + " | ".join(found) + " |", "|---" * (1 + len(found)) + "|"]
    for question, concept in ABOUT.items():
        for what in ("right", "hit") if concept in drawn else ("right",):
            words = "verdict right" if what == "right" else f"best box at IoU {HIT:g}"
            cells = [_cell([getattr(one, what) for one in answers[question]]) for answers in found.values()]
            lines.append(f"| {question}: {words} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(which: Sequence[bool]) -> str:
    share = wilson(sum(which), len(which))
    return f"{share.hits} of {share.n} [{share.low:.2f}, {share.high:.2f}]"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parse = argparse.ArgumentParser(prog="python -m pipelines demo-check", description=__doc__)
    parse.add_argument(
        "--bundle", type=Path, action="append", help="bundle folder; may be repeated (default: the shipped one)"
    )
    parse.add_argument("--count", type=int, default=50, help="number of patients, the demo's own first (default: 50)")
    parse.add_argument("--threads", type=int, default=2, help="CPU threads (default: 2)")
    parse.add_argument("--report", type=Path, help="also write the table here")
    return parse


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; see `parser`."""
    args = parser().parse_args(argv)
    torch.set_num_threads(args.threads)
    try:
        if args.count < 1:
            raise UsageError(f"--count {args.count}: there must be 1 patient or more")
        images = list(itertools.islice(patients(), args.count))
        say(f"{len(images)} patients drawn")
        found = {}
        for bundle in args.bundle or [None]:
            grounder = load_grounder(bundle)
            found[f"{grounder.info.name} {grounder.info.version} ({grounder.info.sha256[:12]})"] = ask(images, grounder)
            say(f"{grounder.info.version}: asked")
        text = table(found, frozenset(region.concept for image in images for region in image.regions))
        print(text)
        if args.report:
            replace_file(args.report, text.encode())
    except MedgroundError as error:
        say(f"error: {error}")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
