"""`python -m pipelines ambiguous`: asks for one of several lesions on phantom films, in words, as a user would.

Each case is written as a DICOM study, or as a PNG where the question is about a picture without header, and its
question asked alone. Resolved means: the verdict is found, and the boxes shown are exactly those meant. Of questions
that the film leaves open, uncertain and unsupported are right. Two readers are asked: one that is told the truth, for
what understanding and arithmetic alone reach, and the bundle. Writes ambiguous.json, ambiguous.md and a sheet of the
worst answers of each reader into --out.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from medground.data.ambiguous.cases import AmbiguousCase, ambiguous_case, decidable_seeds, undecidable_seeds
from medground.data.phantom.chest_radiograph import PhantomImage
from medground.data.phantom.dicom_study import write_radiograph_study
from medground.data.phantom.findings import DRAWABLE
from medground.data.vocabulary import load_vocabulary
from medground.evaluation.overlap import BoxPx
from medground.evaluation.worst_cases import TILES
from medground.imaging.preprocess import ModelImage
from medground.inference.gather import gather
from medground.inference.ground import ground
from medground.inference.reader import Reader
from medground.inference.request import Request
from medground.model.grounder import load_grounder
from medground.model.reading import Candidate, ImageReading, LookGroup, Phrase, PhraseReading, Portrait
from medground.model.scope import Scope, TrainedConcept
from medground.schema.anatomy import Domain
from medground.schema.errors import MedgroundError
from medground.schema.record import Region
from medground.schema.result import ModelInfo, Verdict
from medground.schema.vocabulary import Vocabulary
from pipelines.ambiguous_scores import AmbiguousReport, Asked, Outcome, outcome_of, score, to_markdown
from pipelines.sources import say
from pipelines.worst_cases import ACROSS, PREDICTED, TILE_PX, TRUTH

FILM = Domain.CHEST_RADIOGRAPH
SURE, ABSENT = 0.95, 0.01
_WORDS_PX, _HEAD_PX = 40, 28
_GROUND, _INK = (24, 24, 27), (238, 238, 238)
_SEVERITY = (Outcome.WRONG, Outcome.PARTLY, Outcome.NOT_FOUND, Outcome.UNCERTAIN, Outcome.UNSUPPORTED)


class TruthReader:
    """A reader that is told what is on the film: perfect boxes, perfect words, and one score for all."""

    image_size_px = 256

    def __init__(self) -> None:
        self.image: PhantomImage | None = None

    @property
    def info(self) -> ModelInfo:
        """A name of its own, so that no answer is taken for a model's."""
        return ModelInfo(name="truth", version="1", sha256="0" * 64, trained_on=("the film asked about",))

    @property
    def vocabulary(self) -> Vocabulary:
        """That which ships."""
        return load_vocabulary()

    @property
    def scope(self) -> Scope:
        """Everything a phantom film can show."""
        return Scope(
            trained=tuple(
                TrainedConcept(
                    concept=concept, domain=FILM, images=1, boxes=1, real_boxes=0, synthetic_only=True, described=True
                )
                for concept in DRAWABLE
            )
        )

    def read(
        self,
        images: Sequence[ModelImage],
        phrases: Sequence[Phrase],
        *,
        max_boxes: int,
        min_score: float,
        known: Sequence[Domain] | None = None,  # noqa: ARG002 - the protocol's signature
    ) -> list[ImageReading]:
        """The regions of `image`, whatever the pixels."""
        regions = self.image.regions if self.image is not None else ()
        heard = []
        for phrase in phrases:
            boxes = tuple(Candidate(r.box.xyxy_px, SURE, region=r) for r in regions if r.concept == phrase.concept)
            heard.append(
                PhraseReading(phrase, SURE if boxes else ABSENT, boxes[:max_boxes] if min_score <= SURE else ())
            )
        return [ImageReading(FILM, 1.0, 1.0, tuple(heard))] * len(images)

    def describe(self, regions: Sequence[tuple[object, str, Domain]]) -> list[tuple[str, ...]]:
        """The words that each region was drawn from."""
        return [region.appearance if isinstance(region, Region) else () for region, _, _ in regions]

    def liken(self, portraits: Sequence[Portrait], groups: Sequence[LookGroup]) -> list[dict[str, float]]:
        """The words that each region was drawn from fit, and no others."""
        drawn = self.describe([(one.region, one.concept, one.domain) for one in portraits])
        asked = [word for group in groups if group.asked for word in group.words]
        return [{word: float(word in said) for word in asked} for said in drawn]


