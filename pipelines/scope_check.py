"""`python -m pipelines scope-check`: asks a committed list of questions in and out of scope.

Each line of the list names an image, how it is given, a question, and whether it is in scope. An image is a file below
--data, or `phantom:SEED`, `ct:SEED`, `stranger:SEED`. It is given `as-is`, as a headerless `jpeg`, or wrapped as DX
(`dx:BODYPART`). Out of scope, `found` and `not_found` are wrong; in scope, `unsupported` is.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from medground.data.phantom.chest_ct import chest_ct
from medground.data.phantom.chest_radiograph import chest_radiograph
from medground.data.phantom.dicom_study import write_ct_study, write_radiograph_study
from medground.data.strangers import stranger
from medground.dicom.image import open_image
from medground.inference.gather import gather
from medground.inference.ground import ground
from medground.inference.reader import Reader
from medground.inference.request import Request
from medground.model.grounder import load_grounder
from medground.schema.errors import MedgroundError
from medground.schema.result import Answer, Verdict
from pipelines.films import wrap_film
from pipelines.sources import default_data, say

LIST = Path(__file__).with_name("scope_pairs.csv")


@dataclass(frozen=True, slots=True)
class Pair:
    """One line of the list."""

    image: str
    given: str
    question: str
    in_scope: bool


def load_pairs(path: Path) -> list[Pair]:
    """Reads the list."""
    with path.open(encoding="utf-8", newline="") as file:
        return [Pair(row["image"], row["given"], row["question"], row["scope"] == "in") for row in csv.DictReader(file)]


def make(pair: Pair, data: Path, folder: Path) -> list[Path]:
    """The files of a pair's image, made in `folder` unless they are there already."""
    kind, _, seed = pair.image.partition(":")
    if kind == "phantom":
        paths = write_radiograph_study(chest_radiograph(int(seed), size_px=1024), folder)
    elif kind == "ct":
        paths = write_ct_study(chest_ct(int(seed)), folder)
    elif kind == "stranger":
        paths = [_save_jpeg(stranger(int(seed)), folder)]
    else:
        paths = [data / pair.image]
    if pair.given == "as-is":
        return paths
    if pair.given == "jpeg":
        middle = paths[len(paths) // 2]
        if middle.suffix.lower() in {".jpg", ".jpeg"}:
            return [middle]
        return [_save_jpeg(open_image(middle).display(1), folder)]
    return [wrap_film(paths[0], folder, body_part=pair.given.removeprefix("dx:"))]


def _save_jpeg(display: NDArray[np.float32], folder: Path) -> Path:
    path = folder / "headerless.jpg"
    Image.fromarray(np.rint(display * 255).astype(np.uint8)).save(path, quality=92)
    return path


def ask(pair: Pair, data: Path, reader: Reader) -> Answer:
    """The answer to a pair's question about its image."""
    with tempfile.TemporaryDirectory() as folder:
        result = ground(gather(make(pair, data, Path(folder))), Request((pair.question,)), reader).result
    return result.studies[0].answers[0]


def is_wrong(pair: Pair, verdict: Verdict) -> bool:
    """Out of scope nothing may be claimed; in scope an answer is owed."""
    if pair.in_scope:
        return verdict == Verdict.UNSUPPORTED
    return verdict in {Verdict.FOUND, Verdict.NOT_FOUND}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parse = argparse.ArgumentParser(prog="python -m pipelines scope-check", description=__doc__)
    parse.add_argument("--bundle", type=Path, help="bundle folder (default: the shipped one)")
    parse.add_argument("--data", type=Path, default=default_data(), help="folder of the real data sets")
    parse.add_argument("--pairs", type=Path, default=LIST, help="the list (default: the committed one)")
    parse.add_argument("--allow-unsupported", type=int, default=3, help="of the pairs in scope (default: 3)")
    return parse


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; see `parser`. Exit code 1 if a goal is missed."""
    args = parser().parse_args(argv)
    torch.set_num_threads(2)
    try:
        reader = load_grounder(args.bundle)
        counts: Counter[tuple[bool, Verdict]] = Counter()
        wrong: Counter[bool] = Counter()
        for pair in load_pairs(args.pairs):
            answer = ask(pair, args.data, reader)
            counts[pair.in_scope, answer.verdict] += 1
            if is_wrong(pair, answer.verdict):
                wrong[pair.in_scope] += 1
                reason = " ".join(answer.warnings)
                print(f"wrong: {pair.image} ({pair.given}) {pair.question!r}: {answer.verdict.value}. {reason}")
    except MedgroundError as error:
        say(f"error: {error}")
        return error.exit_code
    for in_scope, name in ((False, "out of scope"), (True, "in scope")):
        shares = ", ".join(f"{verdict.value} {counts[in_scope, verdict]}" for verdict in Verdict)
        print(f"{name}: {shares}; wrong {wrong[in_scope]}")
    return int(wrong[False] > 0 or wrong[True] > args.allow_unsupported)


if __name__ == "__main__":
    sys.exit(main())
