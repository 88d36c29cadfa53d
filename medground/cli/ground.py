"""`medground ground`: gathers the inputs, asks the questions, writes the files, prints the answers."""

from __future__ import annotations

import logging
import sys
import time
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from rich.console import Console

from medground.cli.output import RESULTS, OutputFolder
from medground.cli.progress import image_progress, stage
from medground.cli.table import print_answers
from medground.inference.gather import gather
from medground.inference.ground import Grounded, ground
from medground.inference.pictures import draw_answers
from medground.inference.reader import Reader
from medground.inference.reports import study_reports, with_warnings
from medground.inference.request import Looking, Request
from medground.inference.with_clip import WithClip
from medground.schema.errors import UsageError
from medground.schema.result import GroundingResult

SOME_REFUSED = 4


@dataclass(frozen=True, slots=True)
class Options:
    """The command line of `medground ground`, parsed; see its help for the meaning of each."""

    inputs: tuple[Path, ...]
    queries: tuple[str, ...]
    out: Path | None
    bundle: Path | None = None
    min_score: float | None = None
    max_boxes: int = 300
    top_k: int = 10
    look: Looking | None = None
    formats: tuple[str, ...] = ("json", "png", "sr")
    device: str = "auto"
    base: str | None = None
    clip: Path | None = None
    as_json: bool = False
    debug: bool = False


def run_ground(options: Options, load: Callable[[Path | None, str, str | None], Reader]) -> int:
    """Answer, write and print.

    Args:
        options: what was asked.
        load: gives the model for a bundle, a device and pretrained weights.

    Returns:
        Exit code: 0, or 4 where some images were refused.

    Raises:
        MedgroundError: nothing could be answered; nothing was written.
    """
    if options.out is None and not options.as_json:
        raise UsageError("there is nowhere to put the result; give --out FOLDER, or --json to print it")
    console = Console(stderr=True)
    request = Request(options.queries, options.min_score, options.max_boxes, options.top_k, options.look)
    timing: dict[str, float] = {}
    with _quiet(not options.debug):
        with _timed(timing, "gather"), stage(console, "reading headers"):
            gathered = gather(options.inputs)
        with _timed(timing, "load_model"), stage(console, "loading the model"):
            reader = load(options.bundle, options.device, options.base)
            if options.clip:
                clip = import_module("medground.model.clip")  # transformers: seconds that only its users pay
                reader = WithClip(reader, clip.Clip(options.clip))
        with image_progress(console) as progress:
            grounded = ground(gathered, request, reader, progress=progress)
        result = (
            write(grounded, options.out, options.formats, timing) if options.out else _timed_result(grounded, timing)
        )
    if options.as_json:
        sys.stdout.write(result.model_dump_json(indent=2) + "\n")
    else:
        print_answers(result, Console())
        Console().print(f"written to {options.out}: {', '.join(options.formats)}", markup=False, highlight=False)
    for refusal in result.refused:
        console.print(f"refused: {refusal.source}: {refusal.error}", markup=False, highlight=False, soft_wrap=True)
    return SOME_REFUSED if result.refused else 0


def write(grounded: Grounded, out: Path, formats: tuple[str, ...], timing: dict[str, float]) -> GroundingResult:
    """Write everything into a folder, all of it or nothing.

    Args:
        grounded: a result with its studies.
        out: the folder.
        formats: of `json`, `png`, `sr`, `gsps` and `seg`.
        timing: milliseconds of the steps before, for the result.

    Returns:
        The result as written, with the time of every step.

    Raises:
        UsageError: the folder cannot be written to.
    """
    with OutputFolder(out) as folder:
        with _timed(timing, "write"):
            if "png" in formats:
                write_pictures(grounded, folder)
            grounded = Grounded(write_reports(grounded, folder, formats), grounded.studies)
        result = _timed_result(grounded, timing)
        if "json" in formats:
            folder.path(RESULTS).write_text(result.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return result


def write_pictures(grounded: Grounded, folder: OutputFolder) -> None:
    """Write every picture as `overlays/<study>-<question>-<image>.png`."""
    for picture in draw_answers(grounded):
        picture.drawn.save(folder.path(f"overlays/{picture.study}-{picture.question}-{picture.image}.png"))


def write_reports(grounded: Grounded, folder: OutputFolder, formats: Collection[str] = ("sr",)) -> GroundingResult:
    """Write the DICOM objects of every DICOM study, counted from 1, as `<format>/<study>.dcm`; pictures have none.

    Should a study need several objects of one kind, those after the first are `<format>/<study>-2.dcm` and so on.

    Args:
        grounded: a result with its studies.
        folder: where the files go.
        formats: what is wanted; of it `sr`, `gsps` and `seg` count.

    Returns:
        The result; a study of whose header nothing can be written is warned about in it.
    """
    warnings = []
    for number, (study, answered) in enumerate(zip(grounded.studies, grounded.result.studies, strict=True), start=1):
        reports = study_reports(study, answered, grounded.result, formats)
        warnings.append(reports.warnings)
        for format_, objects in reports.objects.items():
            for part, written in enumerate(objects, start=1):
                file = f"{number}.dcm" if part == 1 else f"{number}-{part}.dcm"
                written.save_as(folder.path(f"{format_}/{file}"), enforce_file_format=True)
    return with_warnings(grounded.result, warnings)


def _timed_result(grounded: Grounded, timing: dict[str, float]) -> GroundingResult:
    return grounded.result.model_copy(update={"timing_ms": {**timing, **grounded.result.timing_ms}})


@contextmanager
def _timed(timing: dict[str, float], step: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    timing[step] = round((time.perf_counter() - start) * 1000, 1)


@contextmanager
def _quiet(wanted: bool) -> Iterator[None]:
    """Keep warnings of libraries off stderr: pydicom's may quote header values, and with them the patient."""
    if not wanted:
        yield
        return
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