def write_case(case: AmbiguousCase, folder: Path) -> Path:
    """The film as it is given: a DICOM study, or an 8-bit PNG."""
    if case.as_picture:
        path = folder / f"{case.seed}.png"
        Image.fromarray(np.rint(case.image.pixels * 255).astype(np.uint8)).save(path)
        return path
    (path,) = write_radiograph_study(case.image, folder)
    return path


def ask(case: AmbiguousCase, reader: Reader, path: Path, *, plain: bool = False) -> tuple[Verdict, list[BoxPx]]:
    """Verdict and boxes of the answer.

    Args:
        case: what is asked.
        reader: the model.
        path: the film, from `write_case`.
        plain: whether to ask for each concept by its name alone, and to take the best box of each that is found.
    """
    names = [reader.vocabulary[concept].names[case.language][0] for concept in case.concepts]
    queries = tuple(names) if plain else (case.question,)
    answers = ground(gather([path]), Request(queries), reader).result.studies[0].answers
    found = [answer for answer in answers if answer.verdict == Verdict.FOUND]
    verdict = Verdict.FOUND if found else answers[0].verdict
    return verdict, [f.box_xyxy_px for a in found or answers for f in (a.findings[:1] if plain else a.findings)]


def judged(case: AmbiguousCase, reader: Reader, path: Path, *, plain: bool) -> Asked:
    """The case with what the reader made of it."""
    verdict, shown = ask(case, reader, path, plain=plain)
    meant = tuple(case.image.regions[index].box.xyxy_px for index in case.meant)
    return Asked(
        seed=case.seed,
        language=case.language,
        kind=case.kind,
        form=case.form,
        doubt=case.doubt,
        concepts=case.concepts,
        question=case.question,
        meant=meant,
        shown=tuple(shown),
        outcome=outcome_of(verdict, shown, meant),
    )


def measure(seeds: Sequence[int], readers: Sequence[Reader], *, plain: bool = False) -> list[list[Asked]]:
    """Asks the question of every case of every reader.

    Args:
        seeds: of the cases.
        readers: a `TruthReader` among them is told what is on each film.
        plain: see `ask`.

    Returns:
        For each reader its answers in the order of the seeds.
    """
    asked: list[list[Asked]] = [[] for _ in readers]
    for number, seed in enumerate(seeds):
        case = ambiguous_case(seed)
        with tempfile.TemporaryDirectory() as folder:
            path = write_case(case, Path(folder))
            for reader, row in zip(readers, asked, strict=True):
                if isinstance(reader, TruthReader):
                    reader.image = case.image
                row.append(judged(case, reader, path, plain=plain))
        if (number + 1) % 20 == 0:
            say(f"{number + 1} of {len(seeds)} questions")
    return asked


def worst(asked: Sequence[Asked], *, tiles: int = TILES) -> list[Asked]:
    """What to look at first: wrong boxes before missing ones, decidable questions before the others, kinds in turn."""
    turns: Counter[tuple[bool, Outcome, str]] = Counter()
    ranked = []
    for one in asked:
        if not one.right:
            sort = (not one.decidable, one.outcome, one.doubt or one.form)
            ranked.append((_SEVERITY.index(one.outcome), not one.decidable, turns[sort], one.seed, one))
            turns[sort] += 1
    return [one for *_, one in sorted(ranked, key=lambda rank: rank[:4])][:tiles]


def sheet(asked: Sequence[Asked]) -> Image.Image:
    """Films with the boxes that are meant and those that were shown, six a row; at least one.

    The font has no Chinese glyphs: such a question is told by its form, and is in the report.
    """
    across, down = min(ACROSS, len(asked)), -(-len(asked) // ACROSS)
    picture = Image.new("RGB", (across * TILE_PX, _HEAD_PX + down * (TILE_PX + _WORDS_PX)), _GROUND)
    pen = ImageDraw.Draw(picture)
    font = cast(ImageFont.FreeTypeFont, ImageFont.load_default(13))
    pen.text((6, _HEAD_PX / 2), "meant", fill=TRUTH, font=font, anchor="lm")
    pen.text((64, _HEAD_PX / 2), "shown", fill=PREDICTED, font=font, anchor="lm")
    for place, one in enumerate(asked):
        left, top = place % ACROSS * TILE_PX, _HEAD_PX + place // ACROSS * (TILE_PX + _WORDS_PX)
        pixels = ambiguous_case(one.seed).image.pixels
        film = Image.fromarray(np.rint(pixels * 255).astype(np.uint8))
        picture.paste(film.resize((TILE_PX - 4, TILE_PX - 4), Image.Resampling.BOX), (left + 2, top))
        scale = (TILE_PX - 4) / pixels.shape[0]
        for boxes, colour, grow in ((one.shown, PREDICTED, 0), (one.meant, TRUTH, 2)):
            for box in boxes:
                x1, y1, x2, y2 = (round(v * scale + o) for v, o in zip(box, (left + 2, top) * 2, strict=True))
                pen.rectangle((x1 - grow, y1 - grow, x2 + grow, y2 + grow), outline=colour, width=2)
        words = one.question if one.question.isascii() else f"({one.language}) {one.form}: {', '.join(one.concepts)}"
        lines = (words, f"{one.seed}  {one.doubt or one.kind}: {one.outcome}")
        for line, text in enumerate(lines):
            while font.getlength(text) > TILE_PX - 12:
                text = text[:-4] + "..."
            pen.text((left + 4, top + TILE_PX + 6 + 18 * line), text, fill=_INK, font=font, anchor="lm")
    return picture


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parse = argparse.ArgumentParser(prog="python -m pipelines ambiguous", description=__doc__)
    parse.add_argument("--bundle", type=Path, help="bundle folder (default: the shipped one)")
    parse.add_argument("--cases", type=int, default=300, help="questions that the film decides (default: 300)")
    parse.add_argument("--undecidable", type=int, default=100, help="questions that it leaves open (default: 100)")
    parse.add_argument(
        "--plain",
        action="store_true",
        help="without disambiguation: ask for each finding that the question names by its name alone, without side, "
        "zone, relation and attribute, and show the best-scored box of each; reports are named ambiguous-plain",
    )
    parse.add_argument(
        "--data-free", action="store_true", help="load no bundle: only the reader that is told the truth"
    )
    parse.add_argument("--out", type=Path, default=Path("out/ambiguous"), help="folder of the reports")
    parse.add_argument("--threads", type=int, default=2, help="CPU threads (default: 2)")
    return parse


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; see `parser`."""
    args = parser().parse_args(argv)
    torch.set_num_threads(args.threads)
    try:
        seeds = [*decidable_seeds(args.cases), *undecidable_seeds(args.undecidable)]
        readers: list[Reader] = [TruthReader()] if args.data_free else [TruthReader(), load_grounder(args.bundle)]
        answers = measure(seeds, readers, plain=args.plain)
    except MedgroundError as error:
        say(f"error: {error}")
        return error.exit_code
    systems = [f"{reader.info.name} {reader.info.version} ({reader.info.sha256[:12]})" for reader in readers]
    report = AmbiguousReport(
        plain=args.plain, systems=tuple(score(name, asked) for name, asked in zip(systems, answers, strict=True))
    )
    args.out.mkdir(parents=True, exist_ok=True)
    stem = "ambiguous-plain" if args.plain else "ambiguous"
    (args.out / f"{stem}.json").write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")
    (args.out / f"{stem}.md").write_text(to_markdown(report), encoding="utf-8")
    for reader, asked in zip(readers, answers, strict=True):
        faults = worst(asked)
        if faults:
            sheet(faults).save(args.out / f"{stem}-worst-{reader.info.name}.png", format="PNG")
    print(to_markdown(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
